"""The ComfyUI nodes as the engine sees them: their interface, and what Score and Gate do with every kind of input."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import folder_paths
import pytest
import server
import torch
from comfy import model_management
from comfy_api import io
from comfy_execution.graph_utils import ExecutionBlocker

from keepers import comfy_entrypoint
from keepers.core.errors import KeepersError
from keepers.core.prediction import Prediction
from keepers.nodes.entry import all_nodes
from keepers.nodes.gate import BEST, BEST_ONE, ERROR, KeepersGate
from keepers.nodes.host import host
from keepers.nodes.judging.scores import Scores
from keepers.nodes.score import KeepersScore
from keepers.tests.nodes.comfy_models import write_coherence, write_realism
from keepers.tests.nodes.comfy_stub import GATE, SCORE, batch, comfy, good, run

__all__ = ["comfy"]
ROOT = Path(__file__).parents[2]


def outputs(node: type[Any], answer: Any) -> dict[str, Any]:
    """A node's answer by the ids of its outputs."""
    schema = node.GET_SCHEMA()
    assert len(answer.args) == len(schema.outputs), "one value for each output"
    found = {each.id: value for each, value in zip(schema.outputs, answer.args, strict=True)}
    for each in schema.outputs:
        if each.is_output_list:
            assert isinstance(found[each.id], list), f"{each.id} is a list output"
    return found


def blocked(values: Any) -> bool:
    """Whether an output skips what is wired to it, in silence."""
    first = values[0] if isinstance(values, list) and len(values) == 1 else values
    return isinstance(first, ExecutionBlocker) and first.message is None


async def _nodes() -> list[type[io.ComfyNode]]:
    return await (await comfy_entrypoint()).get_node_list()


def nodes() -> list[type[io.ComfyNode]]:
    """What ComfyUI is given."""
    coroutine = _nodes()
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("nothing in it waits")


def test_the_entrypoint_gives_nodes_with_sound_schemas(comfy: object) -> None:
    found = nodes()
    schemas = [node.GET_SCHEMA() for node in found]
    ids = [schema.node_id for schema in schemas]
    assert {"KeepersScore", "KeepersGate", "KeepersSave", "KeepersLoad", "KeepersRetryStart"} <= set(ids)
    assert len(set(ids)) == len(ids)
    for node, schema in zip(found, schemas, strict=True):
        assert schema.node_id == node.__name__, "ids are public, and the class is called the same"
        assert re.fullmatch(r"Keepers[A-Za-z]+", schema.node_id)
        assert schema.description
        assert schema.category.split("/")[0] == "keepers"
        assert (schema.display_name or "").startswith("Save Keepers") or "Keepers" in (schema.display_name or "")
        for each in (*schema.inputs, *schema.outputs):
            assert each.tooltip, f"{schema.node_id}.{each.id} has no tooltip"
        for each in schema.outputs:
            assert each.display_name, f"0.3.64 would call {schema.node_id}.{each.id} by its type"


def test_menus_have_their_defaults(comfy: object) -> None:
    for node in all_nodes():
        for each in node.GET_SCHEMA().inputs:
            if each.io_type == "COMBO":
                assert each.default in each.options, f"{node.__name__}.{each.id}"


def test_the_model_folder_is_added_and_nothing_is_taken_away(comfy: object, tmp_path: Path) -> None:
    folder_paths.set_base(tmp_path)
    folder_paths.add_model_folder_path("keepers", "/from/extra_model_paths")
    host.register_folder()
    paths, endings = folder_paths.folder_names_and_paths["keepers"]
    assert paths == ["/from/extra_model_paths", str(tmp_path / "models" / "keepers")]
    assert ".safetensors" in endings
    folders = [str(folder) for folder in host.store().folders]
    assert folders[:3] == [*paths, str(tmp_path / "models" / "classifiers")]


