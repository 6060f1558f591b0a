"""A walk finds every image once, in order, and says what it passed over."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from keepers.core.pictures.walk import Found, PassedOver, Search, walk


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
