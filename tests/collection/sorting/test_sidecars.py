"""An image keeps its sidecars when it is sorted: under its new name, shared or not, after any crash, and back again."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from keepers.collection.sorting import act
from keepers.collection.sorting.finish import finish
from keepers.collection.sorting.journal import Action, Journal, journals, logs, read_journal
from keepers.collection.sorting.sidecars import ENDINGS, is_shared, sidecars
from keepers.collection.sorting.sort import Sorter
from keepers.collection.sorting.undo import undo
from keepers.core import files
from keepers.core.errors import WriteFailed

MODES: tuple[Action, ...] = ("copy", "move", "link")
posix = pytest.mark.skipif(os.name == "nt", reason="no SIGKILL there")


def tree(folder: Path) -> dict[str, str]:
    """The text of every file but the logs."""
    found = (p for p in sorted(folder.rglob("*")) if p.is_file() and not p.name.startswith("keepers-sort-"))
    return {str(p.relative_to(folder)): p.read_text() for p in found}


def write(folder: Path, *names: str) -> Path:
    """Files whose text is their name."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def place(into: Path, mode: Action, **outcomes: str) -> list[str]:
    """Sorts the images named, and returns what was told."""
    source = into.parent / "in"
    with Sorter(into, mode, roots=[source]) as sorter:
        told = [sorter.place(source / name.replace("_", "."), outcome).told for name, outcome in outcomes.items()]
    return [each for each in told if each]


def undo_all(into: Path) -> None:
    for log in reversed(journals(into)):
        assert undo(log).left == ()
    assert tree(into) == {}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("outcome", ["accept", "review", "reject"])
def test_every_kind_goes_along_with_every_verdict(tmp_path: Path, mode: Action, outcome: str) -> None:
    kinds = [f"a{ending}" for ending in ENDINGS] + [f"a.png{ending}" for ending in ENDINGS]
    strangers = ["b.txt", "ab.txt", "a", "a.md", "a-1.txt", "a.png.bak"]
    source = write(tmp_path / "in", "a.png", *kinds, *strangers)
    before = tree(source)
    place(tmp_path / "out", mode, a_png=outcome)
    (verdict,) = (tmp_path / "out").glob("[!k]*")
    assert set(tree(verdict)) == {"a.png", *kinds}
    assert all(text == name for name, text in tree(verdict).items())
    assert set(tree(source)) == (set(strangers) if mode == "move" else set(before))
    undo_all(tmp_path / "out")
    assert tree(source) == before


def test_endings_in_capitals(tmp_path: Path) -> None:
    source = write(tmp_path / "in", "A.PNG", "A.TXT", "A.PNG.JSON")
    with Sorter(tmp_path / "out", "move") as sorter:
        sorter.place(source / "A.PNG", "accept")
    assert set(tree(tmp_path / "out")) == {"accepted/A.PNG", "accepted/A.TXT", "accepted/A.PNG.JSON"}


@pytest.mark.parametrize("mode", MODES)
def test_a_renamed_image_renames_its_sidecars_and_is_known_again(tmp_path: Path, mode: Action) -> None:
    source = write(tmp_path / "in", "a.png", "a.txt", "a.png.json")
    before = tree(source)
    write(tmp_path / "out", "accepted/a.caption")
    foreign = tree(tmp_path / "out")
    place(tmp_path / "out", mode, a_png="accept")
    assert tree(tmp_path / "out") == foreign | {
        "accepted/a-1.png": "a.png", "accepted/a-1.txt": "a.txt", "accepted/a-1.png.json": "a.png.json",
    }  # fmt: skip
    once = tree(tmp_path)
    if mode != "move":
        place(tmp_path / "out", mode, a_png="accept")
        assert tree(tmp_path) == once
    assert undo(journals(tmp_path / "out")[0]).left == ()
    assert tree(source) == before
    assert tree(tmp_path / "out") == foreign


