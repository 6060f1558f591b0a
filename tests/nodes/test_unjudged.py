"""What could not be judged, in every node: never accepted, never given up, never the best, and told apart."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import server
import torch
from PIL import Image

from keepers.core.errors import KeepersError
from keepers.core.gates.gate import Gate
from keepers.core.metadata.record import record_of
from keepers.core.metadata.write import embed, read_record
from keepers.core.prediction import Prediction, argmax_label
from keepers.core.spec import ModelSpec, Network
from keepers.models.registry import REGISTRY
from keepers.nodes.gate import BEST, BEST_ONE, KeepersGate
from keepers.nodes.heatmap import OWN, KeepersHeatmap
from keepers.nodes.host import host
from keepers.nodes.host.images import frames, subjects
from keepers.nodes.judging.scores import Scored, Scores
from keepers.nodes.load import KeepersLoad
from keepers.nodes.model_nodes import ModelNode, ModelQuestion
from keepers.nodes.retry import KeepersRetryEnd
from keepers.nodes.save import DROP, KeepersSave
from keepers.nodes.score import KeepersScore
from keepers.tests.nodes.comfy_stub import GATE as GATE_NODE
from keepers.tests.nodes.comfy_stub import MACHINE, SCORE, comfy, run
from keepers.tests.nodes.test_nodes import blocked, outputs
from keepers.tests.nodes.test_retry import end
from keepers.tests.nodes.test_save import LOAD, files, save
from keepers.tests.nodes.test_tag import TAG, caption, tag
from keepers.tests.tiny import LABELS, VIEW, Work, register
from keepers.tests.troubles import BRIGHT, DARK, GATE, MIDDLING, TROUBLES, Trouble, strike

__all__ = ["comfy"]
SUMMARY = "0 of 3 accepted, 1 for review, 1 rejected, 1 could not be judged"
RANKED = GATE_NODE | {"gate": ["accept: cheap.good > 0"], "keep": [BEST], "best": [1], "rank_by": ["dear.good"]}
"""All pass by the cheap model, and there is room for one."""


class DearNode(ModelNode):
    """The node of one model."""

    question = ModelQuestion("KeepersDear", "Dear (Keepers)", ("dear",), "good", 0.5, 1.0, "Whether it is red.")


Strike = Callable[[str], Trouble]


@pytest.fixture
def struck(comfy: server.PromptServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Strike:
    """Brings a trouble to the dear model and to the tagger."""
    folder = tmp_path / "models" / "keepers"
    register(Work(), folder, monkeypatch)
    host.judge().release()  # an earlier test may have left it with sound nets

    def bring(name: str) -> Trouble:
        strike(name, "words", folder, monkeypatch)
        return strike(name, "dear", folder, monkeypatch)

    return bring


@pytest.fixture(params=list(TROUBLES))
def trouble(request: pytest.FixtureRequest, struck: Strike) -> Trouble:
    """Every trouble in turn, for the nodes that take scores or files."""
    return struck(request.param)


@pytest.fixture(params=[name for name, one in TROUBLES.items() if one.kind != "missing"])
def asking(request: pytest.FixtureRequest, struck: Strike) -> Trouble:
    """Every trouble in turn, for the nodes that ask models; to them a missing file is an error of the node."""
    return struck(request.param)


def images(trouble: Trouble) -> torch.Tensor:
    """A dark, a middling and a bright picture; the last one cannot be judged."""
    found = torch.tensor([DARK, MIDDLING, BRIGHT]).reshape(3, 1, 1, 3).expand(3, 16, 16, 3) / 255
    found = found.contiguous()
    if trouble.pixels:
        found[2, 3, 5] = torch.nan
    return found


def judged(trouble: Trouble) -> Scores:
    """The images' scores, whatever model is missing: as they are after a failure, or in files from elsewhere."""
    gate = Gate.parse(GATE)
    given = subjects(frames([images(trouble)]))
    both = zip(host.judge(host.RunOptions(precision="exact")).judge(given, gate), given, strict=True)
    return Scores(tuple(Scored(each.answers, subject.flaw, each.verdict, str(gate)) for each, subject in both))