def test_gate_parts_the_images_and_all_beside_them(comfy: server.PromptServer) -> None:
    images = batch("good,black,good,nan")
    latent = {
        "samples": torch.arange(4.0).reshape(4, 1, 1, 1),
        "batch_index": [5, 6, 7, 8],
        "noise_mask": torch.ones(1, 8, 8),
    }
    masks = torch.arange(4.0).reshape(4, 1, 1)
    texts = ["a", "b", "c", "d"]
    answer = run(KeepersGate, images=[images], latents=[latent], masks=[masks], captions=texts, **GATE)
    found = outputs(KeepersGate, answer)
    assert torch.equal(found["accepted"][0], images[[0, 2]])
    assert torch.equal(found["rejected"][0], images[[1]])
    assert found["review"][0].shape[0] == 1
    assert found["accepted_latents"][0]["samples"].flatten().tolist() == [0.0, 2.0]
    assert found["accepted_latents"][0]["batch_index"] == [5, 7]
    assert found["accepted_latents"][0]["noise_mask"] is latent["noise_mask"], "a single noise mask is for all"
    assert found["accepted_masks"][0].flatten().tolist() == [0.0, 2.0]
    assert found["accepted_captions"] == ["a", "c"]
    assert (found["accepted_count"], found["review_count"], found["rejected_count"]) == (2, 1, 1)
    assert found["indexes"] == "0,2"
    assert "signals is black" in found["report"]
    assert "NaN" in found["report"]
    assert [each.outcome for each in found["all_scores"].images] == ["accept", "reject", "accept", "review"]
    assert len(found["accepted_scores"].images) == 2
    assert comfy.told == [("2 of 4 accepted, 1 rejected, 1 could not be judged", "7")]


def test_what_has_nothing_blocks_itself_alone(comfy: object) -> None:
    found = outputs(KeepersGate, run(KeepersGate, images=[batch("black,black")], captions=["x"], **GATE))
    for name in ("accepted", "review", "accepted_latents", "accepted_masks", "accepted_captions", "accepted_scores"):
        assert blocked(found[name]), name
    assert len(found["rejected"][0]) == 2
    assert (found["accepted_count"], found["indexes"]) == (0, "")
    assert found["report"].startswith("0 of 2 accepted, 2 rejected")


@pytest.mark.parametrize("images", [[], [torch.zeros(0, 8, 8, 3)], [None]])
def test_an_empty_batch_is_no_error(comfy: object, images: list[Any]) -> None:
    found = outputs(KeepersGate, run(KeepersGate, images=images, **GATE))
    assert all(blocked(found[name]) for name in ("accepted", "review", "rejected"))
    assert found["accepted_count"] == found["rejected_count"] == 0
    assert found["report"] == "no images came in"
    scores = outputs(KeepersScore, run(KeepersScore, images=images, **SCORE))
    assert scores["score"] == []


def test_a_batch_that_passes_whole_is_not_copied(comfy: object) -> None:
    images = good(3)
    found = outputs(KeepersGate, run(KeepersGate, images=[images], **GATE))
    assert found["accepted"][0] is images


def test_lists_of_mixed_sizes_keep_their_sizes(comfy: object) -> None:
    images = [good(1, 64, seed=1), batch("good,black", 96), good(1, 120, seed=3)]
    found = outputs(KeepersGate, run(KeepersGate, images=images, captions=list("abcd"), **GATE))
    assert [list(each.shape) for each in found["accepted"]] == [[1, 64, 64, 3], [1, 96, 96, 3], [1, 120, 120, 3]]
    assert found["accepted_captions"] == ["a", "b", "d"]
    assert found["indexes"] == "0,1,3"


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_precision_and_channels_go_through_as_they_came(comfy: object, kind: torch.dtype) -> None:
    images = torch.cat([good(2), torch.ones(2, 96, 96, 1)], dim=3).to(kind)
    found = outputs(KeepersGate, run(KeepersGate, images=[images], **GATE))
    assert found["accepted"][0].dtype == kind
    assert found["accepted"][0].shape == (2, 96, 96, 4)


