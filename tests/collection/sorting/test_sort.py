"""Sorting places files whole, and undo puts them back, after any crash, whatever the user did meanwhile."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from keepers.collection.sorting import sort
from keepers.collection.sorting.finish import finish
from keepers.collection.sorting.journal import Action, BadJournal, Journal, journals, read_journal
from keepers.collection.sorting.sort import Sorter
from keepers.collection.sorting.undo import undo
from keepers.core import files
from keepers.core.errors import KeepersError, OutsideFolder, UnreadableImage, WriteFailed

MODES: tuple[Action, ...] = ("copy", "move", "link")
OUTCOMES = ("accept", "review", "reject")
posix = pytest.mark.skipif(os.name == "nt", reason="such names or links cannot exist there")


def tree(folder: Path) -> dict[str, bytes]:
    """All files but the logs."""
    found = (p for p in sorted(folder.rglob("*")) if p.is_file() and not p.name.startswith("keepers-sort-"))
    return {str(p.relative_to(folder)): p.read_bytes() for p in found}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    for name in ("a.png", "b.png", "sub/a.png", "sub/deep/c.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode() * 10)
    return folder


def sort_all(folder: Path, into: Path, mode: Action, roots: bool = True, **options: Any) -> list[Path]:
    with Sorter(into, mode, roots=[folder] if roots else [], **options) as sorter:
        images = sorted(folder.rglob("*.png"))
        return [sorter.place(path, OUTCOMES[i % 3]).target.relative_to(into) for i, path in enumerate(images)]


@pytest.mark.parametrize("mode", MODES)
def test_sort_and_undo(tmp_path: Path, pictures: Path, mode: Action) -> None:
    before, into = tree(pictures), tmp_path / "sorted"
    times = {p: p.stat().st_mtime_ns for p in pictures.rglob("*.png")}
    placed = sort_all(pictures, into, mode)
    assert list(map(str, placed)) == ["accepted/a.png", "review/b.png", "rejected/sub/a.png", "accepted/sub/deep/c.png"]
    assert tree(into) == {
        f"{v}/{n}": before[n] for n, v in zip(before, ["accepted", "review", "rejected", "accepted"], strict=True)
    }
    assert tree(pictures) == ({} if mode == "move" else before)
    (log,) = journals(into)
    assert [step.state for step in read_journal(log)] == ["done"] * 4
    summary = undo(log)
    assert not summary.left
    assert len(summary.restored) == (4 if mode == "move" else 0)
    assert len(summary.removed) == (0 if mode == "move" else 4)
    assert tree(pictures) == before
    assert {p: p.stat().st_mtime_ns for p in pictures.rglob("*.png")} == times
    assert [p.name for p in into.iterdir()] == [log.name], "emptied folders go, the log stays"
    again = undo(log)
    assert (again.restored, again.removed, again.left) == ((), (), ())


@pytest.mark.parametrize("mode", MODES)
def test_flat_names_never_collide(tmp_path: Path, pictures: Path, mode: Action) -> None:
    before, into = tree(pictures), tmp_path / "sorted"
    (into / "accepted").mkdir(parents=True)
    (into / "accepted" / "a.png").write_bytes(b"the user's own")
    with Sorter(into, mode) as sorter:
        names = [sorter.place(p, "accept").target.name for p in sorted(pictures.rglob("*.png"))]
    assert names == ["a-1.png", "b.png", "a-2.png", "c.png"]
    assert (into / "accepted" / "a.png").read_bytes() == b"the user's own"
    assert not undo(journals(into)[0]).left
    assert tree(pictures) == before
    assert tree(into) == {"accepted/a.png": b"the user's own"}


@pytest.mark.parametrize("mode", MODES)
def test_sorting_again_changes_nothing(tmp_path: Path, pictures: Path, mode: Action) -> None:
    into = tmp_path / "sorted"
    sort_all(pictures, into, mode, roots=False)
    once = tree(tmp_path)
    with Sorter(into, mode) as sorter:
        for index, path in enumerate(sorted(pictures.rglob("*.png"))):
            assert not sorter.place(path, OUTCOMES[index % 3]).new
        for path in sorted((into / "accepted").iterdir()):
            assert sorter.place(path, "accept").target == path
    assert tree(tmp_path) == once
    assert len(journals(into)) == 1, "a run without a step leaves no log"


@pytest.mark.parametrize("mode", MODES)
def test_another_verdict_moves_the_earlier_copy(tmp_path: Path, pictures: Path, mode: Action) -> None:
    before, into = tree(tmp_path), tmp_path / "sorted"
    with Sorter(into, mode, roots=[pictures]) as sorter:
        first = sorter.place(pictures / "sub" / "a.png", "accept").target
    with Sorter(into, mode, roots=[pictures]) as sorter:
        sorter.place(first if mode == "move" else pictures / "sub" / "a.png", "reject")
    assert list(tree(into)) == ["rejected/sub/a.png"]
    for log in reversed(journals(into)):
        assert not undo(log).left
    assert journals(into) == []
    assert tree(tmp_path) == before


@pytest.mark.parametrize("mode", MODES)
def test_sidecars_go_along(tmp_path: Path, pictures: Path, mode: Action) -> None:
    (pictures / "a.txt").write_text("a fox")
    (pictures / "a.caption.txt").write_text("more")
    before, into = tree(pictures), tmp_path / "sorted"
    (into / "accepted").mkdir(parents=True)
    (into / "accepted" / "a.txt").write_text("taken")
    with Sorter(into, mode, endings=[".txt", ".caption.txt"]) as sorter:
        placed = sorter.place(pictures / "a.png", "accept")
    assert (placed.target.name, placed.told) == ("a-1.png", "")
    assert list(tree(into)) == ["accepted/a-1.caption.txt", "accepted/a-1.png", "accepted/a-1.txt", "accepted/a.txt"]
    undo(journals(into)[0])
    assert tree(pictures) == before
    assert tree(into) == {"accepted/a.txt": b"taken"}


@posix
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "name",
    [b"new\nline\ttab.png", "🦊 \"quoted\" 'x'.png".encode(), b"not\xff\xfeutf8.png", b"\xe2\x80\xaetxt.png",
     b"-rf.png", b"back\\slash:colon.png", b"end. .png", b"x" * 251 + b".png"],
    ids=ascii,
)  # fmt: skip
def test_any_name_survives(tmp_path: Path, mode: Action, name: bytes) -> None:
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / os.fsdecode(name)
    path.write_bytes(b"data")
    into = tmp_path / "sorted"
    with Sorter(into, mode) as sorter:
        assert os.fsencode(sorter.place(path, "review").target.name) == name
    assert journals(into)[0].read_bytes().isascii()
    assert not undo(journals(into)[0]).left
    assert [os.fsencode(p.name) for p in (tmp_path / "in").iterdir()] == [name]
    assert tree(into) == {}


def test_what_changed_since_is_left_and_told(tmp_path: Path, pictures: Path) -> None:
    into = tmp_path / "sorted"
    placed = [into / p for p in sort_all(pictures, into, "move")]
    placed[0].write_bytes(b"edited by the user")
    placed[1].rename(into / "elsewhere.png")
    (pictures / "sub" / "a.png").write_bytes(b"a new one")
    summary = undo(journals(into)[0])
    assert summary.restored == (pictures / "sub" / "deep" / "c.png",)
    told = {path.name: reason for path, reason in summary.left if path != placed[2]}
    assert told == {"a.png": "it was changed since", "b.png": "it was moved or removed since"}
    assert dict(summary.left)[placed[2]].startswith("there is another file at")
    assert placed[0].read_bytes() == b"edited by the user"
    assert (pictures / "sub" / "a.png").read_bytes() == b"a new one"
    (pictures / "sub" / "a.png").unlink()
    assert undo(journals(into)[0]).restored == (pictures / "sub" / "a.png",), "what was left can be taken back later"


@pytest.mark.parametrize("mode", ["copy", "link"])
def test_the_last_name_of_a_picture_is_never_removed(tmp_path: Path, pictures: Path, mode: Action) -> None:
    into = tmp_path / "sorted"
    placed = [into / p for p in sort_all(pictures, into, mode)]
    (pictures / "a.png").unlink()
    (pictures / "b.png").unlink()
    (pictures / "b.png").write_bytes(b"other content")
    summary = undo(journals(into)[0])
    assert [path for path, _ in summary.left] == [placed[1], placed[0]]
    if mode == "copy":
        told = ["its original was changed since", "it is the only copy: its original is gone"]
        assert [reason for _, reason in summary.left] == told
    assert len(summary.removed) == 2
    assert placed[0].exists()
    assert placed[1].exists()
    if mode == "copy":
        placed[1].write_bytes(b"changed copy")
        assert dict(undo(journals(into)[0]).left)[placed[1]] == "it was changed since"


@posix
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("point", ["before", "half", "after"])
def test_killed_at_any_point(tmp_path: Path, pictures: Path, mode: Action, point: str) -> None:
    """A child is killed in the step of the second file: before it, between its two halves, or before it is noted."""
    code = """
