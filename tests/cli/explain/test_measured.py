"""`keepers explain --model signals`: the numbers and their limits, on the terminal, as JSON and on a page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from keepers.cli.app import app
from keepers.examples.pictures import mountains


@pytest.fixture
def half(tmp_path: Path) -> Path:
    """A picture whose lower half is lost, and that a camera had turned."""
    picture = mountains((768, 512))
    picture.paste((0, 0, 0), (0, 256, 768, 512))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "half.png", exif=exif)
    return tmp_path / "half.png"


def explain(*arguments: str, expected: int = 0) -> str:
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["explain", "--model", "signals", *arguments])
    assert done.exit_code == expected, done.output
    return done.output


def test_the_numbers_stand_beside_their_limits(half: Path) -> None:
    told = explain(str(half))
    assert "half.png: lost" in told
    (line,) = [line for line in told.splitlines() if line.split()[:1] == ["lost"]]
    assert line.split()[1:] == ["0.5", "share", "of", "pixels", "0.001", "or", "more", "lost"]
    assert "brightest" in told
    assert "under 16" in told
    assert "EXIF rotation is not applied" in told


def test_json_and_the_page_have_the_same_numbers(half: Path, tmp_path: Path) -> None:
    found = json.loads(explain(str(half), "--json"))
    assert found["label"] == "lost"
    assert [one["failure"] for one in found["measured"] if one["failed"]] == ["lost"]
    explain(str(half), "--plot", str(tmp_path / "why.html"))
    page = (tmp_path / "why.html").read_text(encoding="utf-8")
    assert "half.png: lost" in page
    assert page.count("class=failed") == 1
    assert "EXIF rotation" in page


def test_signals_has_no_heatmap_and_no_folder(half: Path, tmp_path: Path) -> None:
    assert "no heatmap" in explain(str(half), "--heatmap", str(tmp_path / "map.png"), expected=1)
    assert "one image" in explain(str(tmp_path), expected=1)
