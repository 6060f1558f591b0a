"""A walk finds every image once, in order, and says what it passed over."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from keepers.core.pictures.walk import Found, PassedBy, PassedOver, Search, walk


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def names(folder: Path, search: Search | None = None) -> list[str]:
    return [one.path.relative_to(folder).as_posix() for one in walk([folder], search) if isinstance(one, Found)]


def test_folders_are_searched_to_the_bottom_in_order(tmp_path: Path) -> None:
    make(tmp_path, "b.png", "a/2.jpg", "a/1.webp", "a/deep/x.PNG", "notes.txt", ".keepers-0123456789abcdef.tmp")
    assert names(tmp_path) == ["a/1.webp", "a/2.jpg", "a/deep/x.PNG", "b.png"]


def test_patterns(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "b.jpg", "grid-1.png", "skip/c.png", "odd.bin")
    assert names(tmp_path, Search(include=["*.png"])) == ["a.png", "grid-1.png", "skip/c.png"]
    assert names(tmp_path, Search(exclude=["grid-*", "skip"])) == ["a.png", "b.jpg"]
    assert names(tmp_path, Search(include=["*.bin"])) == ["odd.bin"]
    assert names(tmp_path, Search(recursive=False)) == ["a.png", "b.jpg", "grid-1.png"]


def test_a_folder_that_is_skipped_is_not_entered(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "sorted/accepted/a.png")
    assert names(tmp_path, Search(skip=[tmp_path / "sorted"])) == ["a.png"]


def test_what_is_named_twice_comes_once(tmp_path: Path) -> None:
    make(tmp_path, "a.png", "sub/b.png")
    found = [one.path for one in walk([tmp_path / "a.png", tmp_path, tmp_path / "sub"]) if isinstance(one, Found)]
    assert found == [tmp_path / "a.png", tmp_path / "sub" / "b.png"]


def test_a_file_named_by_hand_may_have_any_ending(tmp_path: Path) -> None:
    make(tmp_path, "picture.dat")
    assert [one.path.name for one in walk([tmp_path / "picture.dat"])] == ["picture.dat"]


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    (only,) = walk([tmp_path / "nothing"])
    assert isinstance(only, PassedOver)
    assert (only.code, only.reason) == ("not_a_file", "there is no such file or folder")


@pytest.mark.skipif(sys.platform == "win32", reason="making links needs rights there")
def test_links_are_told_and_followed_only_when_asked(tmp_path: Path) -> None:
    make(tmp_path / "real", "a.png")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link.png").symlink_to(tmp_path / "real" / "a.png")
    (folder / "dangling.png").symlink_to(tmp_path / "gone.png")
    (folder / "loop").symlink_to(folder)
    (folder / "inner").symlink_to(tmp_path / "real")
    told = {one.path.name: one.code for one in walk([folder]) if isinstance(one, PassedOver)}
    assert told == {"link.png": "not_followed", "dangling.png": "not_followed"}
    followed = list(walk([folder], Search(follow=True)))
    assert [one.path.name for one in followed if isinstance(one, Found)] == ["a.png", "link.png"]
    assert [one.path.name for one in followed if isinstance(one, PassedOver)] == ["dangling.png"]
    assert [type(one) for one in walk([folder / "link.png"])] == [Found]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no FIFO files")
def test_a_fifo_does_not_hang_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (only,) = walk([tmp_path])
    assert isinstance(only, PassedOver)
    assert only.code == "not_a_file"


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="needs a user whom permissions bind")
def test_a_folder_without_permission_is_told(tmp_path: Path) -> None:
    make(tmp_path, "closed/a.png", "open/b.png")
    (tmp_path / "closed").chmod(0)
    try:
        entries = list(walk([tmp_path]))
    finally:
        (tmp_path / "closed").chmod(0o755)
    assert [one.path.name for one in entries] == ["closed", "b.png"]


def test_odd_names(tmp_path: Path) -> None:
    odd = ["a\nb.png", "q'\".png", "😀.png", "-x.png"]
    make(tmp_path, *odd)
    assert sorted(names(tmp_path)) == sorted(odd)


def nas(folder: Path) -> None:
    """As a NAS, a Mac, Windows, and an earlier --sort leave a folder."""
    for place in ("0.png", "@eaDir/0.png/SYNOPHOTO_THUMB_M.jpg", ".thumbnails/0.png", ".thumbnails/deep/1.png"):
        touch(folder / place)
    for place in ("._0.png", ".hidden.png", ".DS_Store", "$RECYCLE.BIN/x.png", ".git/objects/ab/cd", "album/1.png"):
        touch(folder / place)
    for place in ("sorted/keepers-sort-20260101-1.jsonl", "sorted/accepted/a.png", "sorted/rejected/b.png"):
        touch(folder / place)


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")


def test_hidden_files_and_folders_are_passed_by_and_counted(tmp_path: Path) -> None:
    nas(tmp_path)
    passed_by = PassedBy()
    assert names(tmp_path, Search(passed_by=passed_by)) == ["0.png", "album/1.png"]
    told = "skipped 4 in 3 hidden folders and 2 in 1 folder of an earlier --sort and 2 hidden files"
    assert str(passed_by) == told and passed_by
    assert names(tmp_path) == ["0.png", "album/1.png"], "counting changes nothing"


def test_hidden_files_are_taken_when_asked_for(tmp_path: Path) -> None:
    nas(tmp_path)
    passed_by = PassedBy()
    assert len(names(tmp_path, Search(hidden=True, passed_by=passed_by))) == 10
    assert not passed_by and str(passed_by) == ""


def test_hidden_files_are_taken_when_named(tmp_path: Path) -> None:
    nas(tmp_path)
    assert names(tmp_path / ".thumbnails") == ["0.png", "deep/1.png"]
    assert names(tmp_path / "sorted") == ["accepted/a.png", "rejected/b.png"]
    assert [entry.path.name for entry in walk([tmp_path / "._0.png"])] == ["._0.png"]
    assert names(tmp_path / ".git") == []


def test_what_is_excluded_or_no_image_is_not_counted(tmp_path: Path) -> None:
    nas(tmp_path)
    passed_by = PassedBy()
    names(tmp_path, Search(exclude=["*.png", "sorted"], passed_by=passed_by))
    assert str(passed_by) == "skipped 1 in 1 hidden folder"
    names(tmp_path, Search(recursive=False, passed_by=(flat := PassedBy())))
    assert str(flat) == "skipped 2 hidden files"
