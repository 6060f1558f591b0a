"""Captions of generated images, in the stub of the WebUI."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keepers.tests.extension.webui_stub import BAD, DOUBTFUL, GOOD, Host, stubbed, with_tiny_models

CAPTIONS: dict[str, Any] = {"tagger": "words", "first": "my_fox"}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    with stubbed():
        made = Host(tmp_path)
        with_tiny_models(made.work, tmp_path / "models", monkeypatch)
        yield made


def text(host: Host, name: str) -> str:
    [path] = list((host.folder / "out").rglob(name))
    return path.read_text("utf-8")


def test_captions_stand_beside_accepted_and_reviewed_images_and_nowhere_else(host: Host) -> None:
    host.shared.opts.data |= {"save_images_before_highres_fix": True}
    p = host.job(GOOD, BAD, DOUBTFUL, GOOD, batch=2, early=False, **CAPTIONS)
    p.enable_hr = True
    result = host.run(p)
    captions = {name.rpartition("/")[2][6:]: host.folder / "out" / name for name in host.files() if ".txt" in name}
    assert set(captions) == {"100.txt", "102.txt", "103.txt"}
    assert captions["100.txt"].read_text("utf-8") == "my_fox, good"
    assert all(path.with_suffix(".png").is_file() for path in captions.values())
    assert '"caption":"my_fox, good"' in host.read(captions["100.txt"].with_suffix(".png").name)["keepers"]
    assert host.work.images("words fast") == 3, "rejected images are not tagged"
    assert "Captions" not in result.comments


def test_the_hosts_own_text_files_are_respected(host: Host) -> None:
    host.shared.opts.data["save_txt"] = True
    result = host.run(host.job(GOOD, **CAPTIONS))
    assert text(host, "00000-100.txt").startswith("a fox\nSteps: 1")
    assert text(host, "00000-100.caption.txt") == "my_fox, good"
    assert ".caption.txt" in result.comments


@pytest.mark.parametrize(
    ("existing", "expected"),
    [
        ("skip", "old, good"),
        ("overwrite", "my_fox, good"),
        ("append", "old, good, my_fox, good"),
        ("prepend", "my_fox, good, old, good"),
        ("merge", "old, good, my_fox"),
    ],
)
def test_a_caption_that_is_there_already(
    host: Host, monkeypatch: pytest.MonkeyPatch, existing: str, expected: str
) -> None:
    monkeypatch.setattr("modules.images._next_number", lambda folder: 0)  # the user's pattern has no number
    folder = host.folder / "out" / "samples" / "2026-01-31"
    folder.mkdir(parents=True)
    (folder / "00000-100.txt").write_text("old, good")
    host.run(host.job(GOOD, existing=existing, **CAPTIONS))
    assert [path.name for path in folder.glob("*.txt")] == ["00000-100.txt"]
    assert text(host, "00000-100.txt") == expected


def test_the_rest_of_a_recipe_is_taken_as_json(host: Host) -> None:
    host.run(host.job(GOOD, **CAPTIONS, recipe='{"last": ["end"], "trailing": true}'))
    assert text(host, "00000-100.txt") == "my_fox, good, end,"


@pytest.mark.parametrize("recipe", ['{"lst": 1}', "[", '{"extension": ".png"}', '{"tag_file": "/etc/passwd"}'])
def test_a_recipe_that_makes_no_sense_costs_no_image(host: Host, recipe: str) -> None:
    result = host.run(host.job(GOOD, BAD, on_reject="drop", **CAPTIONS, recipe=recipe))
    assert [name for name in host.samples if name.endswith(".png")] == ["00000-100.png", "00001-101.png"]
    assert "Nothing was judged" in result.comments


def test_a_missing_tagger_costs_no_image(host: Host) -> None:
    (host.folder / "models" / "keepers" / "words.safetensors").unlink()
    result = host.run(host.job(GOOD, **CAPTIONS))
    assert host.samples == ["00000-100.png"]
    assert "Captions: words.safetensors" in result.comments


def test_the_best_of_a_failed_job_has_no_caption(host: Host) -> None:
    host.run(host.job(BAD, keep_best=True, **CAPTIONS))
    assert host.samples == ["00000-100.png"]