import os, sys, signal
from pathlib import Path
from keepers.collection.sorting import sort
from keepers.collection.sorting.finish import finish
from keepers.core import files
from keepers.collection.sorting.sort import Sorter
into, mode, point, *images = sys.argv[1:]
die = lambda: os.kill(os.getpid(), signal.SIGKILL)
real, unlink, link = sort.carry_out, Path.unlink, os.link
count = 0
def act(*args):
    global count
    count += 1
    if count == 2 and point == "before": die()
    if count == 2 and point == "half":
        def late(*a, **k):
            link(*a, **k); die()
        files.os.link = late
    result = real(*args)
    if count == 2 and point == "after": die()
    return result
sort.carry_out = act
with Sorter(Path(into), mode) as sorter:
    for image in images: sorter.place(Path(image), "accept")
"""
    before, into = tree(pictures), tmp_path / "sorted"
    images = [str(p) for p in sorted(pictures.rglob("*.png"))]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    run = subprocess.run([sys.executable, "-c", code, str(into), mode, point, *images], env=env, check=False)
    assert run.returncode == -9
    whole = set(before.values())
    assert {v for k, v in tree(tmp_path).items() if ".keepers-" not in k} == whole, "nothing lost, nothing cut short"
    (log,) = journals(into)
    assert [step.state for step in read_journal(log)] == ["done", "begun"]
    with Sorter(into, mode) as sorter:  # the next run goes on where it stopped
        for image in filter(os.path.exists, images):
            sorter.place(Path(image), "accept")
    assert sorted(v for k, v in tree(into).items() if ".keepers-" not in k) == sorted(before.values()), "each once"
    for journal in reversed(journals(into)):
        summary = undo(journal)
        assert all(reason == "it was moved or removed since" for _, reason in summary.left)
    assert tree(pictures) == before
    assert {k for k in tree(into) if ".keepers-" not in k} == set()


@posix
def test_killed_move_is_taken_back_without_a_second_run(tmp_path: Path, pictures: Path) -> None:
    before, into = tree(pictures), tmp_path / "sorted"
    journal = Journal.new(into)
    for name, half in (("a.png", True), ("b.png", False)):
        target = into / "accepted" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        journal.begin("move", pictures / name, f"accepted/{name}", files.stamp(pictures / name))
        if half:
            os.link(pictures / name, target)
    journal.close()
    assert undo(journal.path).left == ()
    assert tree(pictures) == before
    assert tree(into) == {}


def fail(code: int, times: int = 1) -> Callable[..., Any]:
    left = [times]

    def raises(*args: Any, **kw: Any) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            raise OSError(code, os.strerror(code))
        return REAL_FSYNC(*args, **kw)

    return raises


REAL_FSYNC = os.fsync


@pytest.mark.parametrize("mode", ["copy", "move"])
def test_a_full_disk_leaves_the_file_and_the_rest_goes_on(
    tmp_path: Path, pictures: Path, mode: Action, monkeypatch: pytest.MonkeyPatch
) -> None:
    into, before = tmp_path / "sorted", tree(pictures)

    def full(*_: object) -> str:
        raise WriteFailed("x", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    with Sorter(into, mode) as sorter:
        sorter.place(pictures / "b.png", "accept")
        with monkeypatch.context() as patch:
            patch.setattr(sort, "carry_out", full)
            with pytest.raises(WriteFailed, match="No space left"):
                sorter.place(pictures / "a.png", "accept")
        assert (pictures / "a.png").read_bytes() == before["a.png"]
        with monkeypatch.context() as patch:  # the log itself cannot be written: then nothing is done either
            patch.setattr(files.os, "fsync", fail(errno.ENOSPC))
            with pytest.raises(WriteFailed, match="No space left"):
                sorter.place(pictures / "a.png", "accept")
        assert (pictures / "a.png").read_bytes() == before["a.png"]
        sorter.place(pictures / "sub" / "deep" / "c.png", "accept")
    assert sorted(tree(into)) == ["accepted/b.png", "accepted/c.png"]
    assert {step.state for step in read_journal(journals(into)[0])} == {"done", "failed"}, "what failed is noted"
    assert not undo(journals(into)[0]).left
    assert tree(pictures) == before


def test_a_log_that_was_torn_from_its_first_line_on(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, into, real, calls = tree(pictures), tmp_path / "sorted", os.write, [0]

    def torn(handle: int, data: bytes) -> int:
        calls[0] += 1
        if calls[0] == 1:
            return real(handle, data[:9])
        if calls[0] in (2, 5):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(handle, data)

    monkeypatch.setattr("keepers.collection.sorting.journal.os.write", torn)
    with Sorter(into, "move") as sorter:
        for name in ("a.png", "b.png", "sub/a.png", "sub/deep/c.png"):
            with suppress(WriteFailed):
                assert sorter.place(pictures / name, "accept").new
    assert len(tree(into)) == 3
    assert not undo(journals(into)[0]).left
    assert tree(pictures) == before


def test_single_files_as_roots_and_dangling_links_in_the_way(tmp_path: Path, pictures: Path) -> None:
    into = tmp_path / "sorted"
    (into / "accepted").mkdir(parents=True)
    if os.name != "nt":
        (into / "accepted" / "a-1.png").symlink_to(into / "gone")
    (into / "accepted" / "a.png").write_bytes(b"x")
    with Sorter(into, "move", roots=[pictures / "a.png", pictures / "sub"]) as sorter:
        assert sorter.place(pictures / "a.png", "accept").target.name == ("a-1.png" if os.name == "nt" else "a-2.png")
        assert (
            sorter.place(pictures / "sub" / "deep" / "c.png", "accept").target == into / "accepted" / "deep" / "c.png"
        )


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write all")
def test_a_folder_that_lets_nothing_go(tmp_path: Path, pictures: Path) -> None:
    (pictures / "sub").chmod(0o555)
    with Sorter(tmp_path / "sorted", "move") as sorter, pytest.raises(WriteFailed):
        sorter.place(pictures / "sub" / "a.png", "accept")
    (pictures / "sub").chmod(0o755)
    assert tree(tmp_path / "sorted") == {}


def test_a_move_that_cannot_remove_its_source_is_no_move(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, real = tree(pictures), Path.unlink

    def unlink(self: Path, missing_ok: bool = False) -> None:
        if self.parent == pictures:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        real(self, missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    with Sorter(tmp_path / "sorted", "move") as sorter, pytest.raises(WriteFailed):
        sorter.place(pictures / "a.png", "accept")
    assert tree(pictures) == before
    assert tree(tmp_path / "sorted") == {}


@posix
def test_links_and_foreign_things_are_refused(tmp_path: Path, pictures: Path) -> None:
    into, outside = tmp_path / "sorted", tmp_path / "outside"
    outside.mkdir()
    into.mkdir()
    (into / "accepted").symlink_to(outside)
    (pictures / "link.png").symlink_to(pictures / "a.png")
    os.mkfifo(pictures / "pipe.png")
    for mode in MODES:
        with Sorter(into, mode) as sorter:
            with pytest.raises(OutsideFolder):
                sorter.place(pictures / "a.png", "accept")
            for name in ("pipe.png", "none.png", "sub"):
                with pytest.raises(UnreadableImage):
                    sorter.place(pictures / name, "review")
            if mode != "copy":
                with pytest.raises(UnreadableImage, match="is a link"):
                    sorter.place(pictures / "link.png", "review")
    assert list(outside.iterdir()) == []
    with Sorter(into, "copy") as sorter:
        assert not sorter.place(pictures / "link.png", "review").target.is_symlink()
    with pytest.raises(KeyError):
        Sorter(into).place(pictures / "a.png", "../../x")


@posix
def test_one_file_along_two_paths_is_never_removed(tmp_path: Path, pictures: Path) -> None:
    into = tmp_path / "sorted"
    sort_all(pictures, into, "move")
    once = tree(into)
    (tmp_path / "door").symlink_to(into)
    with Sorter(tmp_path / "door", "move") as sorter:
        sorter.place(tmp_path / "door" / "accepted" / "a.png", "accept")
    with Sorter(into, "move") as sorter:
        sorter.place(tmp_path / "door" / "accepted" / "a.png", "accept")
    assert tree(into) == once


@posix
@pytest.mark.parametrize("act", MODES)
@pytest.mark.parametrize("state", ["begun", "done"])
def test_one_file_along_two_paths_is_no_original_of_itself(tmp_path: Path, act: Action, state: str) -> None:
    """The log's source is the sorted file itself, reached through a link to its folder: there is no other copy."""
    into = tmp_path / "sorted"
    (into / "accepted").mkdir(parents=True)
    (into / "accepted" / "a.png").write_bytes(b"the only one")
    (tmp_path / "door").symlink_to(into / "accepted")
    source = tmp_path / "door" / "a.png"
    journal = Journal.new(into)
    step = journal.begin(act, source, "accepted/a.png", files.stamp(source))
    if state == "done":
        journal.done(step, files.stamp(source))
    journal.close()
    finish(into)
    assert tree(into) == {"accepted/a.png": b"the only one"}
    undo(journal.path)
    assert tree(into) == {"accepted/a.png": b"the only one"}


