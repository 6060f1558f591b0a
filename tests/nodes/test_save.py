"""Save Keepers writes what SaveImage would write, and captions and scores with it; Load Keepers reads it all back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import folder_paths
import numpy as np
import pytest
import torch
from comfy import cli_args
from comfy_api.io import HiddenHolder
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from keepers.core.errors import KeepersError, OutsideFolder
from keepers.core.metadata.read import read_generation
from keepers.core.metadata.write import read_record
from keepers.nodes.host.images import picture
from keepers.nodes.load import KeepersLoad
from keepers.nodes.save import DROP, FOLDER, NO_CAPTION, KeepersSave
from keepers.nodes.score import KeepersScore
from keepers.tests.nodes.comfy_stub import MACHINE, SCORE, batch, comfy, good, run
from keepers.tests.nodes.test_nodes import blocked, outputs

__all__ = ["comfy"]

PROMPT = {"3": {"class_type": "KSampler", "inputs": {"seed": 5}}}
WORKFLOW = {"workflow": {"nodes": [], "version": 0.4}}
SAVE: dict[str, Any] = {
    "filename_prefix": ["keepers/image"],
    "format": ["png"],
    "quality": [90],
    "caption_file": [".txt"],
}
SAVE |= {"workflow": [True], "embed_scores": [True], "review": [FOLDER], "rejected": [FOLDER]}
LOAD: dict[str, Any] = {"place": ["output"], "folder": ["keepers"], "subfolders": [False], "gate": [""], "most": [0]}
LOAD |= MACHINE


def save(**inputs: Any) -> Any:
    """What Save Keepers answers, with the prompt and the workflow that the engine gives it."""
    return run(KeepersSave, HiddenHolder("9", PROMPT, WORKFLOW), **SAVE | inputs)


def scores_of(images: torch.Tensor) -> Any:
    """The scores of the preset signals."""
    return outputs(KeepersScore, run(KeepersScore, images=[images], **SCORE))["scores"]


def files(folder: Path) -> list[str]:
    """All files below a folder, by their names from there."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_images_captions_and_verdicts_go_where_they_belong(comfy: Any, tmp_path: Path) -> None:
    images = batch("good,black,good,nan")
    answer = save(images=[images], scores=[scores_of(images)], captions=["a", "b", "c", "d"])
    found = outputs(KeepersSave, answer)
    assert files(tmp_path / "output" / "keepers") == [
        "image_00001_.png",
        "image_00001_.txt",
        "image_00003_.png",
        "image_00003_.txt",
        "rejected/image_00002_.png",
        "rejected/image_00002_.txt",
        "review/image_00004_.png",
        "review/image_00004_.txt",
    ]
    assert (tmp_path / "output" / "keepers" / "image_00003_.txt").read_text() == "c"
    assert found["files"] == ["keepers/image_00001_.png", "keepers/image_00003_.png"]
    assert torch.equal(found["accepted"][0], images[[0, 2]])
    assert [each["filename"] for each in answer.ui["images"]] == ["image_00001_.png", "image_00003_.png"]
    assert answer.ui["rejected"] == [
        {"filename": "image_00002_.png", "subfolder": "keepers/rejected", "type": "output"}
    ]
    assert comfy.told[-1] == ("2 accepted, 1 rejected, 1 could not be judged", "9")