def test_only_the_best_are_kept(comfy: object) -> None:
    asked: dict[str, Any] = GATE | {"keep": [BEST], "best": [2], "gate": ["accept: signals.spread >= 0"]}
    images = [good(1, 96, seed=seed) * (0.3 + 0.2 * seed) for seed in range(4)]
    found = outputs(KeepersGate, run(KeepersGate, images=images, **asked))
    values = [each.answers["signals"]["spread"] for each in found["all_scores"].images]
    kept = [int(index) for index in found["indexes"].split(",")]
    assert sorted(kept) == sorted(sorted(range(4), key=lambda index: -values[index])[:2])
    assert found["rejected_count"] == 2
    assert "not among the best 2 of 4 by signals.spread" in found["report"]


def test_when_none_passes_the_best_one_or_an_error(comfy: object) -> None:
    images = [batch("black,good,nan")]
    asked: dict[str, Any] = GATE | {"gate": ['accept: signals.label == "noise"'], "rank_by": ["signals.spread"]}
    found = outputs(KeepersGate, run(KeepersGate, images=images, **asked | {"if_none_pass": [BEST_ONE]}))
    assert found["indexes"] == "1"
    assert "the best of 2 by signals.spread, though reject" in found["report"]
    with pytest.raises(ValueError, match="lets nothing through"):
        run(KeepersGate, images=images, **asked | {"if_none_pass": [ERROR]})
    unsound = outputs(KeepersGate, run(KeepersGate, images=[batch("nan")], **asked | {"if_none_pass": [BEST_ONE]}))
    assert blocked(unsound["accepted"]), "what cannot be judged is never accepted"


def test_known_scores_are_not_asked_again(comfy: object, monkeypatch: pytest.MonkeyPatch) -> None:
    images = batch("good,black,nan")
    scores = outputs(KeepersScore, run(KeepersScore, images=[images], **SCORE))["scores"]
    monkeypatch.setattr("keepers.nodes.host.images.picture", lambda _: pytest.fail("an image was opened"))
    found = outputs(KeepersGate, run(KeepersGate, images=[images], scores=[scores], **GATE))
    assert (found["accepted_count"], found["rejected_count"], found["review_count"]) == (1, 1, 1)


def test_scores_of_other_images_are_refused(comfy: object) -> None:
    scores = outputs(KeepersScore, run(KeepersScore, images=[good(2)], **SCORE))["scores"]
    with pytest.raises(ValueError, match="3 images, but scores of 2"):
        run(KeepersGate, images=[good(3)], scores=[scores], **GATE)
    with pytest.raises(ValueError, match="3 images, but 2 captions"):
        run(KeepersGate, images=[good(3)], captions=["a", "b"], **GATE)


def test_score_gives_lists_for_every_image(comfy: object) -> None:
    asked: dict[str, Any] = SCORE | {"gate": ['reject: signals.label != "ok"\naccept: signals.spread >= 0']}
    found = outputs(KeepersScore, run(KeepersScore, images=[batch("good,black")], **asked))
    assert found["accept"] == [True, False]
    assert found["verdict"] == ["accept", "reject"]
    assert found["label"] == ["ok", "black"]
    assert len(found["score"]) == 2
    assert found["report"].startswith("1 of 2 accepted")