@posix
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("to", ["accepted/b.png", "../elsewhere.png", "nowhere"])
def test_a_link_in_the_place_of_a_sorted_file_is_left(tmp_path: Path, pictures: Path, mode: Action, to: str) -> None:
    """What it points to is never taken for the sorted file, inside the folder or outside it."""
    into = tmp_path / "sorted"
    with Sorter(into, mode) as sorter:
        placed = [sorter.place(pictures / name, "accept").target for name in ("a.png", "b.png")]
    os.utime(placed[1], ns=(placed[0].stat().st_atime_ns, placed[0].stat().st_mtime_ns))
    placed[0].rename(tmp_path / "elsewhere.png")
    placed[0].symlink_to(into / to)
    finish(into)
    left = dict(undo(journals(into)[0]).left)
    assert left[placed[0]] == "something else is there now"
    assert placed[0].is_symlink() and (tmp_path / "elsewhere.png").read_bytes() == b"a.png" * 10
    if mode == "move":
        assert not (pictures / "a.png").exists()


def test_a_log_with_places_that_depend_on_where_one_stands_is_not_followed(tmp_path: Path) -> None:
    journal = Journal.new(tmp_path / "sorted")
    journal.begin("move", Path("a.png"), "accepted/a.png", files.Stamp(1, 1, 1, 1))
    journal.begin("move", tmp_path / "b.png", "accepted/b.png", files.Stamp(1, 1, 1, 1))
    journal.close()
    assert [step.source.name for step in read_journal(journal.path)] == ["b.png"]


