"""Files appear whole or not at all, whatever goes wrong while they are written."""

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from PIL import Image

from keepers.core import files
from keepers.core.errors import UnreadableImage, WriteFailed
from keepers.core.files import atomic_write, content_hash, copy_whole, link_whole, move_whole, sweep
from keepers.core.paths import under_free_name

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX only")


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def fail(code: int):
    def raises(*_args: object, **_kw: object) -> None:
        raise OSError(code, os.strerror(code))

    return raises


def test_writes_replaces_and_makes_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    atomic_write(path, b"one")
    atomic_write(path, lambda f: f.write(b"two"))
    assert path.read_bytes() == b"two"
    assert names(path.parent) == ["a.txt"]


def test_takes_pillow_as_a_writer_and_sets_the_time(tmp_path: Path) -> None:
    atomic_write(
        tmp_path / "a.png", lambda f: Image.new("RGB", (3, 3)).save(f, "PNG"), mtime_ns=1_600_000_000_000_000_000
    )
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (3, 3)
    assert (tmp_path / "a.png").stat().st_mtime == 1_600_000_000


def test_exclusive_never_touches_what_is_there(tmp_path: Path) -> None:
    atomic_write(tmp_path / "a", b"mine", exclusive=True)
    with pytest.raises(FileExistsError):
        atomic_write(tmp_path / "a", b"theirs", exclusive=True)
    assert (tmp_path / "a").read_bytes() == b"mine"
    assert names(tmp_path) == ["a"]


def test_exclusive_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.os, "link", fail(errno.EPERM))
    atomic_write(tmp_path / "a", b"mine", exclusive=True)
    with pytest.raises(FileExistsError):
        atomic_write(tmp_path / "a", b"theirs", exclusive=True)
    (tmp_path / "b").write_bytes(b"b")
    move_whole(tmp_path / "b", tmp_path / "c")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"a": b"mine", "c": b"b"}


@posix
def test_a_rename_that_fails_without_hard_links_leaves_no_empty_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "b").write_bytes(b"b")
    monkeypatch.setattr(files.os, "link", fail(errno.EPERM))
    monkeypatch.setattr(Path, "replace", fail(errno.EACCES))
    with pytest.raises(WriteFailed):
        move_whole(tmp_path / "b", tmp_path / "c")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"b": b"b"}