@pytest.mark.skipif(os.name == "nt", reason="other limits there")
def test_a_long_name_leaves_room_for_its_sidecars_number(tmp_path: Path) -> None:
    stem = "x" * (255 - len(".png.caption.txt"))
    source = write(tmp_path / "in", f"{stem}.png", f"{stem}.png.caption.txt")
    write(tmp_path / "out", f"accepted/{stem}.png")
    with Sorter(tmp_path / "out", "move") as sorter:
        placed = sorter.place(source / f"{stem}.png", "accept")
    assert placed.told == ""
    assert placed.target.with_name(f"{placed.target.name}.caption.txt").read_text() == f"{stem}.png.caption.txt"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("png", "jpg"), [("accept", "accept"), ("accept", "reject"), ("review", "accept")])
def test_a_shared_sidecar_ends_beside_both_images(tmp_path: Path, mode: Action, png: str, jpg: str) -> None:
    source, into = write(tmp_path / "in", "a.png", "a.jpg", "a.txt"), tmp_path / "out"
    before = tree(source)
    place(into, mode, a_png=png)
    assert (source / "a.txt").exists(), "a.jpg still needs it"
    place(into, mode, a_jpg=jpg)
    for image in (found for found in into.rglob("a.*") if found.suffix != ".txt"):
        assert image.with_name("a.txt").read_text() == "a.txt"
    assert len([found for found in into.rglob("a.*") if found.suffix != ".txt"]) == 2
    assert tree(source) == ({} if mode == "move" else before)
    assert undo(journals(into)[-1]).left == ()
    (left,) = (found for found in into.rglob("a.*") if found.suffix != ".txt")
    assert left.with_name("a.txt").read_text() == "a.txt", "undoing one run takes nothing from the other's image"
    undo_all(into)
    assert tree(source) == before


def test_an_undo_that_was_killed_after_it_copied_a_shared_sidecar_back_goes_on(tmp_path: Path) -> None:
    source, into = write(tmp_path / "in", "a.png", "a.jpg", "a.txt"), tmp_path / "out"
    place(into, "move", a_png="accept")
    place(into, "move", a_jpg="accept")
    write(source, "a.txt")
    assert undo(journals(into)[-1]).left == ()
    assert set(tree(source)) == {"a.jpg", "a.txt"} and set(tree(into)) == {"accepted/a.png", "accepted/a.txt"}
    undo_all(into)


@pytest.mark.parametrize("mode", MODES)
def test_a_shared_sidecar_in_one_run(tmp_path: Path, mode: Action) -> None:
    source, into = write(tmp_path / "in", "a.png", "a.jpg", "a.webp", "a.txt"), tmp_path / "out"
    before = tree(source)
    place(into, mode, a_png="accept", a_jpg="reject", a_webp="accept")
    found = {"accepted/a.png", "accepted/a.webp", "accepted/a.txt", "rejected/a.jpg", "rejected/a.txt"}
    assert set(tree(into)) == found
    undo_all(into)
    assert tree(source) == before


@pytest.mark.parametrize("mode", MODES)
def test_no_image_gets_the_sidecar_of_another(tmp_path: Path, mode: Action) -> None:
    """Images of the same stem from two folders lie side by side; only one of them has a caption."""
    write(tmp_path / "in", "x/a.png", "x/a.txt", "y/a.jpg")
    for first, second in (("x/a.png", "y/a.jpg"), ("y/a.jpg", "x/a.png")):
        into = tmp_path / first[0]
        with Sorter(into, "copy" if mode == "move" else mode) as sorter:
            sorter.place(tmp_path / "in" / first, "accept")
            sorter.place(tmp_path / "in" / second, "accept")
        images = [found for found in (into / "accepted").iterdir() if found.suffix in (".png", ".jpg")]
        assert {found.suffix: found.with_suffix(".txt").exists() for found in images} == {".png": True, ".jpg": False}


