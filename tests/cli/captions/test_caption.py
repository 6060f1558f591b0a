"""The commands caption and tags, with a tagger that reads colours."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from typer.testing import CliRunner

from keepers.cli.app import app
from keepers.cli.recipe import with_default_tagger
from keepers.core.captions.files import CaptionFiles, Written
from keepers.core.captions.journal import NAME
from keepers.core.captions.writer import Caption
from keepers.core.metadata.write import read_record
from keepers.core.prediction import Floats, Labels
from keepers.core.spec import Build, ModelSpec, Network
from keepers.core.weights.weight_file import WeightFile
from keepers.models.registry import REGISTRY

LABELS = Labels(("red_sky", "green_grass", "blue_sea", "safe"), ("general", "general", "species", "rating"))
RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (20, 230, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)


@dataclass(frozen=True)
class Mean:
    def __call__(self, image: Image.Image) -> torch.Tensor:
        return torch.from_numpy(np.asarray(image.convert("RGB"), np.float32) / 255).mean((0, 1))


class Colours(torch.nn.Module):
    def forward(self, means: torch.Tensor) -> torch.Tensor:
        return torch.cat([means, torch.full((len(means), 1), 0.9)], 1)


def build(request: Build) -> Network:
    def name(values: Floats) -> tuple[str, float]:
        return "safe", float("inf")

    return Network(Colours(), LABELS, (Mean(),), name)


COLOURS = ModelSpec("colours", "", "", "", "", build, tags={"": 0.5}, labels=lambda: LABELS)


@pytest.fixture(autouse=True)
def tagger(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(REGISTRY, "_specs", {"colours": COLOURS})
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "data"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for name, colour in {"red": RED, "green": GREEN, "white": WHITE, "black": BLACK}.items():
        save(folder / f"{name}.png", colour)
    return folder


def save(path: Path, colour: tuple[int, int, int], prompt: str = "") -> None:
    info = PngInfo()
    if prompt:
        info.add_text("parameters", f"{prompt}\nNegative prompt: bad\nSteps: 20, Sampler: Euler, Seed: 1, Size: 8x8")
    Image.new("RGB", (8, 8), colour).save(path, pnginfo=info)


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def captions(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in sorted(folder.rglob("*.txt"))}


def test_captions_are_written_beside_their_images(folder: Path) -> None:
    output = run("caption", folder, "--first", "tok")
    assert captions(folder) == {
        "black.txt": "tok",
        "green.txt": "tok, green grass",
        "red.txt": "tok, red sky",
        "white.txt": "tok, red sky, green grass, blue sea",
    }
    assert "4 images" in output
    assert "4 new captions" in output
    assert "1 have no tag" in output


def test_empty_captions_are_counted_and_written_when_wanted(folder: Path) -> None:
    assert "1 had nothing to say" in run("caption", folder)
    assert set(captions(folder)) == {"green.txt", "red.txt", "white.txt"}
    run("caption", folder, "--empty", "write")
    assert captions(folder)["black.txt"] == ""


def test_existing_captions_are_kept_unless_said_otherwise(folder: Path) -> None:
    (folder / "red.txt").write_text("mine, Red Sky", "utf-8")
    assert "1 had a caption already" in run("caption", folder)
    assert captions(folder)["red.txt"] == "mine, Red Sky"
    run("caption", folder, "--existing", "merge", "--last", "end")
    assert captions(folder)["red.txt"] == "mine, Red Sky, end"


INFOTEXT = "a newt\nNegative prompt: fog\nSteps: 24, Sampler: Euler a, CFG scale: 7, Seed: 5, Model: moss\n"


def test_generation_data_beside_an_image_is_left_alone_and_told(folder: Path) -> None:
    (folder / "red.txt").write_text(INFOTEXT, "utf-8")
    assert "1 have generation data in that file" in run("caption", folder, "--existing", "append")
    assert captions(folder)["red.txt"] == INFOTEXT
    output = run("tags", folder, "--top", 0)
    assert "Steps" not in output and "newt" not in output
    assert "1 text files say how their image was made" in output


def test_hidden_folders_are_passed_by_and_counted(folder: Path) -> None:
    (folder / ".thumbnails").mkdir()
    save(folder / ".thumbnails" / "red.png", RED)
    assert "skipped 1 in 1 hidden folder; --hidden takes them" in run("caption", folder)
    assert "skipped" not in run("tags", folder, "--hidden")
    assert not (folder / ".thumbnails" / "red.txt").exists()
    run("caption", folder, "--hidden")
    assert (folder / ".thumbnails" / "red.txt").exists()


def test_a_dry_run_shows_differences_and_writes_nothing(folder: Path) -> None:
    (folder / "red.txt").write_text("old", "utf-8")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    output = run("caption", folder, "--dry-run", "--existing", "overwrite")
    assert "- old + red sky" in output
    assert "(new) + green grass" in output
    assert "nothing was written" in output
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_undo(folder: Path) -> None:
    (folder / "red.txt").write_text("old", "utf-8")
    run("caption", folder, "--existing", "overwrite")
    (folder / "green.txt").write_text("edited", "utf-8")
    output = run("caption", folder, "--undo")
    assert "1 new files removed, 1 restored" in output
    assert "green.txt: changed since" in output
    assert captions(folder) == {"green.txt": "edited", "red.txt": "old"}
    assert not (folder / NAME).exists()
    assert "nothing to take back" in run("caption", folder, "--undo")


def test_options_of_the_recipe(folder: Path) -> None:
    options = ["--order", "alphabet", "--style", "e621", "--exclude", "blue sea", "--rename", "red_sky=crimson sky"]
    run("caption", folder, *options, "--trailing", "--rating", "--separator", " | ", "--only", "*")
    assert captions(folder)["white.txt"] == "safe | crimson_sky | green_grass |"


def test_a_recipe_from_a_file_gives_way_to_options(folder: Path) -> None:
    file = folder.parent / "recipes.toml"
    file.write_text('[a]\nfirst = ["tok"]\nlimit = 1\n[b]\nlimit = 2\n', "utf-8")
    run("caption", folder, "--recipe", f"{file}#a", "--first", "other")
    assert captions(folder)["white.txt"] == "other, red sky"
    assert "'lost'" in run("caption", folder, "--recipe", f"{file}#lost", code=1)


def test_prompts_are_captions_without_a_tagger(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(folder / "red.png", RED, "a (red:1.3) sky, <lora:x:1>, best quality")
    monkeypatch.setattr(REGISTRY, "_specs", {})
    run("caption", folder, "--from", "prompt", "--exclude", "best*")
    assert captions(folder) == {"red.txt": "a red sky"}
    assert "--from prompt" in run("caption", folder, code=1)
    assert "had a caption already" in run("caption", folder, "--from", "auto")


@pytest.mark.parametrize("damage", ["cut", "pixels", "empty", "text", "gone"])
def test_a_broken_file_is_told_whatever_its_prompt(folder: Path, damage: str) -> None:
    save(folder / "red.png", RED, "a red sky")
    save(folder / "blue.png", BLUE, "a blue sky")
    whole = (folder / "blue.png").read_bytes()
    at = whole.index(b"IDAT")
    broken = {
        "cut": whole[: at + 8],
        "pixels": whole[: at + 4] + b"x" * 12 + whole[at + 16 :],
        "empty": b"",
        "text": b"x",
    }
    if damage == "gone":
        (folder / "blue.png").unlink()
    else:
        (folder / "blue.png").write_bytes(broken[damage])
    output = run("caption", folder, folder / "blue.png", "--from", "prompt", "--first", "tok", code=3)
    assert "1 got none, because:" in output
    assert "blue.png" in output
    assert "had nothing to say" not in output
    assert captions(folder)["red.txt"] == "tok, a red sky"
    assert "blue.txt" not in captions(folder)


def test_missing_weights_are_one_clear_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = ModelSpec("far", "", "", "", "", build, weights=(WeightFile("far.safetensors"),), tags={"": 0.5})
    monkeypatch.setattr(REGISTRY, "_specs", {"far": spec})
    assert "keepers fetch far" in run("caption", folder, code=1)
    assert "far.safetensors" in run("caption", folder, "--tagger", "far", code=1)
    assert captions(folder) == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tagger", "colors"], "colours"),
        (["--style", "boru"], "'booru'"),
        (["--threshold", "1.5"], "between 0 and 1"),
        (["--tagger", "colours=x"], "no number"),
        (["--rename", "a"], "NAME=VALUE"),
        (["--template", "{tag}"], "'tags'"),
        (["--extension", ".png"], "image"),
        (["--recipe", "nowhere.toml"], "nowhere.toml"),
        (["--gate", "accept: colours.blue_see > 1"], "blue_sea"),
        (["--training", "out", "--name", "../x"], "must not contain slashes"),
        (["--training", "out"], "needs a name"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_written(folder: Path, arguments: list[str], message: str) -> None:
    assert message in run("caption", folder, *arguments, code=1)
    assert captions(folder) == {}


def test_only_accepted_images_get_captions(folder: Path) -> None:
    output = run("caption", folder, "--gate", "review: colours.blue_sea > 0.5; accept: colours.red_sky > 0.5")
    assert captions(folder) == {"red.txt": "red sky"}
    assert "2 rejected by the gate" in output
    assert "1 left to review" in output


def test_rejected_folders_are_entered_only_when_asked(folder: Path) -> None:
    (folder / "rejected").mkdir()
    save(folder / "rejected" / "bad.png", RED)
    run("caption", folder)
    assert "bad.txt" not in captions(folder)
    run("caption", folder, "--rejected")
    assert "bad.txt" in captions(folder)


def test_images_that_share_a_caption_file_get_none_and_are_told(folder: Path) -> None:
    Image.new("RGB", (8, 8), BLUE).save(folder / "red.jpg")
    output = run("caption", folder, code=3)
    assert output.count("rename one of them") == 2
    assert set(captions(folder)) == {"green.txt", "white.txt"}


def test_unreadable_images_are_told(folder: Path) -> None:
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nonsense")
    output = run("caption", folder, code=3)
    assert "1 got none, because:" in output
    assert "broken.png" in output
    assert "red.txt" in captions(folder)


def test_a_caption_that_cannot_be_short_enough_is_told(folder: Path) -> None:
    output = run("caption", folder, "--first", "a very long trigger", "--max-characters", "10", code=3)
    assert "4 got none" in output
    assert "max_characters" in output


def test_required_tags(folder: Path) -> None:
    assert "2 lacked a required tag" in run("caption", folder, "--require", "red*")
    assert set(captions(folder)) == {"red.txt", "white.txt"}


def test_captions_inside_images(folder: Path) -> None:
    pixels = {path.name: Image.open(path).tobytes() for path in folder.glob("*.png")}
    run("caption", folder, "--embed")
    record = read_record(folder / "red.png")
    assert record is not None
    assert record.caption == "red sky"
    assert {path.name: Image.open(path).tobytes() for path in folder.glob("*.png")} == pixels
    run("caption", folder, "--undo")
    record = read_record(folder / "red.png")
    assert record is not None
    assert record.caption == ""
    assert captions(folder) == {}


def test_an_image_that_takes_no_metadata_still_gets_its_caption_file(folder: Path) -> None:
    Image.new("RGB", (8, 8), RED).save(folder / "flat.bmp")
    output = run("caption", folder, "--embed", code=3)
    assert "flat.bmp: is not PNG, JPEG or WebP" in output
    assert captions(folder)["flat.txt"] == "red sky"


def test_an_interrupted_run_keeps_what_it_has_and_can_be_taken_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = CaptionFiles.put

    def stop_at_white(files: CaptionFiles, image: Path, caption: Caption) -> Written:
        if image.stem == "white":
            raise KeyboardInterrupt
        return put(files, image, caption)

    monkeypatch.setattr(CaptionFiles, "put", stop_at_white)
    assert "3 images" in run("caption", folder, code=130)
    assert set(captions(folder)) == {"green.txt", "red.txt"}
    run("caption", folder, "--undo")
    assert captions(folder) == {}


def test_folders_for_trainers(folder: Path) -> None:
    (folder / "sub").mkdir()
    save(folder / "sub" / "red.png", BLUE)
    out = folder.parent / "train"
    arguments = ["caption", folder, "--training", out, "--repeats", 5, "--name", "tok dog", "--embed"]
    run(*arguments)
    target = out / "5_tok dog"
    assert {p.name for p in target.iterdir() if p.name != NAME} == {
        *("black.png", "green.png", "green.txt", "red-1.png", "red-1.txt", "red.png", "red.txt"),
        *("white.png", "white.txt"),
    }
    assert captions(target)["red-1.txt"] == "blue sea"
    assert captions(folder) == {}
    assert read_record(folder / "red.png") is None, "originals stay as they are"
    run("caption", folder, "--undo", "--training", out)
    assert list(target.iterdir()) == []
    run(*arguments[:-1])
    before = sorted(target.iterdir())
    run(*arguments[:-1])
    assert sorted(target.iterdir()) == before, "a second run copies nothing again"


def test_predictions_are_remembered(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    db = tmp_path / "some.db"
    run("caption", folder, "--db", db)
    asked = 0

    def forward(_: Colours, means: torch.Tensor) -> torch.Tensor:
        nonlocal asked
        asked += len(means)
        return torch.zeros(len(means), 4)

    monkeypatch.setattr(Colours, "forward", forward)
    run("caption", folder, "--db", db, "--existing", "overwrite", "--first", "new")
    assert asked == 0
    assert captions(folder)["red.txt"] == "new, red sky"


def test_nothing_is_remembered_when_prompts_suffice(folder: Path, tmp_path: Path) -> None:
    run("caption", folder, "--from", "prompt")
    assert not (tmp_path / "data").exists()


def test_hidden_control_characters_reach_no_terminal(folder: Path) -> None:
    save(folder / "red.png", RED, "a \x1b[31mred\x07 [bold]sky[/bold]")
    output = CliRunner().invoke(app, ["caption", str(folder), "--from", "prompt", "--dry-run"]).output
    assert "\x1b[31mred" not in output
    assert "\x07" not in output


def test_the_default_tagger_is_the_first_that_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    from keepers.core.captions.recipe import CaptionRecipe, Tagger
    from keepers.core.weights.store import WeightStore

    far = ModelSpec("far", "", "", "", "", build, weights=(WeightFile("far.safetensors"),), tags={"": 0.5})
    monkeypatch.setattr(REGISTRY, "_specs", {"far": far, "colours": COLOURS})
    found = with_default_tagger(CaptionRecipe(), WeightStore([]), fall_back=False)
    assert found.taggers == (Tagger("colours"),)


# --- tags ------------------------------------------------------------------------------------------------------------


def test_tags_are_counted(folder: Path) -> None:
    (folder / "red.txt").write_text("red sky, solo", "utf-8")
    (folder / "green.txt").write_text("red_sky", "utf-8")
    (folder / "white.txt").write_text("", "utf-8")
    output = run("tags", folder, "--pairs", 5)
    assert "red sky 2 67%" in output.replace("red_sky", "red sky")
    assert "solo" in output
    assert "3 captions, 2 tags, 1 empty captions" in output
    assert "1 images have no caption file" in output
    assert "50%" in output


def test_tags_as_a_table_and_a_page(folder: Path) -> None:
    (folder / "red.txt").write_text("a, =cmd()", "utf-8")
    (folder / "green.txt").write_text('{"tags": {"a": 0.9}}', "utf-8")
    table, page = folder / "t.csv", folder / "t.html"
    run("tags", folder, "--csv", table, "--report", page)
    assert list(csv.reader(table.read_text("utf-8").splitlines())) == [
        ["tag", "images", "share"],
        ["a", "2", "1.0000"],
        ["'=cmd()", "1", "0.5000"],
    ]
    assert "Most frequent tags" in page.read_text("utf-8")
    result = CliRunner().invoke(app, ["tags", str(folder), "--csv", "-", "--pairs", "3"])
    assert result.stdout.splitlines() == ["tag,with,images,overlap,lift", "a,'=cmd(),1,0.5000,1.0000"]


def test_captions_that_cannot_be_read_are_told(folder: Path) -> None:
    (folder / "red.txt").write_bytes(b"\xff")
    assert "not UTF-8" in run("tags", folder, code=3)
    assert "no image" in run("tags", folder / "red.txt", code=3)