def gate(trouble: Trouble, **inputs: Any) -> dict[str, Any]:
    """What Gate gives."""
    return outputs(KeepersGate, run(KeepersGate, images=[images(trouble)], **GATE_NODE | {"gate": [GATE]} | inputs))


def the_verdict(trouble: Trouble, scored: Scored) -> None:
    """It says that the image could not be judged, and why."""
    assert scored.outcome == "review" and scored.verdict is not None
    assert [each.kind for each in scored.verdict.unjudged] == [trouble.kind]
    assert trouble.told in scored.reason or trouble.told in json.dumps(dict(scored.record().failures))


@pytest.mark.parametrize("node", ["Score", "Gate", "the best", "Load", "one model", "Tag"])
def test_a_missing_model_is_the_nodes_error(struck: Strike, node: str, tmp_path: Path) -> None:
    """The prompt stops, with the file that is missing: no image has a fate."""
    given = [images(struck("missing file"))]
    (tmp_path / "output" / "keepers").mkdir()
    Image.new("RGB", (16, 16), BRIGHT).save(tmp_path / "output" / "keepers" / "a.png")
    one = {"model": ["dear"], "class_name": ["good"], "threshold": [0.5], **MACHINE}
    calls: dict[str, Callable[[], Any]] = {
        "Score": partial(run, KeepersScore, images=given, **SCORE | {"gate": [GATE]}),
        "Gate": partial(run, KeepersGate, images=given, **GATE_NODE | {"gate": [GATE]}),
        "the best": partial(run, KeepersGate, images=given, **RANKED),
        "Load": partial(run, KeepersLoad, **LOAD | {"gate": [GATE]}),
        "one model": partial(run, DearNode, images=given, **one),
        "Tag": partial(tag, images=given, **TAG | {"model": ["words"]}),
    }
    with pytest.raises(KeepersError, match="is not on this machine"):
        calls[node]()


def test_score(asking: Trouble, comfy: server.PromptServer) -> None:
    found = outputs(KeepersScore, run(KeepersScore, images=[images(asking)], **SCORE | {"gate": [GATE]}))
    assert found["accept"] == [False, False, False]
    assert found["verdict"] == ["reject", "review", "review"]
    assert found["score"][2] == -math.inf, "no number is above it"
    the_verdict(asking, found["scores"].images[2])
    assert comfy.told == [(SUMMARY, "7")]
    assert found["report"].startswith(SUMMARY)


def test_gate(asking: Trouble) -> None:
    found = gate(asking)
    assert blocked(found["accepted"]) and found["indexes"] == ""
    assert len(found["rejected"][0]) == 1 and len(found["review"][0]) == 2
    counts = ("accepted_count", "review_count", "rejected_count", "unjudged_count")
    assert [found[name] for name in counts] == [0, 2, 1, 1]
    the_verdict(asking, found["all_scores"].images[2])
    assert found["report"].startswith(SUMMARY)


def test_gate_with_scores_of_a_failure_asks_again(asking: Trouble) -> None:
    found = gate(asking, scores=[judged(asking)])
    the_verdict(asking, found["all_scores"].images[2])
    assert found["unjudged_count"] == 1


@pytest.mark.parametrize("by", ["", "cheap.good", "dear.good"])
def test_pass_the_best_one(asking: Trouble, by: str) -> None:
    """The middling one is the best of those that were judged, unless there is no number to compare them by."""
    found = gate(asking, if_none_pass=[BEST_ONE], rank_by=[by])
    can_rank = asking.pixels or by == "cheap.good"
    assert found["indexes"] == ("1" if can_rank else "")
    the_verdict(asking, found["all_scores"].images[2])
    if can_rank:
        assert f"the best of 2 by {by or 'dear.good'}, though review" in found["report"]