@pytest.mark.parametrize("mode", ["copy", "link"])
def test_a_later_caption_does_not_become_that_of_another_image(tmp_path: Path, mode: Action) -> None:
    write(tmp_path / "in", "x/a.png", "y/a.jpg")
    into, told = tmp_path / "out", list[str]()
    for _ in range(2):
        with Sorter(into, mode) as sorter:
            told = [sorter.place(tmp_path / "in" / name, "accept").told for name in ("x/a.png", "y/a.jpg")]
        write(tmp_path / "in", "x/a.txt")
    assert set(tree(into)) == {"accepted/a.png", "accepted/a.jpg"}
    assert "a.txt stays" in told[0] and told[1] == ""


@pytest.mark.parametrize("mode", MODES)
def test_two_images_of_one_stem_keep_their_own_captions(tmp_path: Path, mode: Action) -> None:
    write(tmp_path / "in", "x/a.png", "x/a.txt", "y/a.jpg", "y/a.txt")
    into = tmp_path / "out"
    with Sorter(into, mode) as sorter:
        placed = [sorter.place(tmp_path / "in" / name, "accept").target for name in ("x/a.png", "y/a.jpg")]
    assert [path.name for path in placed] == ["a.png", "a-1.jpg"]
    assert [path.with_suffix(".txt").read_text() for path in placed] == ["x/a.txt", "y/a.txt"]


@pytest.mark.parametrize("mode", MODES)
def test_another_verdict_takes_the_sidecars_with_it(tmp_path: Path, mode: Action) -> None:
    source, into = write(tmp_path / "in", "a.png", "a.txt"), tmp_path / "out"
    before = tree(source)
    write(into, "accepted/a.json")
    place(into, mode, a_png="accept")
    assert "accepted/a-1.txt" in tree(into)
    if mode == "move":
        with Sorter(into, mode) as sorter:
            sorter.place(into / "accepted" / "a-1.png", "reject")
        assert set(tree(into)) == {"accepted/a.json", "rejected/a-1.png", "rejected/a-1.txt"}
    else:
        place(into, mode, a_png="reject")
        assert set(tree(into)) == {"accepted/a.json", "rejected/a.png", "rejected/a.txt"}
    for log in reversed(journals(into)):
        assert undo(log).left == ()
    assert tree(source) == before
    assert set(tree(into)) == {"accepted/a.json"}


@pytest.mark.parametrize("mode", ["copy", "link"])
def test_captions_written_after_sorting_follow_and_edited_ones_stay(tmp_path: Path, mode: Action) -> None:
    source, into = write(tmp_path / "in", "a.png", "a.txt"), tmp_path / "out"
    place(into, mode, a_png="accept")
    (into / "accepted" / "a.txt").unlink()
    (into / "accepted" / "a.txt").write_text("edited")
    write(source, "a.json")
    assert place(into, mode, a_png="accept") == []
    assert tree(into) == {"accepted/a.png": "a.png", "accepted/a.txt": "edited", "accepted/a.json": "a.json"}
    undo(journals(into)[-1])
    assert tree(into) == {"accepted/a.png": "a.png", "accepted/a.txt": "edited"}
    (left,) = undo(journals(into)[-1]).left
    assert left[0].name == "a.txt"
    assert (into / "accepted" / "a.txt").read_text() == "edited"


def test_undo_keeps_an_image_and_its_edited_caption_together(tmp_path: Path) -> None:
    source, into = write(tmp_path / "in", "a.png", "a.txt", "b.png", "b.txt"), tmp_path / "out"
    place(into, "move", a_png="accept", b_png="accept")
    (into / "accepted" / "a.txt").write_text("edited")
    (into / "accepted" / "b.png").write_text("painted over")
    summary = undo(journals(into)[0])
    assert tree(source) == {"a.png": "a.png", "a.txt": "edited"}
    assert tree(into) == {"accepted/b.png": "painted over", "accepted/b.txt": "b.txt"}
    assert {path.name: why for path, why in summary.left} == {
        "b.png": "it was changed since",
        "b.txt": "its image stays here",
    }
    (into / "accepted" / "b.png").unlink()
    assert [path.name for path, _ in undo(journals(into)[0]).left] == ["b.png", "b.txt"], "never a caption alone"