def test_two_spellings_of_one_name_are_one_file(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a disk that ignores case or is mounted twice, both names are the same file, and it has only one name."""
    into = tmp_path / "sorted"
    (into / "accepted").mkdir(parents=True)
    (into / "accepted" / "a.png").write_bytes(b"")
    monkeypatch.setattr(sort, "is_one", lambda *_: True)
    with Sorter(into, "move") as sorter:
        assert not sorter.place(pictures / "a.png", "accept").new
    assert (pictures / "a.png").read_bytes() == b"a.png" * 10


def test_a_log_that_would_give_a_file_another_ending_is_not_followed(tmp_path: Path) -> None:
    """A forged log could else turn a picture into a script that a shell reads."""
    into = tmp_path / "sorted"
    (into / "accepted").mkdir(parents=True)
    picture = into / "accepted" / "a.png"
    picture.write_bytes(b"echo")
    journal = Journal.new(into)
    step = journal.begin("move", tmp_path / ".bashrc", "accepted/a.png", files.stamp(picture))
    journal.done(step, files.stamp(picture))
    journal.close()
    assert [reason for _, reason in undo(journal.path).left] == ["the log does not fit it"]
    assert picture.exists() and not (tmp_path / ".bashrc").exists()


def test_hostile_and_damaged_logs(tmp_path: Path, pictures: Path) -> None:
    into = tmp_path / "sorted"
    before = tree(pictures)
    sort_all(pictures, into, "move")
    (log,) = journals(into)
    good = log.read_bytes()
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"secret")
    x, size, mtime = str(tmp_path / "x.png"), secret.stat().st_size, secret.stat().st_mtime_ns
    bad = [
        {"do": 90, "act": "move", "from": x, "to": "../secret.png", "size": size, "mtime_ns": mtime},
        {"do": 91, "act": "move", "from": x, "to": str(secret), "size": size, "mtime_ns": mtime},
        {"do": 92, "act": "move", "from": "relative.png", "to": "accepted/a.png", "size": 1, "mtime_ns": 1},
        {"do": 93, "act": "shred", "from": str(secret), "to": "accepted/a.png", "size": 1, "mtime_ns": 1},
        {"do": 94, "act": "copy", "from": str(secret), "to": ["x"], "size": 1, "mtime_ns": 1},
        {"do": 95, "act": "move", "from": str(tmp_path / ".bashrc"), "to": "accepted/a.png", "size": 50, "mtime_ns": 1},
        {"do": [], "done": {}}, {"done": 1234}, {"undone": [1]}, [1], 5,
    ]  # fmt: skip
    log.write_bytes(
        good
        + b"".join(json.dumps(line).encode() + b"\n" for line in bad)
        + b'{"do": 99, "act"\n\xff\xfe\n'
        + b"[" * 5000
    )
    summary = undo(log)
    assert secret.read_bytes() == b"secret"
    assert not (tmp_path / ".bashrc").exists()
    assert len(summary.restored) == 4
    assert tree(pictures) == before
    for text in (b"", b"{}", b"hello", b'{"keepers_sort": 2}', b'{"keepers_sort": 1, "folder": "/elsewhere"}'):
        log.write_bytes(text)
        with pytest.raises(BadJournal):
            undo(log)
    with pytest.raises(BadJournal):
        undo(into / "none.jsonl")
    assert issubclass(BadJournal, KeepersError)