def test_pass_the_best_one_of_none(asking: Trouble) -> None:
    alone = [images(asking)[2:]]
    inputs = GATE_NODE | {"gate": [GATE], "if_none_pass": [BEST_ONE], "rank_by": ["cheap.good"]}
    found = outputs(KeepersGate, run(KeepersGate, images=alone, **inputs))
    assert blocked(found["accepted"]) and len(found["review"][0]) == 1
    assert found["report"].startswith("0 of 1 accepted, 1 could not be judged")


def test_best_of_those_that_pass(asking: Trouble) -> None:
    """Without a number to rank by, none is given up."""
    found = gate(asking, **RANKED)
    if asking.pixels:
        assert (found["indexes"], found["rejected_count"], found["unjudged_count"]) == ("1", 1, 1)
    else:
        assert (found["indexes"], found["rejected_count"], found["unjudged_count"]) == ("", 0, 3)
    the_verdict(asking, found["all_scores"].images[2])


def test_save(trouble: Trouble, tmp_path: Path) -> None:
    scores = judged(trouble)
    answer = save(images=[images(trouble)], scores=[scores], review=[DROP], rejected=[DROP])
    assert files(tmp_path / "output") == ["keepers/review/image_00001_.png"]
    record = read_record(tmp_path / "output" / "keepers" / "review" / "image_00001_.png")
    assert record is not None and record.given is not None
    assert record.given == scores.images[2].verdict
    told = "0 accepted, 1 for review (not saved), 1 rejected (not saved), 1 could not be judged"
    assert outputs(KeepersSave, answer)["report"].startswith(told)


def test_retry_end(trouble: Trouble) -> None:
    """It is not accepted, so the attempts go on, and at their end it is handed over."""
    given = images(trouble)
    again = end(given, judged(trouble), wanted=[1])
    [passed_on] = [node["inputs"]["round"] for node in again.expand.values() if node["class_type"] == "KeepersRetryEnd"]
    assert len(again.args) == len(KeepersRetryEnd.define_schema().outputs)
    found = outputs(KeepersRetryEnd, end(given, judged(trouble), wanted=[1], attempts=[2], round=[passed_on]))
    assert blocked(found["accepted"]) and found["count"] == 0
    assert list(found["unjudged"].shape) == [2, 16, 16, 3]
    assert torch.equal(found["unjudged"][0].nan_to_num(9.0), given[2].nan_to_num(9.0))
    assert len(found["unjudged_scores"].images) == 2
    the_verdict(trouble, found["unjudged_scores"].images[1])
    assert found["report"].splitlines() == [f"attempt 1: {SUMMARY}", f"attempt 2: {SUMMARY}"]


def folder_of_images(trouble: Trouble, folder: Path, *, records: bool) -> None:
    """The three pictures as files; where it is the pixels, the last one is no picture at all."""
    folder.mkdir(parents=True)
    for place, colour in enumerate((DARK, MIDDLING, BRIGHT)):
        file = folder / f"{place}.png"
        Image.new("RGB", (16, 16), colour).save(file)
        scored = judged(trouble).images[place]
        if records:
            embed(file, record_of(scored.answers, scored.verdict))
        elif trouble.pixels and place == 2:
            file.write_bytes(b"no picture")


def test_load_by_a_gate(asking: Trouble, tmp_path: Path) -> None:
    folder_of_images(asking, tmp_path / "output" / "keepers", records=False)
    found = outputs(KeepersLoad, run(KeepersLoad, **LOAD | {"gate": [GATE]}))
    assert blocked(found["images"]) and found["count"] == 0
    assert found["report"].startswith(SUMMARY)


def test_load_by_the_saved_verdicts(trouble: Trouble, tmp_path: Path) -> None:
    folder_of_images(trouble, tmp_path / "output" / "keepers", records=True)
    found = outputs(KeepersLoad, run(KeepersLoad, **LOAD))
    assert blocked(found["images"]) and found["count"] == 0
    assert found["report"].startswith(SUMMARY)


