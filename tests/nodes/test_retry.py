"""Retry End finds what hangs on Retry Start, and answers with copies of it until there are enough images."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from comfy_api.io import HiddenHolder

from keepers.core.errors import KeepersError
from keepers.core.gates.gate import Verdict
from keepers.nodes.judging.scores import Scored, Scores
from keepers.nodes.retry import ENOUGH, FAIL, KeepersRetryEnd, KeepersRetryStart, Round
from keepers.tests.nodes.comfy_stub import comfy, good, run
from keepers.tests.nodes.test_nodes import blocked, outputs

__all__ = ["comfy"]

GRAPH: dict[str, dict[str, Any]] = {
    "1": {"class_type": "Loader", "inputs": {"name": "x"}},
    "2": {"class_type": "KeepersRetryStart", "inputs": {"seed": 5}},
    "3": {"class_type": "Sampler", "inputs": {"model": ["1", 0], "seed": ["2", 0], "size": [64, 64]}},
    "4": {"class_type": "KeepersScore", "inputs": {"images": ["3", 0]}},
    "5": {
        "class_type": "KeepersRetryEnd",
        "inputs": {"retry": ["2", 2], "images": ["3", 0], "scores": ["4", 0], "wanted": 2},
    },
    "6": {"class_type": "SaveImage", "inputs": {"images": ["5", 0]}},
}


class Graph:
    """The part of ComfyUI's DynamicPrompt that is used."""

    def get_node(self, node: str) -> dict[str, Any]:
        """A node in API form."""
        return GRAPH[node]

    def get_display_node_id(self, node: str) -> str:
        """The node that the user sees for it."""
        return node


def scores(*outcomes: Any) -> Scores:
    return Scores(tuple(Scored(verdict=Verdict(outcome, f"{outcome}: so")) for outcome in outcomes))


def end(images: torch.Tensor, found: Scores, **inputs: Any) -> Any:
    """What Retry End answers."""
    hidden = HiddenHolder("5", dynprompt=Graph())
    asked: dict[str, Any] = {"retry": [["2", 2]], "wanted": [2], "attempts": [3], "if_too_few": [ENOUGH]} | inputs
    return run(KeepersRetryEnd, hidden, images=[images], scores=[found], **asked)


def test_the_seed_goes_up_by_one_and_wraps() -> None:
    assert run(KeepersRetryStart, seed=5).args == (5, 0, 0)
    assert run(KeepersRetryStart, seed=5, round=3).args[:2] == (8, 3)
    assert run(KeepersRetryStart, seed=2**64 - 1, round=1).args[0] == 0


def test_no_output_is_a_list() -> None:
    """ComfyUI lays the outputs of a node that answers with nodes end to end, so a list would shift those after it."""
    assert not any(each.is_output_list for each in KeepersRetryEnd.define_schema().outputs)


def test_too_few_give_a_copy_of_what_lies_between(comfy: Any) -> None:
    answer = end(good(2), scores("accept", "reject"))
    copies = answer.expand
    kinds = sorted(node["class_type"] for node in copies.values())
    assert kinds == ["KeepersRetryEnd", "KeepersRetryStart", "KeepersScore", "Sampler"]
    by_kind = {node["class_type"]: (name, node) for name, node in copies.items()}
    sampler = by_kind["Sampler"][1]["inputs"]
    assert sampler["model"] == ["1", 0], "what does not hang on the seed is not copied"
    assert sampler["seed"] == [by_kind["KeepersRetryStart"][0], 0]
    assert sampler["size"] == [64, 64], "a pair of numbers is no wire"
    assert by_kind["KeepersRetryStart"][1]["inputs"]["round"] == 1
    passed_on = by_kind["KeepersRetryEnd"][1]["inputs"]["round"]
    assert (passed_on.attempt, len(passed_on.images)) == (1, 1)
    assert by_kind["KeepersRetryEnd"][1]["override_display_id"] == "5"
    assert [each[0] for each in answer.args] == [by_kind["KeepersRetryEnd"][0]] * 7
    assert comfy.told == [("1 of 2 accepted after 1 attempts", "5")]


def test_enough_images_end_it(comfy: Any) -> None:
    images = good(3)
    answer = end(images, scores("accept", "reject", "accept"))
    found = outputs(KeepersRetryEnd, answer)
    assert answer.expand is None
    assert torch.equal(found["accepted"], images[[0, 2]])
    assert (found["count"], found["attempts_made"]) == (2, 1)
    assert len(found["accepted_scores"].images) == 2


def test_used_up_attempts_end_it(comfy: Any) -> None:
    before = Round(2, told=("attempt 1: 0 of 1 accepted", "attempt 2: 0 of 1 accepted"))
    found = outputs(KeepersRetryEnd, end(good(1), scores("reject"), round=[before]))
    assert blocked(found["accepted"])
    assert (found["count"], found["attempts_made"]) == (0, 3)
    assert found["report"].count("\n") == 2
    with pytest.raises(KeepersError, match="Only 0 of 2"):
        end(good(1), scores("reject"), round=[before], if_too_few=[FAIL])


def test_wrong_wiring_is_told(comfy: Any) -> None:
    with pytest.raises(KeepersError, match="Wire 'retry'"):
        end(good(1), scores("reject"), retry=[7])
    with pytest.raises(KeepersError, match="Nothing leads"):
        end(good(1), scores("reject"), retry=[["6", 0]])
    with pytest.raises(KeepersError, match="scores of 1"):
        end(good(2), scores("reject"))