@posix
def test_a_move_that_another_process_ended_keeps_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other process saw both names and removed the old one; now only the new one is left, and must stay."""
    (tmp_path / "b").write_bytes(b"b")
    real = os.link

    def link(source: Path, target: Path, **options: Any) -> None:
        real(source, target, **options)
        source.unlink()

    monkeypatch.setattr(files.os, "link", link)
    move_whole(tmp_path / "b", tmp_path / "c")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"c": b"b"}


def test_a_file_that_changed_after_it_was_copied_to_another_disk_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "b").write_bytes(b"b")
    real = files.copy_whole

    def copy(source: Path, target: Path, **options: Any) -> str:
        monkeypatch.undo()
        digest = real(source, target, **options)
        source.write_bytes(b"written meanwhile")
        return digest

    monkeypatch.setattr(files, "_rename_exclusive", fail(errno.EXDEV))
    monkeypatch.setattr(files, "copy_whole", copy)
    with pytest.raises(UnreadableImage, match="changed while it was read"):
        move_whole(tmp_path / "b", tmp_path / "x" / "b")
    assert (tmp_path / "b").read_bytes() == b"written meanwhile"
    assert names(tmp_path / "x") == []


@posix
def test_mode_bits(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        atomic_write(tmp_path / "new", b"")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    (tmp_path / "new").chmod(0o604)
    atomic_write(tmp_path / "new", b"again")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o604


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("exclusive", [False, True])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, code: int, exclusive: bool) -> None:
    (tmp_path / "old").write_bytes(b"old")

    def half(file: BinaryIO) -> None:
        file.write(b"half")
        fail(code)()

    with pytest.raises(WriteFailed, match=os.strerror(code)) as caught:
        atomic_write(tmp_path / ("x" if exclusive else "old"), half, exclusive=exclusive)
    assert caught.value.errno == code
    assert names(tmp_path) == ["old"]
    assert (tmp_path / "old").read_bytes() == b"old"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_really_full_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = files.os.fsync

    def full(handle: int) -> None:  # the kernel's own ENOSPC, at the moment the data must reach the disk
        with open("/dev/full", "wb", buffering=0) as device:  # noqa: PTH123
            device.write(b"x")
        real(handle)

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(WriteFailed) as caught:
        atomic_write(tmp_path / "a", b"data", exclusive=True)
    assert caught.value.errno == errno.ENOSPC
    assert names(tmp_path) == []


def test_a_failing_writer_or_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    for error in (RuntimeError, KeyboardInterrupt):

        def writer(file: BinaryIO, error: type[BaseException] = error) -> None:
            file.write(b"x" * 100)
            raise error

        with pytest.raises(error):
            atomic_write(tmp_path / "a", writer)
    assert names(tmp_path) == []


def test_free_names_under_contention(tmp_path: Path) -> None:
    def work(n: int) -> None:
        for _ in range(10):
            data = str(n).encode() * 50
            under_free_name(tmp_path / "a.txt", lambda name, data=data: atomic_write(name, data, exclusive=True))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(names(tmp_path)) == 40
    assert all(len(set(p.read_bytes())) == 1 and p.stat().st_size == 50 for p in tmp_path.iterdir())


@posix
def test_killed_while_writing_leaves_no_visible_part(tmp_path: Path) -> None:
    code = (
        "import sys,time; from pathlib import Path; from keepers.core.files import atomic_write\n"
        "def w(f):\n f.write(b'x'*100000); f.flush(); print('half', flush=True); time.sleep(60)\n"
        "atomic_write(Path(sys.argv[1]), w)"
    )
    (tmp_path / "a.png").write_bytes(b"before")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "a.png")], stdout=subprocess.PIPE, env=env)
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"half\n"
        child.send_signal(signal.SIGKILL)
    assert (tmp_path / "a.png").read_bytes() == b"before"
    left = [n for n in names(tmp_path) if n != "a.png"]
    assert len(left) == 1
    assert left[0].startswith(".keepers-")
    assert sweep(tmp_path) == 0, "a write that may still be going on is left alone"
    os.utime(tmp_path / left[0], (0.0, time.time() - 7200))
    (tmp_path / ".keepers-mine.txt").touch()
    assert sweep(tmp_path) == 1
    assert names(tmp_path) == [".keepers-mine.txt", "a.png"]


def test_content_hash_and_copy(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    os.utime(tmp_path / "a", (0, 1_500_000_000))
    want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert content_hash(tmp_path / "a") == want
    assert copy_whole(tmp_path / "a", tmp_path / "sub" / "b") == want
    assert (tmp_path / "sub" / "b").stat().st_mtime == 1_500_000_000
    with pytest.raises(FileExistsError):
        copy_whole(tmp_path / "a", tmp_path / "sub" / "b")


def test_growing_vanishing_and_replaced_files_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    real = files._blocks  # pyright: ignore[reportPrivateUsage]

    def grow() -> None:
        with path.open("ab") as file:
            file.write(b"more")

    def replace() -> None:
        (tmp_path / "new").write_bytes(b"abc")
        (tmp_path / "new").replace(path)

    def content() -> object:
        return content_hash(path)

    def copy() -> object:
        return copy_whole(path, tmp_path / "copy")

    for change in (grow, path.unlink, replace):

        def during(p: Path, change: Callable[[], None] = change) -> Iterator[bytes]:
            yield from real(p)
            change()

        monkeypatch.setattr(files, "_blocks", during)
        for act in (content, copy):
            path.write_bytes(b"abc")
            with pytest.raises(UnreadableImage) as caught:
                act()
            assert caught.value.code == "changed"
    assert not (tmp_path / "copy").exists()


@posix
def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    for name in ("pipe.png", "loop.png", "zero.png", "none.png", ".", "x\0y"):
        with pytest.raises(UnreadableImage) as caught:
            content_hash(tmp_path / name)
        assert caught.value.code == "not_a_file", name
    with pytest.raises(UnreadableImage), files.open_regular(tmp_path / "pipe.png"):
        pass


def test_move_within_and_across_disks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"a")
    move_whole(tmp_path / "a", tmp_path / "x" / "a")
    assert not (tmp_path / "a").exists()
    (tmp_path / "b").write_bytes(b"b")
    with pytest.raises(FileExistsError):
        move_whole(tmp_path / "b", tmp_path / "x" / "a")
    assert (tmp_path / "b").read_bytes() == b"b"
    real, calls = files._rename_exclusive, []  # pyright: ignore[reportPrivateUsage]

    def across(source: Path, target: Path) -> None:
        calls.append(source)
        if source.name == "b":
            fail(errno.EXDEV)()
        real(source, target)

    monkeypatch.setattr(files, "_rename_exclusive", across)
    move_whole(tmp_path / "b", tmp_path / "x" / "b")
    assert len(calls) == 2
    assert names(tmp_path) == ["x"]
    assert {p.name: p.read_bytes() for p in (tmp_path / "x").iterdir()} == {"a": b"a", "b": b"b"}


def test_a_bad_copy_to_another_disk_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "b").write_bytes(b"b")
    monkeypatch.setattr(files, "_rename_exclusive", fail(errno.EXDEV))
    monkeypatch.setattr(files, "content_hash", lambda _: "other")
    with pytest.raises(WriteFailed, match="not what was read"):
        move_whole(tmp_path / "b", tmp_path / "x" / "b")
    assert (tmp_path / "b").read_bytes() == b"b"
    assert names(tmp_path / "x") == []


def test_link(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    link_whole(tmp_path / "a", tmp_path / "x" / "a")
    assert (tmp_path / "x" / "a").samefile(tmp_path / "a")
    with pytest.raises(FileExistsError):
        link_whole(tmp_path / "a", tmp_path / "x" / "a")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read all")
def test_unreadable_is_io(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "a").chmod(0)
    with pytest.raises(UnreadableImage) as caught:
        content_hash(tmp_path / "a")
    assert caught.value.code == "io"


def test_a_file_put_in_the_place_of_another_is_a_change(tmp_path: Path) -> None:
    """Size and time are the same; only the file itself is another one."""
    path, other = tmp_path / "a", tmp_path / "b"
    for each in (path, other):
        each.write_bytes(each.name.encode())
        os.utime(each, ns=(1_000_000_000, 1_000_000_000))
    before = files.stamp(path)
    files.check_unchanged(path, before)
    other.replace(path)
    assert files.stamp(path)[:2] == before[:2]
    with pytest.raises(UnreadableImage, match="changed"):
        files.check_unchanged(path, before)


def test_what_lies_below_a_file_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    with pytest.raises(UnreadableImage) as caught:
        files.stamp(tmp_path / "a" / "b.png")
    assert caught.value.code == ("not_a_file")


@posix
def test_sweeping_leaves_links_alone(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"a")
    os.utime(tmp_path / "old", (0, 0))
    (tmp_path / ".keepers-0123.tmp").symlink_to(tmp_path / "old")
    assert sweep(tmp_path) == 0
    assert names(tmp_path) == [".keepers-0123.tmp", "old"]
