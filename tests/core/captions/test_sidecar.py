"""Caption files: what happens to existing ones, collisions, and undo."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepers.core.captions import journal as caption_journal
from keepers.core.captions.journal import NAME, Entry, new_run, read_journal, record, undo
from keepers.core.captions.recipe import CaptionRecipe
from keepers.core.captions.sidecar import (
    GENERATION_DATA,
    collisions,
    combine,
    digest,
    merge,
    parts_of,
    plan_sidecar,
    read_caption,
    read_sidecar,
    sidecar_path,
    write_sidecar,
)
from keepers.core.captions.text import normal
from keepers.core.errors import KeepersError, SidecarError, WriteFailed

tag = st.text("abc_ ()", min_size=1, max_size=5)


def write(image: Path, caption: str, **options: Any) -> str | None:
    change = plan_sidecar(image, caption, CaptionRecipe(**options))
    write_sidecar(change)
    return read_sidecar(change.path)


@pytest.mark.parametrize(
    ("image", "extension", "name"),
    [
        ("a.png", ".txt", "a.txt"),
        ("a.b.png", ".txt", "a.b.txt"),
        ("a_.png", ".txt", "a_.txt"),
        ("a", ".txt", "a.txt"),
        ("a.png", ".caption.txt", "a.caption.txt"),
        ("ä  b.JPG", ".tags", "ä  b.tags"),
        (".png", ".txt", ".png.txt"),
    ],
)
def test_the_stem_is_exactly_the_images(image: str, extension: str, name: str) -> None:
    assert sidecar_path(Path("x") / image, extension) == Path("x") / name


def test_a_new_caption_is_plain_utf8(tmp_path: Path) -> None:
    assert write(tmp_path / "a.png", "füchs, 狐") == "füchs, 狐"
    assert (tmp_path / "a.txt").read_bytes() == "füchs, 狐".encode()


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        ("skip", "solo, Long Hair"),
        ("overwrite", "long hair, wolf"),
        ("append", "solo, Long Hair, long hair, wolf"),
        ("prepend", "long hair, wolf, solo, Long Hair"),
        ("merge", "solo, Long Hair, wolf"),
    ],
)
def test_existing_captions(tmp_path: Path, policy: str, text: str) -> None:
    (tmp_path / "a.txt").write_text("solo, Long Hair", "utf-8")
    assert write(tmp_path / "a.png", "long hair, wolf", existing=policy) == text


INFOTEXT = "a newt\nNegative prompt: fog\nSteps: 24, Sampler: Euler a, CFG scale: 7, Seed: 5, Model: moss\n"


@pytest.mark.parametrize("existing", ["skip", "overwrite", "append", "prepend", "merge"])
def test_generation_data_is_no_caption_and_never_changed(tmp_path: Path, existing: Any) -> None:
    (tmp_path / "a.txt").write_text(INFOTEXT, "utf-8")
    change = plan_sidecar(tmp_path / "a.png", "newt", CaptionRecipe(existing=existing))
    assert change.generation and change.kept == GENERATION_DATA
    write_sidecar(change)
    assert (tmp_path / "a.txt").read_text("utf-8") == INFOTEXT
    assert read_caption(tmp_path / "a.txt") is None
    assert write(tmp_path / "a.png", "newt", existing=existing, extension=".caption") == "newt"
    assert read_caption(tmp_path / "a.caption") == "newt"


def test_nothing_to_say_never_empties_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("mine", "utf-8")
    assert write(tmp_path / "a.png", "", existing="overwrite", empty="write") == "mine"
    assert write(tmp_path / "b.png", "") is None
    assert write(tmp_path / "b.png", "", empty="write") == ""


def test_the_same_caption_is_not_written_again(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a, b", "utf-8")
    for policy in ("overwrite", "merge"):
        change = plan_sidecar(tmp_path / "a.png", "a, b", CaptionRecipe(existing=policy))  # pyright: ignore[reportArgumentType]
        assert change.kept == "it says so already"


@pytest.mark.parametrize(
    "data", ["a, ü".encode("utf-8-sig"), "a, ü".encode("utf-16"), b"\xfe\xff" + "a, ü".encode("utf-16-be")]
)
def test_byte_order_marks_are_read_and_not_written(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    assert write(tmp_path / "a.png", "b", existing="append") == "a, ü, b"
    assert (tmp_path / "a.txt").read_bytes() == "a, ü, b".encode()


@pytest.mark.parametrize("policy", ["skip", "overwrite", "merge"])
def test_other_encodings_are_left_alone(tmp_path: Path, policy: str) -> None:
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    with pytest.raises(SidecarError, match="not UTF-8"):
        write(tmp_path / "a.png", "b", existing=policy)
    assert (tmp_path / "a.txt").read_bytes() == b"caf\xe9"


def test_what_is_no_caption_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.txt").mkdir()
    (tmp_path / "big.txt").write_bytes(b"x" * (1 << 21))
    (tmp_path / "real").write_text("secret", "utf-8")
    (tmp_path / "link.txt").symlink_to(tmp_path / "real")
    for name in ("folder", "big", "link"):
        with pytest.raises(KeepersError):
            plan_sidecar(tmp_path / f"{name}.png", "b", CaptionRecipe(existing="overwrite"))
    assert (tmp_path / "real").read_text("utf-8") == "secret"


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "a.txt").symlink_to(tmp_path / "outside.txt")
    with pytest.raises(KeepersError):
        plan_sidecar(inner / "a.png", "b", CaptionRecipe(existing="overwrite"))
    assert not (tmp_path / "outside.txt").exists()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folders(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(WriteFailed, match=r"a\.txt could not be written"):
            write(tmp_path / "a.png", "b")
    finally:
        tmp_path.chmod(0o755)


def test_a_folder_that_refuses_writes_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change = plan_sidecar(tmp_path / "a.png", "b", CaptionRecipe())
    opened = os.open

    def refuse(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            raise PermissionError(13, "Permission denied")
        return opened(path, flags, mode)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(WriteFailed, match=r"a\.txt could not be written: Permission denied"):
        write_sidecar(change)
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


def test_a_caption_that_came_in_the_meantime_is_kept(tmp_path: Path) -> None:
    first = plan_sidecar(tmp_path / "a.png", "b", CaptionRecipe())
    (tmp_path / "a.txt").write_text("theirs", "utf-8")
    second = plan_sidecar(tmp_path / "a.png", "b", CaptionRecipe(existing="overwrite"))
    with pytest.raises(SidecarError, match="meantime"):
        write_sidecar(first)
    (tmp_path / "a.txt").write_text("theirs too", "utf-8")
    with pytest.raises(SidecarError, match="meantime"):
        write_sidecar(second)
    assert (tmp_path / "a.txt").read_text("utf-8") == "theirs too"


@given(old=st.lists(tag, max_size=6), new=st.lists(tag, max_size=6))
def test_merging_never_repeats_or_loses_a_tag(old: list[str], new: list[str]) -> None:
    recipe = CaptionRecipe(existing="merge")
    merged = merge(", ".join(old), ", ".join(new), recipe)
    keys = [normal(part) for part in parts_of(merged, recipe)]
    assert len(keys) == len(set(keys))
    assert set(keys) == {normal(part) for part in [*old, *new] if part.strip()}
    assert merge(merged, ", ".join(new), recipe) == merged, "merging again changes nothing"


def test_joining_minds_trailing_separators() -> None:
    assert combine("a,\n", "b,", CaptionRecipe(existing="append", trailing=True)) == "a, b,"
    assert combine("", "b", CaptionRecipe(existing="append")) == "b"
    assert combine("a b", "c", CaptionRecipe(existing="merge", style="spaces")) == "a b c"
    assert combine("a b, c", "c", CaptionRecipe(existing="merge", style="spaces")) == "a b c"
    assert combine("a b\nc", "c", CaptionRecipe(existing="merge", separator="\n")) == "a b\nc"
    assert combine("a b\nc", "C\nd", CaptionRecipe(existing="merge", separator="\n")) == "a b\nc\nd"


def test_images_that_share_a_caption_file(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "b.png", "c.webp", "c.txt", "a.txt"):
        (tmp_path / name).touch()
    given_ = [tmp_path / "a.png", tmp_path / "b.png", tmp_path / "c.webp", tmp_path / "gone" / "d.png"]
    assert collisions(given_, ".txt") == {tmp_path / "a.png": (tmp_path / "a.jpg",)}
    both = collisions([tmp_path / "a.png", tmp_path / "a.jpg"], ".txt")
    assert both == {tmp_path / "a.png": (tmp_path / "a.jpg",), tmp_path / "a.jpg": (tmp_path / "a.png",)}


# --- the journal -----------------------------------------------------------------------------------------------------


def run_over(folder: Path, captions: dict[str, str], **options: Any) -> None:
    run = new_run()
    for name, caption in captions.items():
        change = plan_sidecar(folder / name, caption, CaptionRecipe(existing="overwrite", **options))
        record(run, change.path, change.before, digest(change.written))
        write_sidecar(change)


def test_undo_restores_byte_for_byte(tmp_path: Path) -> None:
    before = "old ü\r\n".encode("utf-16")
    (tmp_path / "a.txt").write_bytes(before)
    run_over(tmp_path, {"a.png": "new", "b.png": "new too"})
    done = undo([tmp_path])
    assert (done.restored, done.removed, done.left) == ((tmp_path / "a.txt",), (tmp_path / "b.txt",), ())
    assert (tmp_path / "a.txt").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_undo_takes_one_run_after_the_other_over_all_folders(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    run_over(one, {"a.png": "first"})
    run_over(one, {"a.png": "second"})
    run_over(two, {"b.png": "third"})
    assert undo([one, two]).removed == (two / "b.txt",)
    assert undo([one, two]).restored == (one / "a.txt",)
    assert read_sidecar(one / "a.txt") == "first"
    assert undo([one, two]).removed == (one / "a.txt",)
    assert undo([one, two]) == caption_journal.Undone()


def test_undo_leaves_what_changed_since(tmp_path: Path) -> None:
    run_over(tmp_path, {"a.png": "x", "b.png": "y", "c.png": "z"})
    (tmp_path / "a.txt").write_text("edited by hand", "utf-8")
    (tmp_path / "b.txt").unlink()
    done = undo([tmp_path])
    assert dict(done.left) == {tmp_path / "a.txt": "changed since", tmp_path / "b.txt": "gone already"}
    assert (tmp_path / "a.txt").read_text("utf-8") == "edited by hand"


def test_a_run_that_was_cut_short_is_undone_as_far_as_it_came(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("old", "utf-8")
    run_over(tmp_path, {"a.png": "x"})
    run = read_journal(tmp_path)[0].run
    record(run, tmp_path / "b.txt", b"old", digest(b"never written"))
    with (tmp_path / NAME).open("ab") as file:
        file.write(b'\n{"run": "9999')
    assert undo([tmp_path]).left == ()
    assert read_sidecar(tmp_path / "b.txt") == "old"
    assert not (tmp_path / "a.txt").exists()


def test_a_forged_journal_reaches_nothing_outside(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "victim").write_text("x", "utf-8")
    for name in ("../victim", str(tmp_path / "victim"), "..", "", NAME + "\0"):
        record("1", folder / "a", None, digest(b"x"))
        lines = (folder / NAME).read_text("utf-8").replace('"name": "a"', f'"name": {json.dumps(name)}')
        (folder / NAME).write_text(lines, "utf-8")
        assert undo([folder]).removed == ()
    assert (tmp_path / "victim").read_text("utf-8") == "x"


@pytest.mark.parametrize(
    "line", [b"[]", b"3", b'{"run": 1}', b"\xff", b'{"run":"1","name":"a","before":"?","after":""}']
)
def test_odd_lines_are_passed_over(tmp_path: Path, line: bytes) -> None:
    record("1", tmp_path / "a.txt", None, "x")
    with (tmp_path / NAME).open("ab") as file:
        file.write(b"\n" + line)
    assert read_journal(tmp_path) == [Entry("1", "a.txt", None, "x")]
