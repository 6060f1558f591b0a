"""A scan judges every file once, remembers it, goes on where it stopped, and loses nothing."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from keepers.collection import reading
from keepers.collection.reading import GIVE_UP, WINDOW
from keepers.collection.scan import Scan, Scanned, ScanOptions
from keepers.collection.store import Store
from keepers.core.errors import StoreError, UnreadableImage
from keepers.core.gates.gate import Gate
from keepers.core.judging.judge import Judge
from keepers.core.pictures.walk import Found, walk
from keepers.core.prediction import Failure, Prediction
from keepers.core.runtime import Runtime
from keepers.core.weights.store import WeightStore
from keepers.models.registry import REGISTRY
from keepers.tests import tiny
from keepers.tests.tiny import Work, plain

GATE = Gate.parse("accept: cheap.good >= 0.5 and dear.good >= 0.5")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for n in range(12):
        plain(20 * n, 20 * n, 20 * n).save(folder / f"{n:02}.png")
    return folder


@pytest.fixture
def models(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


Run = Callable[..., list[Scanned]]


@pytest.fixture
def run(models: Path, tmp_path: Path) -> Run:
    """Scans folders with the tiny models and a store that lasts for the test."""

    def scan(
        work: Work, *paths: Path, gate: Gate = GATE, options: ScanOptions | None = None, precision: str = "exact"
    ) -> list[Scanned]:
        with Store(tmp_path / "keepers.db") as store:
            job = Scan(tiny.judge(work, models, precision=precision), gate, store, options)
            return list(job.run(job.plan(walk_files(*paths))))

    return scan


def walk_files(*paths: Path) -> list[Found]:
    return [entry for entry in walk(paths) if isinstance(entry, Found)]


def outcomes(results: list[Scanned]) -> dict[str, str]:
    return {result.path.name: result.verdict.outcome for result in results}


def test_every_file_has_its_verdict_in_order(run: Run, pictures: Path) -> None:
    results = run(Work(), pictures)
    assert [result.path.name for result in results] == [f"{n:02}.png" for n in range(12)]
    assert outcomes(results) == {f"{n:02}.png": "accept" if n >= 7 else "reject" for n in range(12)}


def test_a_second_scan_runs_no_model(run: Run, pictures: Path) -> None:
    first = run(Work(), pictures)
    work = Work()
    second = run(work, pictures)
    assert work.batches == []
    assert all(result.known for result in second)
    assert [one.verdict for one in second] == [one.verdict for one in first]


def test_details_of_known_files_come_from_the_store(run: Run, pictures: Path) -> None:
    first = run(Work(), pictures)
    second = run(Work(), pictures, options=ScanOptions(details=True))
    for one, other in zip(first, second, strict=True):
        assert one.image == other.image
        assert set(one.answers) == set(other.answers)


def test_a_copy_under_another_name_runs_no_model(run: Run, pictures: Path) -> None:
    run(Work(), pictures)
    (pictures / "copy.png").write_bytes((pictures / "11.png").read_bytes())
    work = Work()
    assert outcomes(run(work, pictures))["copy.png"] == "accept"
    assert work.batches == []


def test_a_changed_file_is_scored_again(run: Run, pictures: Path) -> None:
    run(Work(), pictures)
    plain(255, 255, 255, 20).save(pictures / "00.png")
    work = Work()
    assert outcomes(run(work, pictures))["00.png"] == "accept"
    assert work.images("cheap") == 1


def test_a_changed_file_of_the_same_size_is_scored_again(run: Run, pictures: Path) -> None:
    path = pictures / "same.bmp"
    plain(0, 0, 0).save(path)
    before = path.stat()
    assert outcomes(run(Work(), pictures))["same.bmp"] == "reject"
    plain(255, 255, 255).save(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert path.stat().st_size == before.st_size
    work = Work()
    assert outcomes(run(work, pictures))["same.bmp"] == "accept"
    assert work.images("cheap") == 1


def test_a_verdict_in_spite_of_a_missing_model_is_looked_at_again(pictures: Path, models: Path, tmp_path: Path) -> None:
    """Black is rejected whatever `dear` would say, but its number was asked for, and is still to come."""
    for kind in (Failure, Prediction):
        judge = tiny.judge(Work(), models)
        if kind is Failure:
            (models / "dear.safetensors").unlink()
        with Store(tmp_path / "keepers.db") as store:
            job = Scan(judge, GATE, store, ScanOptions(everything=True))
            (one,) = job.run(job.plan(walk_files(pictures / "00.png")))
        assert one.verdict.outcome == "reject" and one.verdict.lasts
        assert isinstance(one.answers["dear"], kind)


def test_a_picture_that_broke_off_in_the_middle_is_looked_at_again(
    run: Run, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks_off(*_: object, name: str, **__: object) -> Image.Image:
        raise UnreadableImage(name, "io", "the disk did not answer")

    with monkeypatch.context() as patch:
        patch.setattr(reading, "open_image", breaks_off)
        assert set(outcomes(run(Work(), pictures)).values()) == {"review"}
    again = run(Work(), pictures)
    assert outcomes(again)["11.png"] == "accept" and not any(one.known for one in again)


def test_another_gate_uses_the_predictions_that_are_there(run: Run, pictures: Path) -> None:
    run(Work(), pictures)
    work = Work()
    results = run(work, pictures, gate=Gate.parse("accept: cheap.good >= 0.9"))
    assert work.batches == []
    assert Counter(outcomes(results).values()) == {"reject": 12}


def test_fresh_scores_again(run: Run, pictures: Path) -> None:
    run(Work(), pictures)
    work = Work()
    run(work, pictures, options=ScanOptions(fresh=True))
    assert work.images("cheap") == 12


def test_exact_does_not_take_a_fast_prediction(run: Run, pictures: Path) -> None:
    run(Work(), pictures, precision="fast")
    work = Work()
    results = run(work, pictures, precision="exact")
    assert work.images("cheap exact") > 0
    assert outcomes(results) == {f"{n:02}.png": "accept" if n >= 7 else "reject" for n in range(12)}


def test_other_weights_mean_another_scan(run: Run, pictures: Path, models: Path) -> None:
    run(Work(), pictures)
    work = Work()
    judge = tiny.judge(work, models)
    from safetensors.torch import save_file
    from torch import tensor

    save_file({"weight": tensor([0.0, 1.0, 0.0])}, models / "cheap.safetensors")
    with Store(models.parent / "keepers.db") as store:
        job = Scan(judge, GATE, store)
        assert job.plan(walk_files(pictures)).to_scan == 12


def test_a_verdict_without_its_model_is_not_remembered(run: Run, pictures: Path, models: Path) -> None:
    work = Work()
    tiny.judge(work, models)
    judge = tiny.judge(work, models)
    content = (models / "dear.safetensors").read_bytes()
    (models / "dear.safetensors").unlink()
    with Store(models.parent / "keepers.db") as store:
        job = Scan(judge, GATE, store)
        results = list(job.run(job.plan(walk_files(pictures))))
        assert Counter(outcomes(results).values()) == {"review": 5, "reject": 7}
    (models / "dear.safetensors").write_bytes(content)
    assert Counter(outcomes(run(Work(), pictures)).values()) == {"accept": 5, "reject": 7}


def test_a_verdict_without_its_model_is_shown_until_the_next_scan(run: Run, pictures: Path, models: Path) -> None:
    run(Work(), pictures)
    content = (models / "dear.safetensors").read_bytes()
    judge, lost = tiny.judge(Work(), models), list[Scanned]()
    (models / "dear.safetensors").unlink()
    with Store(models.parent / "keepers.db") as store:
        for _ in range(2):  # the second scan looks again
            job = Scan(judge, GATE, store)
            results = list(job.run(job.plan(walk_files(pictures))))
            lost = [one for one in results if not one.verdict.judged]
            assert len(lost) == 5 and not any(one.known for one in lost)
            assert {one.kind for result in lost for one in result.verdict.unjudged} == {"missing"}
        newest = store.newest_verdicts(one.image.content for one in lost)
        assert len(newest) == 5 and not any(one.final for one in newest.values())
        (models / "dear.safetensors").write_bytes(content)
        assert all(one.known for one in run(Work(), pictures))  # from the first scan
        assert {one.outcome for one in store.newest_verdicts(newest).values()} == {"accept"}


def test_a_verdict_from_nan_stands(run: Run, pictures: Path, models: Path) -> None:
    from safetensors.torch import save_file
    from torch import full

    tiny.judge(Work(), models)
    save_file({"weight": full((3,), float("nan"))}, models / "cheap.safetensors")
    with Store(models.parent / "keepers.db") as store:
        for known in (False, True):
            judge = Judge(tiny.registry(Work(), models.parent), WeightStore([models]), Runtime(device="cpu"))
            job = Scan(judge, Gate.parse("accept: cheap.good >= 0.5"), store)
            results = list(job.run(job.plan(walk_files(pictures))))
            assert {one.verdict.outcome for one in results} == {"review"}
            assert {why.kind for one in results for why in one.verdict.unjudged} == {"not_a_number"}
            assert all(one.known == known for one in results)


def test_bad_files_are_told_and_the_rest_goes_on(run: Run, pictures: Path) -> None:
    (pictures / "03.png").write_bytes(b"")
    (pictures / "05.png").write_bytes((pictures / "04.png").read_bytes()[:60])
    (pictures / "06.png").write_bytes(b"<html>")
    results = {result.path.name: result for result in run(Work(), pictures)}
    assert len(results) == 12
    assert {name: one.error for name, one in results.items() if one.error} == {
        "03.png": "empty",
        "05.png": "truncated",
        "06.png": "not_image",
    }
    assert all(one.verdict.outcome == "review" for one in results.values() if one.error)
    again = {result.path.name: result for result in run(Work(), pictures)}
    assert {name: one.error for name, one in again.items()} == {name: one.error for name, one in results.items()}


def test_a_file_that_vanishes_is_told(run: Run, pictures: Path, models: Path) -> None:
    files = walk_files(pictures)
    (pictures / "04.png").unlink()
    job = Scan(tiny.judge(Work(), models), GATE)
    results = {result.path.name: result for result in job.run(job.plan(files))}
    assert results["04.png"].error == "not_a_file"
    assert results["04.png"].verdict.outcome == "review"


def test_a_scan_that_is_stopped_goes_on_where_it_was(run: Run, pictures: Path, models: Path) -> None:
    for n in range(WINDOW * 3):
        plain(n, 255 - n, 128).save(pictures / f"more{n:03}.png")
    work = Work()
    with Store(models.parent / "keepers.db") as store:
        job = Scan(tiny.judge(work, models), GATE, store)
        running = job.run(job.plan(walk_files(pictures)))
        taken = [next(running) for _ in range(WINDOW + 1)]
        running.close()
    seen = work.images("cheap")
    rest = Work()
    results = run(rest, pictures)
    assert len(results) == 12 + WINDOW * 3
    assert seen + rest.images("cheap") == len(results)
    assert [one.verdict for one in results[: len(taken)]] == [one.verdict for one in taken]


def test_memory_holds_two_windows_at_most(pictures: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(WINDOW * 4):
        plain(n, 255 - n, 128).save(pictures / f"more{n:03}.png")
    opened: list[int] = []
    real = reading.open_image

    def counted(*args: object, **options: object) -> Image.Image:
        opened.append(1)
        return real(*args, **options)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(reading, "open_image", counted)
    job = Scan(tiny.judge(Work(), models), GATE)
    for given, _ in enumerate(job.run(job.plan(walk_files(pictures))), start=1):
        assert len(opened) <= given + 2 * WINDOW


def test_a_dead_disk_stops_the_scan(pictures: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(GIVE_UP + 5):
        plain(n, n, n).save(pictures / f"more{n:03}.png")

    def failing(path: Path) -> bytes:
        raise UnreadableImage(path, "io", "it cannot be read (Input/output error)")

    monkeypatch.setattr(reading, "read_image_file", failing)
    job = Scan(tiny.judge(Work(), models), GATE)
    with pytest.raises(UnreadableImage, match="the scan stops"):
        list(job.run(job.plan(walk_files(pictures))))


def test_a_full_disk_under_the_store_is_told(pictures: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Store(models.parent / "keepers.db") as store:
        monkeypatch.setattr(store, "_add_prediction", full)
        job = Scan(tiny.judge(Work(), models), GATE, store)
        with pytest.raises(StoreError, match="disk is full"):
            list(job.run(job.plan(walk_files(pictures))))
        assert store.counts()["file"] == 0


def test_metadata_stands_beside_the_verdict(run: Run, pictures: Path) -> None:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("parameters", "a red fox\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, Seed: 42, Model: m")
    plain(200, 200, 200).save(pictures / "00.png", pnginfo=info)
    image = run(Work(), pictures)[0].image
    assert (image.positive, image.negative, image.seed, image.model) == ("a red fox", "blurry", "42", "m")
    assert (image.width, image.height) == (16, 16)


def test_notes_on_the_file_are_kept(run: Run, pictures: Path) -> None:
    frames = [plain(n, n, n) for n in (0, 100, 200)]
    frames[0].save(pictures / "moving.gif", save_all=True, append_images=frames[1:])
    assert {one.path.name: one.image.notes for one in run(Work(), pictures)}["moving.gif"] == ("first of 3 frames",)
    again = run(Work(), pictures, options=ScanOptions(details=True))
    assert {one.path.name: one.image.notes for one in again}["moving.gif"] == ("first of 3 frames",)
    other = run(Work(), pictures, gate=Gate.parse("accept: cheap.good > 0.9"), options=ScanOptions(details=True))
    assert len(other) == 13
    again = run(Work(), pictures, options=ScanOptions(details=True))
    assert {one.path.name: one.image.notes for one in again}["moving.gif"] == ("first of 3 frames",)


def test_duplicates_are_found_across_a_restart(tmp_path: Path) -> None:
    """The second scan compares new images also with those whose verdict it knows."""
    from keepers.core.judging.judge import Judge
    from keepers.core.weights.store import WeightStore
    from keepers.examples.pictures import ORDINARY

    folder = tmp_path / "pictures"
    folder.mkdir()
    picture = ORDINARY["mountains"]()
    picture.save(folder / "a.png")
    gate = Gate.parse('accept: signals.label == "ok"; review: signals.label == "duplicate"')
    with Store(tmp_path / "keepers.db") as store:
        job = Scan(Judge(REGISTRY, WeightStore([])), gate, store)
        assert outcomes(list(job.run(job.plan(walk_files(folder))))) == {"a.png": "accept"}
        picture.save(folder / "b.jpg", quality=90)
        job = Scan(Judge(REGISTRY, WeightStore([])), gate, store)
        assert outcomes(list(job.run(job.plan(walk_files(folder))))) == {"a.png": "accept", "b.jpg": "review"}


def test_thumbnails_are_made_once(run: Run, pictures: Path) -> None:
    made: list[int] = []

    def thumbnail(_: Image.Image) -> str:
        made.append(1)
        return "data:,x"

    options = ScanOptions(thumbnail=thumbnail, details=True)
    assert {result.thumbnail for result in run(Work(), pictures, options=options)} == {"data:,x"}
    again = run(Work(), pictures, options=replace(options))
    assert {result.thumbnail for result in again} == {"data:,x"}
    assert len(made) == 12