@posix
@pytest.mark.parametrize("state", ["begun", "done"])
def test_a_link_in_the_place_of_a_sidecar_takes_no_other_image_s(tmp_path: Path, state: str) -> None:
    source, into = write(tmp_path / "in", "a.png", "a.txt", "b.png", "b.txt"), tmp_path / "out"
    place(into, "move", a_png="accept", b_png="accept")
    if state == "begun":
        log = journals(into)[0]
        log.write_text("\n".join(line for line in log.read_text().splitlines() if '"done": 1,' not in line))
    (into / "accepted" / "a.txt").unlink()
    (into / "accepted" / "a.txt").symlink_to(into / "accepted" / "b.txt")
    assert finish(into).ended == ()
    assert [path.name for path, _ in undo(journals(into)[0]).left] == ["a.txt"]
    assert tree(source) == {"a.png": "a.png", "b.png": "b.png", "b.txt": "b.txt"}


def test_a_link_is_told_and_stays(tmp_path: Path) -> None:
    source, into = write(tmp_path / "in", "a.png", "words"), tmp_path / "out"
    try:
        (source / "a.txt").symlink_to("words")
    except OSError:
        pytest.skip("no symbolic links here")
    (source / "a.json").mkdir()
    (told,) = place(into, "move", a_png="accept")
    assert "a.txt is a link" in told
    assert set(tree(into)) == {"accepted/a.png"}
    assert (source / "a.txt").is_symlink()


