"""Whatever a run writes is in its journal before it is on the disk, so that a crash in between can be undone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from keepers.core.captions import files as caption_files
from keepers.core.captions import sidecar, training_folder
from keepers.core.captions.files import CaptionFiles
from keepers.core.captions.journal import NAME, read_journal, undo
from keepers.core.captions.recipe import CaptionRecipe
from keepers.core.captions.writer import Caption
from keepers.core.errors import SidecarError
from keepers.core.metadata.record import Record
from keepers.core.metadata.write import embed, read_record


class PowerCut(BaseException):
    """Ends the run at once."""


@pytest.fixture
def image(tmp_path: Path) -> Path:
    Image.new("RGB", (8, 8), "red").save(tmp_path / "a.png")
    return tmp_path / "a.png"


def cut(real: Callable[..., Any], before: bool) -> Callable[..., Any]:
    """Ends the run before or after a file is written."""

    def call(*arguments: Any, **options: Any) -> Any:
        if not before:
            real(*arguments, **options)
        raise PowerCut

    return call


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != NAME}


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("old", [None, "old words"])
def test_a_caption_is_in_the_journal_first(
    image: Path, before: bool, old: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if old is not None:
        image.with_suffix(".txt").write_text(old)
    there = contents(image.parent)
    monkeypatch.setattr(caption_files, "write_sidecar", cut(caption_files.write_sidecar, before))
    with pytest.raises(PowerCut):
        CaptionFiles(CaptionRecipe(existing="overwrite")).put(image, Caption("red"))
    assert [entry.name for entry in read_journal(image.parent)] == ["a.txt"]
    undo([image.parent])
    assert contents(image.parent) == there


@pytest.mark.parametrize("before", [True, False])
def test_a_caption_inside_an_image_is_in_the_journal_first(
    image: Path, before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caption_files, "embed", cut(caption_files.embed, before))
    with pytest.raises(PowerCut):
        CaptionFiles(CaptionRecipe(embed=True)).put(image, Caption("red"))
    assert [(entry.name, entry.embedded) for entry in read_journal(image.parent)] == [("a.txt", False), ("a.png", True)]
    undo([image.parent])
    record = read_record(image)
    assert (record.caption if record else "") == ""
    assert not image.with_suffix(".txt").exists()


@pytest.mark.parametrize("before", [True, False])
def test_a_copy_is_in_the_journal_first(
    image: Path, before: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_folder, "copy_whole", cut(training_folder.copy_whole, before))
    folder = tmp_path / "10_red"
    with pytest.raises(PowerCut):
        CaptionFiles(CaptionRecipe(), folder).put(image, Caption("red"))
    assert [entry.name for entry in read_journal(folder)] == ["a.png"]
    undo([folder])
    assert contents(folder) == {}


def test_a_caption_inside_that_somebody_changed_since_is_left(image: Path) -> None:
    CaptionFiles(CaptionRecipe(embed=True)).put(image, Caption("red"))
    embed(image, Record(caption="crimson"))
    assert ("a.png", "its caption changed since") in [(path.name, why) for path, why in undo([image.parent]).left]
    record = read_record(image)
    assert record is not None and record.caption == "crimson"


def test_a_caption_that_is_inside_already_is_not_written_again(image: Path) -> None:
    CaptionFiles(CaptionRecipe(embed=True)).put(image, Caption("red"))
    before = image.stat()
    CaptionFiles(CaptionRecipe(embed=True, existing="overwrite")).put(image, Caption("red"))
    after = image.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert len(read_journal(image.parent)) == 2, "the caption and its copy inside, of the first run"


def test_a_caption_written_between_look_and_write_is_kept(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = sidecar.read_bytes

    def read(path: Path) -> bytes | None:
        found = real(path)
        path.write_text("of another program")
        return found

    change = sidecar.plan_sidecar(image, "red", CaptionRecipe())
    monkeypatch.setattr(sidecar, "read_bytes", read)
    with pytest.raises(SidecarError, match="in the meantime"):
        sidecar.write_sidecar(change)
    assert change.path.read_text() == "of another program"


def test_a_copy_shares_its_stem_with_no_other_image(image: Path, tmp_path: Path) -> None:
    """Else both would have the same caption file."""
    folder = tmp_path / "10_red"
    folder.mkdir()
    (folder / "a.webp").write_bytes(b"another picture")
    written = CaptionFiles(CaptionRecipe(), folder).put(image, Caption("red"))
    assert (written.image.name, written.change.path.name) == ("a-1.png", "a-1.txt")