@pytest.mark.parametrize("filled", ["../outside/image", "keepers/../../image", "/etc/image"])
def test_what_placeholders_become_stays_inside_too(
    comfy: Any, tmp_path: Path, filled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The prefix is harmless as it is written; only what the host makes of it leads outside."""

    def save_path(prefix: str, output: str, *_: int) -> tuple[str, str, int, str, str]:
        path = Path(output, filled)
        return str(path.parent), path.name, 1, "", filled

    monkeypatch.setattr(folder_paths, "get_save_image_path", save_path)
    with pytest.raises(OutsideFolder):
        save(images=[good(1)], filename_prefix=["%secret%"])
    assert files(tmp_path) == []


def test_a_png_is_what_save_image_writes(comfy: Any, tmp_path: Path) -> None:
    images = good(1)
    save(images=[images], scores=[scores_of(images)], captions=["a fox"])
    path = tmp_path / "output" / "keepers" / "image_00001_.png"
    with Image.open(path) as saved:
        assert json.loads(saved.text["prompt"]) == PROMPT  # pyright: ignore[reportAttributeAccessIssue]  a PNG has it
        assert json.loads(saved.text["workflow"]) == WORKFLOW["workflow"]  # pyright: ignore[reportAttributeAccessIssue]
        assert np.array_equal(np.asarray(saved), np.asarray(picture(images[0])))
    record = read_record(path)
    assert record is not None
    assert (record.verdict, record.caption) == ("accept", "a fox")
    assert record.scores["signals"]["ok"] == 1.0


@pytest.mark.parametrize(("form", "name"), [("webp", "WEBP"), ("webp lossless", "WEBP"), ("jpeg", "JPEG")])
def test_other_formats_carry_workflow_and_scores(comfy: Any, tmp_path: Path, form: str, name: str) -> None:
    images = good(1)
    save(images=[images], scores=[scores_of(images)], format=[form])
    (path,) = (each for each in (tmp_path / "output" / "keepers").iterdir())
    with Image.open(path) as saved:
        assert saved.format == name
        exif = saved.getexif()
        assert exif[0x0110] == f"prompt:{json.dumps(PROMPT)}"
        assert exif[0x010F] == f"workflow:{json.dumps(WORKFLOW['workflow'])}"
        if form == "webp lossless":
            assert np.array_equal(np.asarray(saved.convert("RGB")), np.asarray(picture(images[0])))
    record = read_record(path)
    assert record is not None
    assert record.verdict == "accept"
    assert read_generation(path).texts


def test_a_jpeg_without_room_for_the_workflow_is_saved_all_the_same(comfy: Any, tmp_path: Path) -> None:
    images = torch.cat([good(1), torch.ones(1, 96, 96, 1)], dim=3)
    large = HiddenHolder("9", {"3": {"text": "x" * 70000}}, {})
    found = outputs(KeepersSave, run(KeepersSave, large, images=[images], **SAVE | {"format": ["jpeg"]}))
    assert files(tmp_path / "output") == ["keepers/image_00001_.jpg"]
    assert "no room" in found["report"]


def test_metadata_is_left_out_when_asked(comfy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = good(1)
    save(images=[images], scores=[scores_of(images)], workflow=[False])
    save(images=[images], scores=[scores_of(images)], embed_scores=[False])
    monkeypatch.setattr(cli_args.args, "disable_metadata", True)
    save(images=[images], scores=[scores_of(images)])
    kept = []
    for number in (1, 2, 3):
        with Image.open(tmp_path / "output" / "keepers" / f"image_{number:05}_.png") as saved:
            kept.append(sorted(saved.text))  # pyright: ignore[reportAttributeAccessIssue]  a PNG has it
    assert kept == [["keepers"], ["prompt", "workflow"], []]


def test_numbers_go_on_and_nothing_is_overwritten(comfy: Any, tmp_path: Path) -> None:
    folder = tmp_path / "output" / "keepers"
    (folder / "rejected").mkdir(parents=True)
    (folder / "image_00002_.png").write_bytes(b"somebody's")
    (folder / "rejected" / "image_00007_.png").write_bytes(b"somebody's")
    (folder / "image_00008_.txt").write_text("somebody's")
    (folder / "image_00009_.webp").write_text("somebody's")
    save(images=[good(1)], captions=["mine"])
    save(images=[good(2)], format=["webp"])
    assert {"image_00010_.png", "image_00010_.txt", "image_00011_.webp", "image_00012_.webp"} <= set(files(folder))
    assert (folder / "image_00008_.txt").read_text() == "somebody's"
    assert (folder / "image_00002_.png").read_bytes() == b"somebody's"


def test_a_name_taken_in_the_meantime_is_passed_over(
    comfy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "output" / "keepers"
    folder.mkdir()
    (folder / "image_00001_.png").write_bytes(b"other")
    monkeypatch.setattr("keepers.nodes.host.file_series._numbers", lambda *_: [])
    save(images=[good(1)])
    assert files(folder) == ["image_00001_.png", "image_00002_.png"]
    assert (folder / "image_00001_.png").read_bytes() == b"other"


@pytest.mark.parametrize(
    "prefix", ["../out", "/etc/x", "a/../../b", "C:\\x", "..\\x", "a\0b", "CON", "x" * 300, "~/x", "$HOME/x", ""]
)
def test_names_stay_inside_the_output_folder(comfy: Any, tmp_path: Path, prefix: str) -> None:
    with pytest.raises(OutsideFolder):
        save(images=[good(1)], filename_prefix=[prefix])
    assert files(tmp_path) == []
    assert [path.name for path in (tmp_path / "output").iterdir()] == [], "no folder either"


@pytest.mark.parametrize(("name", "value"), [("format", "gif"), ("caption_file", "/../../x"), ("caption_file", ".png")])
def test_a_menu_takes_only_what_it_has(comfy: Any, tmp_path: Path, name: str, value: str) -> None:
    """ComfyUI 0.3.64 does not look at the menus of such nodes."""
    assert value in str(KeepersSave.validate_inputs(**{name: [value]}))
    with pytest.raises(KeepersError, match=name.partition("_")[0]):
        save(images=[good(1)], captions=["x"], **{name: [value]})
    assert files(tmp_path) == []


def test_a_link_out_of_the_output_folder_is_refused(comfy: Any, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "output" / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutsideFolder):
        save(images=[good(1)], filename_prefix=["link/x"])
    assert files(tmp_path / "elsewhere") == []


def test_placeholders_are_the_hosts(comfy: Any, tmp_path: Path) -> None:
    save(images=[good(2)], filename_prefix=["%width%x%height%/b%batch_num%"])
    assert files(tmp_path / "output") == ["96x96/b0_00001_.png", "96x96/b1_00002_.png"]


def test_dropped_images_are_counted_and_told(comfy: Any, tmp_path: Path) -> None:
    images = batch("black,good")
    gate = SCORE | {"gate": ['reject: signals.label == "black"; review: signals.spread > 0']}
    scores = outputs(KeepersScore, run(KeepersScore, images=[images], **gate))["scores"]
    answer = save(images=[images], scores=[scores], rejected=[DROP], review=[DROP])
    found = outputs(KeepersSave, answer)
    assert files(tmp_path / "output") == []
    assert blocked(found["accepted"])
    assert blocked(found["files"])
    assert answer.ui["images"] == []
    assert set(answer.ui) == {"images", "review", "rejected"}
    assert found["report"].startswith("0 accepted, 1 for review (not saved), 1 rejected (not saved)")


def test_nothing_in_nothing_saved(comfy: Any, tmp_path: Path) -> None:
    answer = save(images=[torch.zeros(0, 8, 8, 3)])
    assert answer.ui == {"images": [], "review": [], "rejected": []}
    assert files(tmp_path / "output") == []


def test_captions_for_all_none_and_too_few(comfy: Any, tmp_path: Path) -> None:
    save(images=[good(2)], captions=["for both"])
    save(images=[good(1)], captions=["unwritten"], caption_file=[NO_CAPTION])
    folder = tmp_path / "output" / "keepers"
    assert [name for name in files(folder) if name.endswith("txt")] == ["image_00001_.txt", "image_00002_.txt"]
    with pytest.raises(ValueError, match="3 images, but 2 captions"):
        save(images=[good(3)], captions=["a", "b"])
    with pytest.raises(KeepersError, match="3 images, but scores of 2"):
        save(images=[good(3)], scores=[scores_of(good(2))])


def test_load_reads_back_what_was_saved(comfy: Any) -> None:
    images = batch("good,black,good")
    save(images=[images], scores=[scores_of(images)], captions=["a", "b", "c"])
    found = outputs(KeepersLoad, run(KeepersLoad, **LOAD))
    assert found["files"] == ["keepers/image_00001_.png", "keepers/image_00003_.png"]
    assert found["captions"] == ["a", "c"]
    assert found["count"] == 2
    assert np.array_equal(np.asarray(picture(found["images"][0][0])), np.asarray(picture(images[0])))
    every = outputs(KeepersLoad, run(KeepersLoad, **LOAD | {"subfolders": [True]}))
    assert every["count"] == 2
    assert every["report"].startswith("2 of 3 accepted, 1 rejected")
    black = LOAD | {"subfolders": [True], "gate": ['accept: signals.label == "black"']}
    assert outputs(KeepersLoad, run(KeepersLoad, **black))["files"] == ["keepers/rejected/image_00002_.png"]


def test_load_asks_no_model_that_the_files_know(comfy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    images = good(2)
    save(images=[images], scores=[scores_of(images)])
    monkeypatch.setattr("keepers.nodes.load.open_image", lambda *_: pytest.fail("opened for judging"))
    gate = LOAD | {"gate": ["accept: signals.ok < 0.5"]}
    assert outputs(KeepersLoad, run(KeepersLoad, **gate))["count"] == 0


def test_load_of_a_broken_file_is_for_review_and_nothing_is_lost(comfy: Any, tmp_path: Path) -> None:
    save(images=[good(1)])
    (tmp_path / "output" / "keepers" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    for gate in ("", 'accept: signals.label == "ok"'):
        found = outputs(KeepersLoad, run(KeepersLoad, **LOAD | {"gate": [gate]}))
        assert found["count"] == 1
        assert "1 could not be judged" in found["report"]


def test_load_notes_how_models_saw_a_picture(comfy: Any, tmp_path: Path) -> None:
    folder = tmp_path / "output" / "keepers"
    folder.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 64), "red").save(folder / "turned.png", exif=exif)
    found = outputs(KeepersLoad, run(KeepersLoad, **LOAD | {"gate": ["accept: signals.side > 1"]}))
    assert "EXIF rotation is not applied" in found["report"].splitlines()[1]


def test_load_stays_inside_and_sees_new_files(comfy: Any) -> None:
    with pytest.raises(OutsideFolder):
        run(KeepersLoad, **LOAD | {"folder": ["../.."]})
    assert "go" in str(KeepersLoad.validate_inputs(gate=[""], place=["output"], folder=["../x"]))
    before = KeepersLoad.fingerprint_inputs(["output"], ["keepers"], [False])
    save(images=[good(1)])
    assert KeepersLoad.fingerprint_inputs(["output"], ["keepers"], [False]) != before


def test_load_gives_the_prompt_of_an_image_without_a_caption(comfy: Any, tmp_path: Path) -> None:
    folder = tmp_path / "output" / "keepers"
    folder.mkdir(parents=True)
    infotext = "a (red:1.2) newt\nNegative prompt: fog\nSteps: 9, Sampler: Euler, Seed: 1, Size: 8x8"
    for name in ("a", "b"):
        info = PngInfo()
        info.add_text("parameters", infotext)
        picture(good(1)[0]).save(folder / f"{name}.png", pnginfo=info)
    (folder / "a.txt").write_text(infotext, "utf-8")
    (folder / ".thumbnails").mkdir()
    picture(good(1)[0]).save(folder / ".thumbnails" / "a.png")
    found = outputs(KeepersLoad, run(KeepersLoad, **LOAD | {"subfolders": [True]}))
    assert found["captions"] == ["a red newt", "a red newt"]
