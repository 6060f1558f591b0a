"""The nodes in a real ComfyUI, driven over its API.

Set COMFYUI_DIR to a checkout and COMFYUI_PYTHON to the interpreter it runs with. COMFYUI_CHECKPOINT, a Stable Diffusion
1.5 file (random weights will do), adds the run with a real sampler.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from keepers.core.gates.tree import Value
from keepers.core.metadata.write import read_record
from keepers.tests.hosts.comfy_server import ROOT, Comfy, Graph, Refused, node
from keepers.tests.hosts.comfy_workflow import to_api
from keepers.tests.nodes.comfy_models import write_models, write_realism

pytestmark = [
    pytest.mark.host,
    pytest.mark.skipif(
        not (os.environ.get("COMFYUI_DIR") and os.environ.get("COMFYUI_PYTHON")),
        reason="needs a real ComfyUI: set COMFYUI_DIR to its checkout and COMFYUI_PYTHON to its interpreter",
    ),
]
CHECKPOINT = os.environ.get("COMFYUI_CHECKPOINT", "")

MACHINE: dict[str, Any] = {"batch_size": 8, "precision": "exact", "download": False}
GATE: dict[str, Any] = {"preset": "signals", "gate": "", "keep": "all that pass", "best": 1, "rank_by": ""}
GATE |= {"if_none_pass": "pass nothing on", **MACHINE}
SCORE: dict[str, Any] = {"preset": "signals", "gate": "", "every_model": False, **MACHINE}
SAVE: dict[str, Any] = {"filename_prefix": "keepers/image", "format": "png", "quality": 90, "caption_file": ".txt"}
SAVE |= {"workflow": True, "embed_scores": True, "review": "save in a subfolder", "rejected": "save in a subfolder"}
TAG: dict[str, Any] = {"model": "wd", "second_model": "none", "threshold": 0.01, "top": 0, "max_tags": 0, "first": ""}
TAG |= {"last": "", "exclude": "", "only": "", "exclude_categories": "", "require": "", "order": "score"}
TAG |= {"style": "booru", "escape_brackets": False, "add_rating": False, "trailing_comma": False, **MACHINE}
OUTPUTS = (
    "accepted",
    "review",
    "rejected",
    "latents",
    "masks",
    "captions",
    "scores",
    "all",
    "n",
    "m",
    "k",
    "at",
    "report",
    "unjudged",
)
BLANK = "realism:blank"
"""A detector that answers NaN."""


@pytest.fixture(scope="module")
def comfy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comfy]:
    """One server for all tests of this file, with tiny models in its model folder."""
    base = tmp_path_factory.mktemp("comfy")
    write_models(base / "models" / "keepers")
    write_realism(base / "models" / "keepers", "blank", blank=True)
    if CHECKPOINT:
        (base / "models" / "checkpoints").mkdir(parents=True)
        (base / "models" / "checkpoints" / "random.safetensors").symlink_to(CHECKPOINT)
    server = Comfy.start(base)
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def fresh(comfy: Comfy) -> None:
    """Every test finds an empty output folder."""
    comfy.empty_output()


def images(kinds: str, size: int = 96, seed: int = 0) -> dict[str, Any]:
    """A node that makes images; its other outputs are latents, masks and captions."""
    return node("ProbeImages", kinds=kinds, size=size, seed=seed)


def gated(kinds: str, size: int = 96, seed: int = 0, **changes: Any) -> Graph:
    """Images through Gate, with a node that tells what each of its outputs has."""
    beside = {"latents": ["1", 1], "masks": ["1", 2], "captions": ["1", 3]}
    graph = {"1": images(kinds, size, seed), "2": node("KeepersGate", images=["1", 0], **beside, **GATE | changes)}
    return graph | {name: node("ProbeSee", value=["2", slot]) for slot, name in enumerate(OUTPUTS)}


def saved_files(comfy: Comfy) -> list[str]:
    return sorted(path.relative_to(comfy.output).as_posix() for path in comfy.output.rglob("*") if path.is_file())


def test_every_node_is_known_with_its_inputs(comfy: Comfy) -> None:
    known = comfy.get("/object_info")
    ours = {name: info for name, info in known.items() if name.startswith("Keepers")}
    assert {"KeepersScore", "KeepersGate", "KeepersSave", "KeepersLoad", "KeepersTag", "KeepersCaption"} <= set(ours)
    assert {"KeepersHeatmap", "KeepersRetryStart", "KeepersRetryEnd", "KeepersCoherence", "KeepersRealism"} <= set(ours)
    for info in ours.values():
        inputs = {**info["input"]["required"], **info["input"].get("optional", {})}
        assert all(given[1].get("tooltip") for given in inputs.values())
        # What the engine itself fills in has no tooltip, and nobody sees it.
        assert set(info["input"].get("hidden", {})) <= {"unique_id", "prompt", "extra_pnginfo", "dynprompt"}
        assert all(info["output_tooltips"])
    assert "realism:tiny" in json.dumps(ours["KeepersRealism"]["input"])
    assert "IMPORT FAILED" not in comfy.log().split("comfyui-keepers")[0][-2000:]
    for name in ours:
        page = comfy.get(f"/extensions/comfyui-keepers/docs/{name}.md")
        assert page.startswith(b"# ") or b"\n# " in page


def test_images_and_all_beside_them_are_parted_alike(comfy: Comfy) -> None:
    ran = comfy.run(gated("good,black,good,nan"))
    assert ran.status == "success", ran.error
    assert [each["shape"] for each in ran.seen("accepted")] == [[2, 96, 96, 3]]
    assert [each["shape"] for each in ran.seen("review")] == [[1, 96, 96, 3]]
    assert ran.seen("rejected")[0]["mean"] == 0
    assert ran.seen("latents")[0]["samples"] == [0, 2]
    assert ran.seen("latents")[0]["batch_index"] == [0, 2]
    assert ran.seen("latents")[0]["noise_mask"] == [0, 2]
    assert ran.seen("masks")[0]["shape"] == [2, 96, 96]
    assert ran.seen("captions") == ["caption 0", "caption 2"]
    assert (ran.seen("n"), ran.seen("m"), ran.seen("k"), ran.seen("at")) == ([2], [1], [1], ["0,2"])


@pytest.mark.parametrize("target", ["PreviewImage", "SaveImage", "ImageScale", "ImageInvert", "KeepersSave", "rebatch"])
def test_nothing_accepted_is_skipped_in_silence_whatever_follows(comfy: Comfy, target: str) -> None:
    graph = gated("black,black")
    wanted: dict[str, dict[str, Any]] = {
        "PreviewImage": {},
        "SaveImage": {"filename_prefix": "plain"},
        "ImageScale": {"upscale_method": "lanczos", "width": 32, "height": 32, "crop": "disabled"},
        "ImageInvert": {},
        "KeepersSave": SAVE,
        "rebatch": {"batch_size": 1},
    }
    kind = "RebatchImages" if target == "rebatch" else target
    given = ["2", 0]
    graph["next"] = node(
        kind, **{"image" if kind in ("ImageScale", "ImageInvert") else "images": given}, **wanted[target]
    )
    graph["end"] = node("PreviewImage", images=["2", 2])
    if kind in ("ImageScale", "ImageInvert", "RebatchImages"):
        graph["after"] = node("SaveImage", images=["next", 0], filename_prefix="plain")
    ran = comfy.run(graph)
    assert ran.status == "success", ran.error
    assert saved_files(comfy) == []
    assert len(ran.outputs["end"]["images"]) == 2, "the other branch runs"
    assert ran.seen("n") == [0]
    assert ran.seen("report")[0].startswith("0 of 2 accepted")
    assert ran.seen("accepted") is None


@pytest.mark.parametrize("kinds", ["empty", "none"])
def test_nothing_coming_in_is_no_error(comfy: Comfy, kinds: str) -> None:
    ran = comfy.run(gated(kinds))
    assert ran.status == "success", ran.error
    if kinds == "empty":
        assert ran.seen("report") == ["no images came in"]
        assert ran.seen("n") == [0]


def test_another_packs_blocker_is_handed_on(comfy: Comfy) -> None:
    graph = gated("blocked") | {"save": node("KeepersSave", images=["1", 0], **SAVE)}
    ran = comfy.run(graph | {"other": images("good"), "seen": node("ProbeSee", value=["other", 0])})
    assert ran.status == "success", ran.error
    assert ran.seen("accepted") is None
    assert ran.seen("seen") is not None
    assert saved_files(comfy) == []


@pytest.mark.parametrize("kinds", ["good", "rgba,good", "half,good", "bright,good", "mixed,good,good"])
def test_every_kind_of_image_is_judged_and_saved(comfy: Comfy, kinds: str) -> None:
    count = kinds.count(",") + 1
    graph = gated(kinds) | {"save": node("KeepersSave", images=["1", 0], scores=["2", 7], captions=["1", 3], **SAVE)}
    ran = comfy.run(graph)
    assert ran.status == "success", ran.error
    assert ran.seen("n") == [count]
    assert len(ran.outputs["save"]["images"]) == count
    sizes = {Image.open(BytesIO(comfy.view(each))).size for each in ran.outputs["save"]["images"]}
    assert len(sizes) == (count if "mixed" in kinds else 1)


def test_grey_images_are_judged(comfy: Comfy) -> None:
    ran = comfy.run(gated("grey,good"))
    assert ran.status == "success", ran.error
    assert ran.seen("accepted")[0]["shape"] == [2, 96, 96, 1]


def test_our_files_are_save_images_files(comfy: Comfy) -> None:
    """Equal pixels, equal prompt and workflow, and the record besides."""
    extra = {"extra_pnginfo": {"workflow": {"nodes": [1]}}}
    graph = {
        "1": images("bright,half"),
        "2": node("KeepersScore", images=["1", 0], **SCORE),
        "3": node("KeepersSave", images=["1", 0], scores=["2", 0], captions=["1", 3], **SAVE),
        "4": node("SaveImage", images=["1", 0], filename_prefix="plain/image"),
    }
    ran = comfy.run(graph, extra)
    assert ran.status == "success", ran.error
    for ours, theirs in zip(ran.outputs["3"]["images"], ran.outputs["4"]["images"], strict=True):
        one, other = (Image.open(BytesIO(comfy.view(each))) for each in (ours, theirs))
        assert np.array_equal(np.asarray(one), np.asarray(other))
        texts = dict(one.text)  # pyright: ignore[reportAttributeAccessIssue]  a PNG has it
        record = json.loads(texts.pop("keepers"))
        assert texts == other.text  # pyright: ignore[reportAttributeAccessIssue]
        assert record["verdict"] == "accept"
    assert (comfy.output / "keepers" / "image_00002_.txt").read_text() == "caption 1"


def test_unchanged_prompts_are_not_run_again(comfy: Comfy) -> None:
    graph = gated("good,black", seed=11)
    first = comfy.run(graph)
    again = comfy.run(graph)
    cached = next(data for kind, data in again.messages if kind == "execution_cached")["nodes"]
    assert {"1", "2"} <= set(cached)
    assert (first.status, again.status) == ("success", "success")


def test_best_of_a_batch(comfy: Comfy) -> None:
    ran = comfy.run(gated("good,good,good", keep="best of those that pass", best=1, gate="accept: signals.spread >= 0"))
    assert ran.seen("n") == [1]
    none = comfy.run(gated("black,black", if_none_pass="pass the best one", rank_by="signals.spread"))
    assert none.seen("n") == [1]
    error = comfy.run(gated("black", if_none_pass="stop with an error"))
    assert error.status == "error"
    assert "lets nothing through" in error.error


def test_what_could_not_be_judged_is_counted_apart_and_always_saved(comfy: Comfy) -> None:
    drops = SAVE | {"review": "do not save", "rejected": "do not save"}
    graph = gated("good,black,nan") | {"save": node("KeepersSave", images=["1", 0], scores=["2", 7], **drops)}
    ran = comfy.run(graph)
    assert ran.status == "success", ran.error
    assert [ran.seen(name) for name in ("n", "m", "k", "unjudged")] == [[1], [1], [1], [1]]
    assert saved_files(comfy) == ["keepers/image_00001_.png", "keepers/review/image_00002_.png"]
    record = read_record(comfy.output / "keepers" / "review" / "image_00002_.png")
    assert record is not None and [each.kind for each in record.unjudged] == ["not_a_number"]


def test_a_net_without_a_number_makes_no_best_one(comfy: Comfy) -> None:
    by = str(Value(BLANK, "real"))
    asked: dict[str, Any] = {"gate": f"reject: {by} < 0.1\naccept: {by} >= 0", "if_none_pass": "pass the best one"}
    ran = comfy.run(gated("good,good", **asked, rank_by="signals.spread"))
    assert ran.status == "success", ran.error
    assert [ran.seen(name) for name in ("n", "m", "k", "unjudged")] == [[0], [2], [0], [2]]
    assert ran.seen("accepted") is None and ran.seen("review")[0]["shape"][0] == 2
    asked = {"gate": "accept: signals.spread >= 0", "keep": "best of those that pass", "best": 1, "rank_by": by}
    ran = comfy.run(gated("good,good", **asked))
    assert [ran.seen(name) for name in ("n", "m", "k", "unjudged")] == [[0], [2], [0], [2]], ran.error


def test_a_wrong_gate_or_a_missing_model_is_refused_before_anything_runs(comfy: Comfy) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"gate": "accept: coherense.coherent > 0.5"}, "Did you mean 'coherence'"),
        ({"preset": "faramir"}, "faramir-v1.pth"),
        ({"preset": "nothing"}, "no preset"),
    ]
    for changes, told in wrong:
        with pytest.raises(Refused) as refused:
            comfy.run(gated("good", **changes))
        assert told in json.dumps(refused.value.told)
    with pytest.raises(Refused) as refused:
        comfy.run({"1": images("good"), "2": node("KeepersSave", images=["1", 0], **SAVE | {"format": "gif"})})
    assert "format" in json.dumps(refused.value.told)


def test_names_outside_the_output_folder_are_refused(comfy: Comfy) -> None:
    before = sorted(path.name for path in comfy.base.iterdir())
    for prefix in ("../../custom_nodes/x/__init__", "/etc/x", "a/../../b"):
        ran = comfy.run(
            {"1": images("good"), "2": node("KeepersSave", images=["1", 0], **SAVE | {"filename_prefix": prefix})}
        )
        assert ran.status == "error"
        assert "Nothing was written" in ran.error
    assert sorted(path.name for path in comfy.base.iterdir()) == before
    assert saved_files(comfy) == []


def test_models_judge_through_the_hosts_memory_management(comfy: Comfy) -> None:
    graph = {
        "1": images("good,good,good"),
        "2": node(
            "KeepersCoherence", images=["1", 0], model="coherence", class_name="coherent", threshold=0.0, **MACHINE
        ),
        "3": node("KeepersRealism", images=["1", 0], model="realism:tiny", class_name="real", threshold=0.5, **MACHINE),
        "4": node("KeepersTag", images=["1", 0], **TAG),
        "5": node(
            "KeepersHeatmap",
            images=["1", 0],
            model="realism:tiny",
            class_name="ai",
            method="grad-cam",
            strength=0.5,
            **MACHINE,
        ),
        "6": node(
            "KeepersGate", images=["1", 0], scores=["2", 4], **GATE | {"gate": "accept: coherence.coherent >= 0"}
        ),
        "7": node("KeepersSave", images=["6", 0], scores=["6", 6], captions=["4", 0], **SAVE),
        "8": node(
            "KeepersCaption",
            captions=["4", 0],
            prompt="",
            template="{trigger}, {tags}",
            trigger="trig",
            last="",
            style="booru",
            recipe="none",
        ),
    }
    for name, wire in {
        "a": ["2", 0],
        "b": ["2", 1],
        "c": ["3", 2],
        "d": ["4", 0],
        "e": ["5", 0],
        "f": ["5", 1],
        "g": ["8", 0],
    }.items():
        graph[name] = node("ProbeSee", value=wire)
    ran = comfy.run(graph)
    assert ran.status == "success", ran.error
    assert len(ran.seen("a")) == len(ran.seen("b")) == len(ran.seen("c")) == len(ran.seen("d")) == 3
    assert ran.seen("e")[0]["shape"] == [3, 96, 96, 3]
    assert ran.seen("f")[0]["shape"] == [3, 96, 96]
    assert all(text.startswith("trig, ") for text in ran.seen("g"))
    assert len(ran.outputs["7"]["images"]) == 3
    assert (comfy.output / "keepers" / "image_00001_.txt").read_text() == ran.seen("d")[0]
    assert "Requested to load" in comfy.log(), "ComfyUI's own management loaded them"


def test_free_memory_lets_the_nets_go_and_the_next_prompt_loads_them_again(comfy: Comfy) -> None:
    graph = {
        "1": images("good", seed=31),
        "2": node("KeepersTag", images=["1", 0], **TAG),
        "3": node("ProbeSee", value=["2", 0]),
    }
    first = comfy.run(graph).seen("3")
    comfy.post("/free", {"unload_models": True, "free_memory": True})
    time.sleep(1.5)
    assert comfy.run(graph).seen("3") == first


def test_load_reads_what_save_wrote(comfy: Comfy) -> None:
    comfy.run(
        gated("good,black") | {"s": node("KeepersSave", images=["1", 0], scores=["2", 7], captions=["1", 3], **SAVE)}
    )
    load = node("KeepersLoad", place="output", folder="keepers", subfolders=True, gate="", most=0, **MACHINE)
    graph = {"1": load, **{name: node("ProbeSee", value=["1", slot]) for slot, name in enumerate("abcdef")}}
    ran = comfy.run(graph)
    assert ran.status == "success", ran.error
    assert ran.seen("b") == ["caption 0"]
    assert ran.seen("d") == ["keepers/image_00001_.png"]
    comfy.run(gated("good", seed=5) | {"s": node("KeepersSave", images=["1", 0], scores=["2", 7], **SAVE)})
    assert comfy.run(graph).seen("e") == [2], "a new file is seen although the inputs are the same"


def test_retry_until_enough_are_accepted_over_the_plain_api(comfy: Comfy) -> None:
    graph = {
        "0": node("KeepersRetryStart", seed=5),
        "1": images("good,black"),
        "2": node("KeepersScore", images=["1", 0], **SCORE),
        "4": node("KeepersSave", images=["1", 0], scores=["2", 0], **SAVE),
        "3": node(
            "KeepersRetryEnd",
            retry=["0", 2],
            images=["1", 0],
            scores=["2", 0],
            report_in=["4", 2],
            wanted=4,
            attempts=9,
            if_too_few="pass on what there is",
        ),
        "5": node("SaveImage", images=["3", 0], filename_prefix="end/image"),
    }
    graph["1"]["inputs"]["seed"] = ["0", 0]
    graph |= {name: node("ProbeSee", value=["3", slot]) for slot, name in enumerate("abcde")}
    ran = comfy.run(graph)
    assert ran.status == "success", ran.error
    assert ran.seen("a")[0]["shape"] == [4, 96, 96, 3]
    assert (ran.seen("c"), ran.seen("d")) == ([4], [4])
    names = saved_files(comfy)
    assert len([name for name in names if name.startswith("keepers/rejected")]) == 4, "every attempt was saved"
    pixels = {np.asarray(Image.open(path)).tobytes() for path in (comfy.output / "end").iterdir()}
    assert len(pixels) == 4, "each attempt had another seed"


def test_retry_ends_when_its_attempts_are_used_up(comfy: Comfy) -> None:
    graph = {
        "0": node("KeepersRetryStart", seed=5),
        "1": images("black"),
        "2": node("KeepersScore", images=["1", 0], **SCORE),
        "3": node(
            "KeepersRetryEnd",
            retry=["0", 2],
            images=["1", 0],
            scores=["2", 0],
            wanted=1,
            attempts=40,
            if_too_few="pass on what there is",
        ),
        "5": node("SaveImage", images=["3", 0], filename_prefix="end/image"),
        "d": node("ProbeSee", value=["3", 3]),
    }
    graph["1"]["inputs"]["seed"] = ["0", 0]
    ran = comfy.run(graph)
    assert ran.status == "success", ran.error
    assert ran.seen("d") == [40]
    assert saved_files(comfy) == []


def test_retry_hands_over_what_could_not_be_judged(comfy: Comfy) -> None:
    end = {"retry": ["0", 2], "images": ["1", 0], "scores": ["2", 0], "wanted": 2, "attempts": 3}
    graph = {
        "0": node("KeepersRetryStart", seed=5),
        "1": images("good,nan"),
        "2": node("KeepersScore", images=["1", 0], **SCORE),
        "3": node("KeepersRetryEnd", **end, if_too_few="pass on what there is"),
        "4": node("KeepersSave", images=["3", 5], scores=["3", 6], **SAVE),
    }
    graph["1"]["inputs"]["seed"] = ["0", 0]
    ran = comfy.run(graph | {name: node("ProbeSee", value=["3", slot]) for slot, name in enumerate("abcdefg")})
    assert ran.status == "success", ran.error
    assert (ran.seen("c"), ran.seen("d")) == ([2], [2])
    assert ran.seen("f")[0]["shape"] == [2, 96, 96, 3]
    assert [name for name in saved_files(comfy) if name.endswith(".png")] == [
        f"keepers/review/image_0000{number}_.png" for number in (1, 2)
    ]


def test_two_prompts_at_once_save_under_different_names(comfy: Comfy) -> None:
    def graph(seed: int) -> Graph:
        return {
            "1": images("good,good", seed=seed),
            "2": node("KeepersScore", images=["1", 0], **SCORE),
            "3": node("KeepersSave", images=["1", 0], scores=["2", 0], **SAVE),
        }

    ids: list[str] = []
    threads = [threading.Thread(target=lambda seed=seed: ids.append(comfy.queue(graph(seed)))) for seed in (51, 52, 53)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [comfy.wait(each).status for each in ids] == ["success"] * 3
    assert [name for name in saved_files(comfy) if name.endswith(".png")] == [
        f"keepers/image_{n:05}_.png" for n in range(1, 7)
    ]


def test_an_interrupt_in_the_middle_leaves_whole_files_only(comfy: Comfy) -> None:
    graph = {
        "1": images(",".join(["good"] * 60), size=512),
        "2": node("KeepersScore", images=["1", 0], **SCORE | {"batch_size": 1}),
        "3": node("KeepersSave", images=["1", 0], scores=["2", 0], **SAVE),
    }
    prompt = comfy.queue(graph)
    until = time.monotonic() + 60
    while not saved_files(comfy) and time.monotonic() < until:
        time.sleep(0.05)
    comfy.post("/interrupt", {})
    assert comfy.wait(prompt).status == "interrupted"
    names = saved_files(comfy)
    assert 0 < len(names) < 60
    for name in names:
        with Image.open(comfy.output / name) as image:
            image.load()
        assert read_record(comfy.output / name) is not None
    assert comfy.run(gated("good")).status == "success", "the server goes on"


def test_after_a_restart_the_same_prompt_saves_under_new_names(comfy: Comfy) -> None:
    graph = {
        "1": images("good"),
        "2": node("KeepersScore", images=["1", 0], **SCORE),
        "3": node("KeepersSave", images=["1", 0], scores=["2", 0], **SAVE),
    }
    assert comfy.run(graph).status == "success"
    comfy.stop()
    comfy.launch()
    assert comfy.run(graph).status == "success"
    assert saved_files(comfy) == ["keepers/image_00001_.png", "keepers/image_00002_.png"]


@pytest.mark.parametrize("path", sorted((ROOT / "example_workflows").glob("*.json")), ids=lambda path: path.stem)
def test_the_example_workflows_run(comfy: Comfy, path: Path) -> None:
    """As they are shipped, but without a sampler, with tiny models and two images."""
    if not CHECKPOINT and "KSampler" in path.read_text():
        pytest.skip("needs COMFYUI_CHECKPOINT, a Stable Diffusion 1.5 file; random weights will do")
    place = comfy.base / "input"
    place.mkdir(exist_ok=True)
    shutil.copy(next((ROOT / "examples" / "images").rglob("*.png")), place / "example.png")
    (comfy.output / "keepers").mkdir(exist_ok=True)
    shutil.copy(place / "example.png", comfy.output / "keepers" / "example.png")
    graph = to_api(json.loads(path.read_text()), comfy.get("/object_info"))
    for each in graph.values():
        smaller(each["inputs"], each["class_type"])
    ran = comfy.run(graph, seconds=900)
    assert ran.status == "success", ran.error


def smaller(inputs: dict[str, Any], kind: str) -> None:
    """Make a node of an example small enough for a test, and choose models that are here."""
    if kind == "EmptyLatentImage":
        inputs |= {"width": 64, "height": 64, "batch_size": 2}
    elif kind == "KSampler":
        inputs |= {"steps": 1, "cfg": 1.0}
    elif kind == "CheckpointLoaderSimple":
        inputs["ckpt_name"] = "random.safetensors"
    elif kind == "LoadImage":
        inputs["image"] = "example.png"
    elif kind == "KeepersTag":
        inputs |= {"model": "wd", "threshold": 0.01}
    elif kind == "KeepersHeatmap":
        inputs["model"] = "realism:tiny"
    elif kind in ("KeepersGate", "KeepersScore"):
        inputs["gate"] = inputs["gate"] if "signals" in inputs["gate"] else "accept: coherence.coherent >= 0"
    elif kind == "KeepersRetryEnd":
        inputs |= {"wanted": 1, "attempts": 2}


@pytest.mark.skipif(not CHECKPOINT, reason="needs COMFYUI_CHECKPOINT, a Stable Diffusion 1.5 file")
def test_a_real_sampler_through_gate_and_save(comfy: Comfy) -> None:
    graph = {
        "1": node("CheckpointLoaderSimple", ckpt_name="random.safetensors"),
        "2": node("CLIPTextEncode", text="a fox", clip=["1", 1]),
        "3": node("EmptyLatentImage", width=64, height=64, batch_size=3),
        "4": node(
            "KSampler",
            model=["1", 0],
            positive=["2", 0],
            negative=["2", 0],
            latent_image=["3", 0],
            seed=1,
            steps=1,
            cfg=1.0,
            sampler_name="euler",
            scheduler="normal",
            denoise=1.0,
        ),
        "5": node("VAEDecode", samples=["4", 0], vae=["1", 2]),
        "6": node(
            "KeepersGate", images=["5", 0], latents=["4", 0], **GATE | {"gate": "accept: coherence.coherent >= 0"}
        ),
        "7": node("KeepersSave", images=["5", 0], scores=["6", 7], **SAVE),
        "8": node("VAEDecode", samples=["6", 3], vae=["1", 2]),
        "9": node("ProbeSee", value=["8", 0]),
        "10": node("ProbeSee", value=["6", 8]),
    }
    ran = comfy.run(graph, seconds=900)
    assert ran.status == "success", ran.error
    assert ran.seen("10") == [3]
    assert ran.seen("9")[0]["shape"] == [3, 64, 64, 3]
    assert len(ran.outputs["7"]["images"]) == 3