@pytest.mark.parametrize("gate", ["", 'accept: signals.label == "ok"'])
def test_a_file_that_is_gone_is_not_loaded(
    gate: str, comfy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It went between the listing and the reading."""
    folder = tmp_path / "output" / "keepers"
    folder.mkdir()
    for name in "abc":
        Image.new("RGB", (16, 16)).save(folder / f"{name}.png")
    monkeypatch.setattr("keepers.nodes.load._record", lambda path: path.unlink())
    found = outputs(KeepersLoad, run(KeepersLoad, **LOAD | {"gate": [gate]}))
    assert found["count"] == 0 and found["report"].startswith("0 of 3 accepted, 3 could not be judged")


def test_tag_and_caption(trouble: Trouble, comfy: server.PromptServer) -> None:
    """An image that could not be tagged has no caption, and is for review."""
    inputs = TAG | {"model": ["words"], "threshold": [0.0]}
    if not trouble.pixels:
        with pytest.raises(KeepersError, match=f"{trouble.told}|not numbers"):
            tag(images=[images(trouble)], **inputs)
        return
    found = tag(images=[images(trouble)], **inputs)
    assert found["captions"] == ["bad", "bad", ""]
    assert [each.judged for each in found["scores"].images] == [True, True, False]
    the_verdict(trouble, found["scores"].images[2])
    assert comfy.told == [("2 of 3 captions written, 1 could not be judged", "7")]
    assert caption(scores=[found["scores"]], trigger=["my fox"]) == ["my fox, bad", "my fox, bad", ""]


def test_a_tagger_without_numbers_for_one_image(comfy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(Work(), tmp_path / "models" / "keepers", monkeypatch)
    found = host.judge().predict(subjects(frames([images(TROUBLES["failure"])])), "words")
    found[1] = Prediction("words", LABELS, [math.nan, 0.2])  # pyright: ignore[reportArgumentType]  numpy reads it
    monkeypatch.setattr("keepers.core.judging.judge.Judge.predict", lambda *_: found)
    told = tag(images=[images(TROUBLES["failure"])], **TAG | {"model": ["words"], "threshold": [0.0]})
    assert [bool(each) for each in told["captions"]] == [True, False, True]
    [why] = told["scores"].images[1].verdict.unjudged
    assert (why.model, why.kind) == ("words", "not_a_number")
    assert caption(scores=[told["scores"]], trigger=["fox"], template=["{trigger}"]) == ["fox", "", "fox"]


def test_the_node_of_one_model(asking: Trouble) -> None:
    inputs: dict[str, Any] = {"model": ["dear"], "class_name": ["good"], "threshold": [0.01], **MACHINE}
    found = outputs(DearNode, run(DearNode, images=[images(asking)], **inputs))
    assert (found["accept"][2], found["score"][2]) == (False, -math.inf)
    the_verdict(asking, found["scores"].images[2])
    [told] = json.loads(found["report"])[2]["unjudged"]
    assert told["kind"] == asking.kind


class Blind(torch.nn.Module):
    """A net that can be explained, and knows no numbers."""

    def heatmap(self, view: torch.Tensor, *, targets: Any, method: str) -> tuple[torch.Tensor, ...]:
        values = torch.full((len(view), 2), torch.nan)
        return values, values.argmax(1), torch.zeros(len(view), 4, 4)


def test_a_heatmap_of_what_has_no_numbers_is_an_error(comfy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    blind = ModelSpec(
        "blind", "Blind", "", "", "none", lambda _: Network(Blind(), LABELS, (VIEW,), partial(argmax_label, LABELS))
    )
    monkeypatch.setitem(REGISTRY._specs, "blind", blind)  # pyright: ignore[reportPrivateUsage]  # for this test only
    inputs: dict[str, Any] = {"model": ["blind"], "class_name": [OWN], "method": ["grad-cam"], "strength": [0.5]}
    with pytest.raises(KeepersError, match="Image 0 cannot be explained: blind gave"):
        run(KeepersHeatmap, images=[images(TROUBLES["failure"])], **inputs, **MACHINE)