def test_a_wrong_gate_or_a_missing_file_is_refused_before_anything_runs(comfy: object, tmp_path: Path) -> None:
    check = KeepersGate.validate_inputs
    assert check(preset=["signals"], gate=[""], download=[False], rank_by=[""]) is True
    assert "Did you mean 'coherence'" in str(check(preset=["signals"], gate=["coherense.coherent > 1"]))
    assert "no preset" in str(check(preset=["nothing"], gate=[""]))
    told = str(check(preset=["coherent"], gate=[""], download=[False]))
    for part in ("coherence_model.safetensors", str(tmp_path / "models" / "keepers" / "coherence"), "huggingface.co"):
        assert part in told
    assert "switch on 'download'" in told
    assert check(preset=["coherent"], gate=[""], download=[True]) is True
    assert check(preset=["coherent"], gate=[""], download=[False], scores=(None,)) is True, "scores may know it all"
    assert check(preset=(None,), gate=(None,)) is True, "a wired text is looked at when the node runs"
    assert "no label" in str(check(preset=["signals"], gate=[""], rank_by=["signals.nonsense"]))


def test_a_model_that_cannot_be_loaded_is_an_error_and_no_verdict(comfy: object, tmp_path: Path) -> None:
    asked: dict[str, Any] = GATE | {"gate": ['accept: coherence.label == "coherent"']}
    with pytest.raises(KeepersError, match=r"coherence_model\.safetensors"):
        run(KeepersGate, images=[good(1)], **asked)
    broken = tmp_path / "models" / "keepers" / "coherence" / "coherence_model.safetensors"
    broken.parent.mkdir()
    broken.write_bytes(b"<html>404</html>")
    with pytest.raises(KeepersError, match=re.escape(broken.name)):
        run(KeepersGate, images=[good(1)], **asked)


def test_what_is_put_in_place_later_is_found_without_a_restart(comfy: object, tmp_path: Path) -> None:
    node = KeepersGate()
    gate = 'accept: coherence.label in ("coherent", "incoherent", "semi-incoherent")'
    asked: dict[str, Any] = GATE | {"gate": [gate]}
    with pytest.raises(KeepersError):
        run(KeepersGate, images=[good(1)], **asked)
    write_coherence(tmp_path / "models" / "keepers")
    assert outputs(KeepersGate, run(KeepersGate, images=[good(1)], **asked))["accepted_count"] == 1
    write_realism(tmp_path / "models" / "keepers", "later")
    later: dict[str, Any] = GATE | {"gate": ["accept: realism:later.real >= 0"]}
    assert outputs(KeepersGate, run(KeepersGate, images=[good(1)], **later))["accepted_count"] == 1
    assert node.judge is host.judge()


def test_an_image_that_a_model_cannot_judge_is_for_review(comfy: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any) -> Any:
        raise MemoryError("out of memory")

    monkeypatch.setattr("keepers.core.judging.netless.Netless.__call__", failing)
    found = outputs(KeepersGate, run(KeepersGate, images=[good(1)], **GATE))
    assert found["review_count"] == 1
    assert "out of memory" in found["report"]


def test_cancel_stops_the_node_with_the_hosts_own_exception(comfy: object) -> None:
    model_management.interrupted = True
    with pytest.raises(model_management.InterruptProcessingException):
        run(KeepersGate, images=[good(1)], **GATE)


def test_nets_go_through_the_hosts_memory_management(comfy: object) -> None:
    net = torch.nn.Linear(2, 2)
    with torch.inference_mode():
        device = host.place([net], torch.device("cpu"))
        host.place([net], torch.device("cpu"))
    first, second = model_management.loaded
    assert device == torch.device("cpu")
    assert first is second, "one patcher for each part"
    assert not net.weight.is_inference(), "a net stays differentiable"


def test_nets_are_kept_as_long_as_a_node_is(comfy: object) -> None:
    node = KeepersGate()
    first = host.judge()
    assert host.judge() is first
    assert node.judge is first
    mark = id(first)
    del node, first
    assert id(host.judge()) != mark or not host.judge()._loaded


def test_scores_carry_predictions(comfy: object) -> None:
    scores = outputs(KeepersScore, run(KeepersScore, images=[good(1)], **SCORE))["scores"]
    assert isinstance(scores, Scores)
    assert isinstance(scores.images[0].answers["signals"], Prediction)
    assert scores.images[0].record("a fox").caption == "a fox"