def test_a_sidecar_that_fails_is_told_and_goes_along_next_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, into = write(tmp_path / "in", "a.png", "a.txt", "a.json"), tmp_path / "out"
    before, real = tree(source), files.move_whole

    def full(source: Path, target: Path) -> None:
        if source.name == "a.txt":
            raise WriteFailed(target, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(act, "move_whole", full)
        (told,) = place(into, "move", a_png="accept")
    assert "a.txt could not go along" in told and "No space left" in told
    assert set(tree(into)) == {"accepted/a.png", "accepted/a.json"}
    assert tree(source) == {"a.txt": "a.txt"}
    with Sorter(into, "move") as sorter:
        assert [path.name for path in sorter.finished.ended] == ["a.txt"]
    assert tree(source) == {}
    undo_all(into)
    assert tree(source) == before


def test_a_name_taken_in_the_last_moment_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, into = write(tmp_path / "in", "a.png", "a.txt"), tmp_path / "out"
    real = files.move_whole

    def slow(source: Path, target: Path) -> None:
        real(source, target)
        if source.suffix == ".png":
            target.with_suffix(".txt").write_text("of another program")

    with monkeypatch.context() as patch:
        patch.setattr(act, "move_whole", slow)
        (told,) = place(into, "move", a_png="accept")
    assert "a.txt could not go along" in told
    for _ in range(2):
        assert finish(into).ended == ()
        assert tree(into)["accepted/a.txt"] == "of another program"
        assert tree(source) == {"a.txt": "a.txt"}


KILLED = """
import os, signal, sys
from pathlib import Path
from keepers.collection.sorting import act
from keepers.collection.sorting.journal import Journal
from keepers.collection.sorting.sort import Sorter
from keepers.core import files

def counted(kind, real):
    def call(*args, **options):
        result = real(*args, **options)
        counts[kind] += 1
        if (kind, counts[kind]) == (point, int(at)): os.kill(os.getpid(), signal.SIGKILL)
        return result
    return call

mode, *homes = sys.argv[1:]
for home in map(Path, homes):
    point, at = home.name.split("-")
    counts = {"line": 0, "act": 0, "half": 0, "done": 0}
    child = os.fork()
    if child == 0:
        Journal.begin = counted("line", Journal.begin)
        Journal.done = counted("done", Journal.done)
        for name in ("copy_whole", "move_whole", "link_whole"): setattr(act, name, counted("act", getattr(act, name)))
        files.os.link = counted("half", os.link)
        with Sorter(home / "out", mode, roots=[home / "in"]) as sorter:
            for name in ("a.png", "a.jpg", "b.png"): sorter.place(home / "in" / name, "accept")
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@posix
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("then", ["sort", "undo"])
def test_killed_anywhere_between_image_and_sidecar(tmp_path: Path, mode: Action, then: str) -> None:
    """A child dies after every line, act and half act of its run in turn; the next call ends it or takes it back."""
    homes = [tmp_path / f"{point}-{at}" for point in ("line", "act", "half", "done") for at in range(1, 10)]
    for home in homes:
        write(home / "in", "a.png", "a.jpg", "a.txt", "b.png", "b.txt", "b.png.json")
    before = tree(homes[0] / "in")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    script = [sys.executable, "-c", KILLED, mode, *map(str, homes)]
    said = subprocess.run(script, env=env, check=True, capture_output=True, text=True).stdout.split()
    killed = [home for home, code in zip(homes, said, strict=True) if int(code) == -signal.SIGKILL]
    assert set(said) == {"0", str(-signal.SIGKILL)}
    assert len(killed) > 18
    for home in killed:
        everything = {text for name, text in tree(home).items() if ".keepers-" not in name}
        assert everything == set(before.values()), "nothing is lost, nothing cut short"
        if then == "sort":
            _go_on(home / "in", home / "out", mode)
        for log in reversed(logs(home / "out")):
            undo(log)
        assert tree(home / "in") == before
        assert {name for name in tree(home / "out") if ".keepers-" not in name} == set()


def _go_on(source: Path, into: Path, mode: Action) -> None:
    with Sorter(into, mode, roots=[source]) as sorter:
        assert sorter.finished.left == ()
        for name in ("a.png", "a.jpg", "b.png"):
            if (source / name).exists():
                assert sorter.place(source / name, "accept").told == ""
    there = {name: text for name, text in tree(into / "accepted").items() if ".keepers-" not in name}
    assert there == {name: name for name in ("a.png", "a.jpg", "a.txt", "b.png", "b.txt", "b.png.json")}
    assert not any(step.state == "begun" for log in logs(into) for step in read_journal(log))


def test_what_the_log_says_of_an_image_that_never_moved_is_not_done(tmp_path: Path) -> None:
    """The image is in its old place: its sidecar stays with it, even where the new place has an equal one."""
    source, into = write(tmp_path / "in", "a.png", "a.txt"), write(tmp_path / "out", "accepted/a.jpg")
    (into / "accepted" / "a.txt").write_text("a.txt")
    journal = Journal.new(into)
    image = journal.begin("move", source / "a.png", "accepted/a.png", files.stamp(source / "a.png"))
    journal.begin("move", source / "a.txt", "accepted/a.txt", files.stamp(source / "a.txt"), image)
    journal.close()
    assert finish(into).ended == ()
    assert tree(source) == {"a.png": "a.png", "a.txt": "a.txt"}
    assert [step.state for step in read_journal(journal.path)] == ["failed", "failed"]


def test_whose_a_sidecar_is(tmp_path: Path) -> None:
    folder = write(tmp_path, "a.png", "a.txt", "a.png.txt", "a.caption.txt", "b.JPG", "b.txt", "a.png.jpg", "c")
    assert {each.path.name for each in sidecars(folder / "a.png")} == {"a.txt", "a.png.txt", "a.caption.txt"}
    assert not is_shared(folder / "a.txt", folder / "a.png")
    assert is_shared(folder / "a.png.txt", folder / "a.png"), "it is a.png.jpg's too, by its stem"
    assert is_shared(folder / "b.txt", folder / "b.png")
    assert not is_shared(folder / "b.txt", folder / "b.JPG")
    assert sidecars(folder / "c") == []
