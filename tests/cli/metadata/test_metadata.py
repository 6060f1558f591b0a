"""`keepers metadata` says what a file says, and nothing that a terminal would obey."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from typer.testing import CliRunner

from keepers.cli.app import app
from keepers.core.metadata.record import Record
from keepers.core.metadata.write import embed

INFOTEXT = (
    "a newt, <lora:moss:0.5>\nsecond line\nNegative prompt: fog\nSteps: 24, Sampler: Euler a, Schedule type: Karras, "
    'CFG scale: 6.5, Seed: 5, Size: 64x48, Model hash: ab12, Model: pond, Lora hashes: "moss: cd34"'
)


def png(path: Path, **texts: str) -> Path:
    info = PngInfo()
    for key, text in texts.items():
        info.add_itxt(key, text)
    Image.new("RGB", (8, 8)).save(path, pnginfo=info)
    return path


def run(*arguments: object, code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["metadata", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def test_a_file_for_people(tmp_path: Path) -> None:
    path = png(tmp_path / "a.png", parameters=INFOTEXT, other="x")
    embed(path, Record("accept", "accept: clear", caption="newt"))
    text = run(path).stdout
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0] == str(path)
    for line in ("program Stable Diffusion WebUI", "prompt a newt, <lora:moss:0.5>", "second line", "negative fog",
                 "seed 5", "sampler Euler a Karras", "steps 24", "cfg 6.5", "size 64 x 48", "model pond (ab12)",
                 "LoRA moss at 0.5 (cd34)", "keepers accept: clear", "caption newt",
                 "note metadata of unknown form under 'other'"):  # fmt: skip
        assert line in lines, line
    assert "text 'parameters'" not in text and "text 'parameters'" in run(path, "--texts").stdout
    assert "says nothing" in run(png(tmp_path / "b.png")).stdout


def test_a_file_as_json(tmp_path: Path) -> None:
    path = png(tmp_path / "a.png", parameters=INFOTEXT)
    embed(path, Record("accept"))
    (found,) = json.loads(run(path, "--json").stdout)
    assert (found["source"], found["program"], found["seed"]) == ("a1111", "Stable Diffusion WebUI", 5)
    assert found["loras"] == [{"name": "moss", "weight": 0.5, "hash": "cd34"}]
    assert found["record"]["verdict"] == "accept" and found["settings"]["Size"] == "64x48"
    assert "texts" not in found
    (found,) = json.loads(run(path, "--json", "--texts").stdout)
    assert found["texts"]["parameters"] == INFOTEXT


def test_folders_and_what_cannot_be_read(tmp_path: Path) -> None:
    png(tmp_path / "a.png", parameters=INFOTEXT)
    (tmp_path / ".thumbnails").mkdir()
    png(tmp_path / ".thumbnails" / "a.png")
    result = run(tmp_path, tmp_path / "gone.png", "--json", code=3)
    first, second = json.loads(result.stdout)
    assert first["path"] == str(tmp_path / "a.png") and first["seed"] == 5
    assert second["path"] == str(tmp_path / "gone.png") and "no such file" in second["error"]
    assert "skipped 1 in 1 hidden folder" in result.stderr


def test_no_file_commands_the_terminal(tmp_path: Path) -> None:
    path = png(tmp_path / "a.png", parameters="a \x1b[31mnewt\x07\u202e", prompt="\\ud800")
    text = run(path, "--texts").stdout
    assert not any(mark in text for mark in "\x1b\x07\u202e")
    assert "\\x1b[31mnewt" in text
    (found,) = json.loads(run(path, "--json").stdout)
    assert found["positive"] == "a \x1b[31mnewt\x07\u202e"
