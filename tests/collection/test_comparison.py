"""A scan compares all its files before it judges one: the better picture is kept, however the scan came about."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFilter

from keepers.collection import reading
from keepers.collection.scan import Scan, Scanned, ScanOptions
from keepers.collection.sorting.away import moved_away
from keepers.collection.sorting.sort import Sorter
from keepers.collection.store import Store
from keepers.core.gates.gate import Gate
from keepers.core.judging.better import KeepDuplicate
from keepers.core.judging.judge import Judge
from keepers.core.pictures.walk import Found, walk
from keepers.core.prediction import twins_of
from keepers.core.weights.store import WeightStore
from keepers.examples.pictures import ORDINARY, mountains
from keepers.models.registry import REGISTRY

GATE = Gate.parse('accept: signals.label == "ok"\nreview: signals.label == "duplicate"')


def scan(store: Store | None = None, keep: KeepDuplicate = "largest", gate: Gate = GATE) -> Scan:
    return Scan(Judge(REGISTRY, WeightStore([])), gate, store, ScanOptions(keep=keep))


def found(folder: Path) -> list[Found]:
    return [entry for entry in walk([folder]) if isinstance(entry, Found)]


def results(folder: Path, store: Store | None = None, keep: KeepDuplicate = "largest") -> dict[str, Scanned]:
    job = scan(store, keep)
    return {one.path.name: one for one in job.run(job.plan(found(folder)))}


def duplicates(folder: Path, store: Store | None = None, keep: KeepDuplicate = "largest") -> dict[str, str]:
    """For each duplicate, the name of the file that is kept instead."""
    twins = {name: twins_of(one.answers).kept for name, one in results(folder, store, keep).items()}
    return {name: Path(kept).name for name, kept in twins.items() if kept}


def save(picture: Image.Image, path: Path, time: int = 1_000_000, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, **options)
    os.utime(path, (time, time))


@pytest.fixture
def picture() -> Image.Image:
    return ORDINARY["mountains"]().convert("RGB")


def half(picture: Image.Image) -> Image.Image:
    return picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.LANCZOS)


def test_the_finished_picture_is_kept(tmp_path: Path, picture: Image.Image) -> None:
    save(half(picture), tmp_path / "1-before-highres-fix.png", 9_000_000)
    save(picture, tmp_path / "1.png")
    other = ORDINARY["sea"]().convert("RGB")
    patch = (200, 200, 300, 300)
    changed = other.copy()
    changed.paste(other.crop(patch).filter(ImageFilter.GaussianBlur(2)), patch[:2])
    save(other, tmp_path / "2-ad-before.png", 9_000_000)
    save(changed, tmp_path / "2.png")
    assert duplicates(tmp_path) == {"1-before-highres-fix.png": "1.png", "2-ad-before.png": "2.png"}


def test_larger_then_less_compressed_then_newer(tmp_path: Path, picture: Image.Image) -> None:
    save(picture, tmp_path / "a.jpg", 9_000_000, quality=60)
    save(picture, tmp_path / "b.jpg", quality=90)
    save(half(picture), tmp_path / "c.png", 9_000_000)
    assert duplicates(tmp_path) == {"a.jpg": "b.jpg", "c.png": "b.jpg"}
    save(picture, tmp_path / "d.png")
    assert duplicates(tmp_path) == {"a.jpg": "d.png", "b.jpg": "d.png", "c.png": "d.png"}
    save(picture, tmp_path / "e.png", 2_000_000)
    assert set(duplicates(tmp_path).values()) == {"e.png"}


@pytest.mark.parametrize(("keep", "kept"), [("first", "a.jpg"), ("newest", "b.png"), ("largest", "c.png")])
def test_what_is_kept_can_be_chosen(keep: KeepDuplicate, kept: str, tmp_path: Path, picture: Image.Image) -> None:
    save(picture, tmp_path / "a.jpg", 1_000_000)
    save(half(picture), tmp_path / "b.png", 3_000_000)
    save(picture, tmp_path / "c.png", 2_000_000)
    assert set(duplicates(tmp_path, keep=keep).values()) == {kept}


def test_the_best_is_kept_by_the_number_that_the_gate_reads(tmp_path: Path, picture: Image.Image) -> None:
    gate = Gate.parse('accept: signals.label == "ok" and signals.spread >= 1\nreview: signals.label == "duplicate"')
    save(picture.point([round(10 + level * 0.92) for level in range(256)] * 3), tmp_path / "pale.png", 9_000_000)
    save(half(picture), tmp_path / "strong.png")
    for store in (None, Store(tmp_path / "k.db")):
        job = scan(store, "best", gate)
        kept = [twins_of(one.answers).kept for one in job.run(job.plan(found(tmp_path)))]
        assert [Path(one).name for one in kept] == ["strong.png", ""]


def test_colour_and_words_count(tmp_path: Path) -> None:
    base = ORDINARY["fog"]().convert("RGB")
    for name, colour in (("red", (150, 30, 40)), ("blue", (41, 60, 190))):
        dressed = base.copy()
        ImageDraw.Draw(dressed).ellipse((100, 100, 400, 500), fill=colour)
        save(dressed, tmp_path / f"{name}.png")
    assert duplicates(tmp_path) == {}


def test_thumbnails_below_are_duplicates(tmp_path: Path, picture: Image.Image) -> None:
    save(picture, tmp_path / "a.png")
    save(picture.resize((192, 128)), tmp_path / "thumbs" / "small.jpg", 9_000_000)
    assert duplicates(tmp_path) == {"small.jpg": "a.png"}


def test_the_names_stand_in_the_reason_and_on_both_sides(tmp_path: Path, picture: Image.Image) -> None:
    save(picture, tmp_path / "a.png")
    save(half(picture), tmp_path / "b.png")
    done = results(tmp_path)
    assert done["b.png"].verdict.reason == f"review: signals is duplicate of {tmp_path / 'a.png'}"
    assert twins_of(done["a.png"].answers).others == (str(tmp_path / "b.png"),)


def test_equal_files_are_told_apart_again_and_again(tmp_path: Path, picture: Image.Image) -> None:
    """A verdict is stored by content, but only one of the two is the duplicate."""
    save(picture, tmp_path / "in" / "a.png", 2_000_000)
    save(picture, tmp_path / "in" / "b.png", 1_000_000)
    with Store(tmp_path / "k.db") as store:
        for _ in range(3):
            assert duplicates(tmp_path / "in", store) == {"b.png": "a.png"}
            assert results(tmp_path / "in", store)["a.png"].verdict.outcome == "accept"


def test_the_kept_one_of_equal_files_has_the_stored_verdict(tmp_path: Path, picture: Image.Image) -> None:
    """Also where the names are not UTF-8, and are shown escaped."""
    folder = tmp_path / "in"
    save(picture, folder / "a\udcff.png", 2_000_000)
    save(picture, folder / "b.png", 1_000_000)
    save(half(picture), folder / "c.png")
    with Store(tmp_path / "k.db") as store:
        first = results(folder, store)
        assert twins_of(first["b.png"].answers).kept == str(folder / "a\udcff.png")
        stored = store.newest_verdicts({one.image.content for one in first.values()})
        outcomes = {name: stored[one.image.content].outcome for name, one in first.items()}
        assert outcomes == {"a\udcff.png": "accept", "b.png": "accept", "c.png": "review"}
        assert {name for name, one in results(folder, store).items() if one.known} == {"a\udcff.png", "c.png"}


def test_notes_come_without_a_store_too(tmp_path: Path, picture: Image.Image) -> None:
    clear = picture.convert("RGBA")
    clear.putpixel((0, 0), (0, 0, 0, 0))
    save(clear, tmp_path / "a.png")
    job = scan()
    (alone,) = job.run(job.plan(found(tmp_path)))
    assert any("transparent" in note for note in alone.image.notes)


def test_a_better_picture_that_comes_later_replaces_the_one_before(tmp_path: Path, picture: Image.Image) -> None:
    save(half(picture), tmp_path / "in" / "a.png")
    with Store(tmp_path / "k.db") as store:
        assert results(tmp_path / "in", store)["a.png"].verdict.outcome == "accept"
        save(picture, tmp_path / "in" / "b.png")
        done = results(tmp_path / "in", store)
        assert [done[name].verdict.outcome for name in ("a.png", "b.png")] == ["review", "accept"]
        (tmp_path / "in" / "b.png").unlink()
        assert results(tmp_path / "in", store)["a.png"].verdict.outcome == "accept"


def test_a_running_scan_tells_again_what_new_files_change(tmp_path: Path, picture: Image.Image) -> None:
    save(half(picture), tmp_path / "a.png")
    save(ORDINARY["sea"](), tmp_path / "sea.png")
    job = scan()
    assert [one.verdict.outcome for one in job.run(job.plan(found(tmp_path)))] == ["accept", "accept"]
    save(picture, tmp_path / "b.png")
    new = [one for one in found(tmp_path) if one.path.name == "b.png"]
    told = [(one.path.name, one.verdict.outcome) for one in job.run(job.plan(new))]
    assert told == [("b.png", "accept"), ("a.png", "review")]


def test_a_file_that_was_moved_is_judged_where_it_is_now(tmp_path: Path, picture: Image.Image) -> None:
    """A folder is watched and sorted by move, without a store."""
    save(half(picture), tmp_path / "in" / "a.png")
    job = scan()
    (first,) = job.run(job.plan(found(tmp_path / "in")))
    first.path.rename(tmp_path / "away.png")
    job.moved(first.path, tmp_path / "away.png")
    save(picture, tmp_path / "in" / "b.png")
    told = [(one.path.name, one.verdict.outcome) for one in job.run(job.plan(found(tmp_path / "in")))]
    assert told == [("b.png", "accept"), ("away.png", "review")]


def test_each_picture_is_decoded_once_where_no_net_is_asked(
    tmp_path: Path, picture: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    real = reading.open_image

    def counted(data: bytes, *, name: str, pixel_limit: int) -> Image.Image:
        opened.append(Path(name).name)
        return real(data, name=name, pixel_limit=pixel_limit)

    monkeypatch.setattr(reading, "open_image", counted)
    for name in ("a.png", "b.png"):
        save(picture, tmp_path / "in" / name)
    save(ORDINARY["sea"](), tmp_path / "in" / "sea.png")
    with Store(tmp_path / "k.db") as store:
        results(tmp_path / "in", store)
        assert sorted(opened) in (["a.png", "b.png", "sea.png"], ["a.png", "sea.png"])
        opened.clear()
        assert all(one.known for name, one in results(tmp_path / "in", store).items() if name == "sea.png")
        assert opened == []
    results(tmp_path / "in")
    assert len(opened) == 3


@pytest.mark.parametrize("stop", range(1, 6))
def test_a_move_that_was_interrupted_goes_on_to_the_same_verdicts(
    stop: int, tmp_path: Path, picture: Image.Image
) -> None:
    folder, target = tmp_path / "in", tmp_path / "sorted"
    save(picture, folder / "a-before-highres-fix.png", 9_000_000)
    save(picture, folder / "a.png")
    save(half(picture), folder / "sub" / "small.png")
    for seed in (2, 3):
        save(mountains((384, 256), seed), folder / f"{seed}.png")
    whole = duplicates(folder)
    assert whole == {"a-before-highres-fix.png": "a.png", "small.png": "a.png"}
    seen: dict[str, str] = {}
    with Store(tmp_path / "k.db") as store:
        for limit in (stop, 99):
            job = scan(store)
            with Sorter(target, "move", roots=[folder]) as sorter:
                running = job.run(job.plan(found(folder)), moved_away(target, [folder]))
                for _, one in zip(range(limit), running, strict=False):
                    seen[one.path.name] = Path(twins_of(one.answers).kept).name
                    sorter.place(one.path, one.verdict.outcome)
                running.close()
    assert len(seen) == 5
    assert {name: kept for name, kept in seen.items() if kept} == whole
    assert sorted(one.path.name for one in found(target / "review")) == sorted(whole)
