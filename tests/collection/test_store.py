"""The store keeps what was seen, whole or not at all, for several processes at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from keepers.collection.store import SeenFile, SeenImage, SeenVerdict, Store
from keepers.collection.store_schema import MIGRATIONS
from keepers.core.errors import StoreError
from keepers.core.gates.unjudged import Unjudged
from keepers.core.prediction import LOGIT, PROBABILITY, Labels, Prediction

LABELS = Labels(("good", "good logit"), ("class", "logit"), (PROBABILITY, LOGIT), (("class", 0.04),))


def prediction(value: float, tolerance: float = 0.0, fingerprint: str = "f1") -> Prediction:
    values = np.array([value, value * 7], np.float32)
    return Prediction("tiny", LABELS, values, "good", 0.25, tolerance, fingerprint)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "keepers.db"


def test_everything_comes_back_as_it_was(path: Path, tmp_path: Path) -> None:
    file = SeenFile(tmp_path / "a.png", 10, 20, "c1")
    image = SeenImage("c1", 3, 4, "a cat", "bad", "123", "euler", "model", "a1111", ("note",))
    verdict = SeenVerdict("c1", "b1", "accept: tiny.good > 0", "accept", "accept: fine", "", 5.0)
    with Store(path) as store:
        store.add(files=[file], images=[image], predictions=[("c1", prediction(0.5))], verdicts=[verdict])
        store.add(thumbnails=[("c1", "data:,")])
    with Store(path) as store:
        assert store.files([file.path, tmp_path / "b.png"]) == {file.path: file}
        assert store.images(["c1", "c2"]) == {"c1": image}
        assert store.verdicts(["c1"], "b1") == {"c1": verdict}
        assert store.verdicts(["c1"], "b2") == {}
        assert store.thumbnails(["c1"]) == {"c1": "data:,"}
        found = store.predictions(["c1"], {"tiny": "f1"})["c1"]["tiny"]
    assert found.labels == LABELS and found.labels.drifts == LABELS.drifts
    assert np.array_equal(found.values, prediction(0.5).values)
    assert (found.label, found.margin, found.tolerance) == ("good", 0.25, 0.0)


def test_another_fingerprint_is_another_prediction(path: Path) -> None:
    with Store(path) as store:
        store.add(predictions=[("c1", prediction(0.5))])
        assert store.predictions(["c1"], {"tiny": "f2"}) == {}


def test_the_exact_prediction_wins(path: Path) -> None:
    with Store(path) as store:
        store.add(predictions=[("c1", prediction(0.51, 1.0)), ("c2", prediction(0.2, 1.0))])
        store.add(predictions=[("c1", prediction(0.5))])
        store.add(predictions=[("c1", prediction(0.52, 1.0))])
        found = store.predictions(["c1", "c2"], {"tiny": "f1"})
        assert found["c1"]["tiny"]["good"] == 0.5
        assert found["c2"]["tiny"].tolerance == 1
        assert set(store.predictions(["c1", "c2"], {"tiny": "f1"}, exact=True)) == {"c1"}


def test_of_two_fast_predictions_the_last_one_counts(path: Path) -> None:
    with Store(path) as store:
        store.add(predictions=[("c1", prediction(0.5, 1.0))])
        store.add(predictions=[("c1", prediction(0.5, 2.5))])  # a later run found it to be less exact
        assert store.predictions(["c1"], {"tiny": "f1"})["c1"]["tiny"].drift("good") == 0.1
        assert store.counts()["prediction"] == 1


def test_a_single_tolerance_of_an_earlier_version_is_trusted_less(path: Path) -> None:
    with Store(path) as store:
        store.add(predictions=[("c1", prediction(0.5, 1.0))])
        with store.writing() as db:
            db.execute("UPDATE prediction SET tolerance = 0.03")
        assert store.predictions(["c1"], {"tiny": "f1"})["c1"]["tiny"].drift("good") == 0.15
        assert store.predictions(["c1"], {"tiny": "f1"}, exact=True) == {}


def test_what_is_stated_last_of_a_models_drifts_holds(path: Path) -> None:
    wider = replace(LABELS, drifts=(("class", 0.06),))
    with Store(path) as store:
        store.add(predictions=[("c1", prediction(0.5, 1.0))])
        store.add(predictions=[("c2", replace(prediction(0.5, 1.0), labels=wider))])
    with Store(path) as store:
        found = store.predictions(["c1", "c2"], {"tiny": "f1"})
        assert [found[one]["tiny"].drift("good") for one in ("c1", "c2")] == [0.06, 0.06]


LOST = (Unjudged("tiny", "missing", "tiny is not here"), Unjudged("", "not_a_number", "NaN \udcff", "good"))


def test_what_could_not_be_judged_survives(path: Path) -> None:
    seen = SeenVerdict("c1", "b1", "g", "review", "review: why", "", 5.0, LOST)
    with Store(path) as store:
        store.add(verdicts=[seen])
        found = store.verdicts(["c1"], "b1")["c1"]
    assert found == seen
    assert not found.verdict.judged and found.verdict.outcome == "review"


def test_a_verdict_that_does_not_stand_is_only_shown(path: Path) -> None:
    older = SeenVerdict("c1", "b1", "g1", "accept", "accept: so", "", 1.0)
    passing = SeenVerdict("c1", "b2", "g2", "review", "review: why", "", 2.0, LOST, final=False)
    with Store(path) as store:
        store.add(verdicts=[older])
        store.add(verdicts=[passing])
        assert store.verdicts(["c1"], "b2") == {} and store.verdicts(["c1"], "b1") == {"c1": older}
        assert store.newest_verdicts(["c1"])["c1"].final is False
        store.settle(["other"])
        assert store.newest_verdicts(["c1"])["c1"].reason == "review: why"
        store.settle(["c1"])
        assert store.newest_verdicts(["c1"]) == {"c1": older}


def test_a_new_verdict_takes_the_place_of_one_that_does_not_stand(path: Path) -> None:
    passing = SeenVerdict("c1", "b2", "g2", "review", "review: why", "", 9.0, LOST, final=False)
    with Store(path) as store:
        store.add(verdicts=[passing])
        store.add(verdicts=[replace(passing, basis="b3")])
        assert store.counts()["verdict"] == 1
        store.add(verdicts=[SeenVerdict("c1", "b1", "g1", "accept", "accept: so", "", 1.0)])
        assert store.newest_verdicts(["c1"])["c1"].outcome == "accept"


def test_verdicts_from_before_are_kept_and_reviews_are_looked_at_again(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as db:
        for statement in ";".join(MIGRATIONS[:3]).split(";"):
            db.execute(statement)
        db.execute("PRAGMA user_version = 3")
        rows = [("ok", "accept", ""), ("nan", "review", ""), ("cut", "review", "truncated"), ("odd", "maybe", "")]
        for content, outcome, error in rows:
            values = (content, "b1", "g", outcome, f"{outcome}: why", error, 1.0)
            db.execute("INSERT INTO verdict VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    db.close()
    with Store(path) as store:
        found = store.verdicts(["ok", "nan", "cut", "odd"], "b1")
        assert set(found) == {"ok", "cut", "odd"}
        assert found["ok"].verdict.judged
        assert [one.kind for one in found["cut"].verdict.unjudged] == ["unreadable"]
        assert found["odd"].verdict.outcome == "review"
        assert store.newest_verdicts(["nan"])["nan"].reason == "review: why"


def test_nan_and_infinity_survive(path: Path) -> None:
    odd = Prediction("tiny", LABELS, np.array([np.nan, -np.inf], np.float32), fingerprint="f1")
    with Store(path) as store:
        store.add(predictions=[("c1", odd)])
        found = store.predictions(["c1"], {"tiny": "f1"})["c1"]["tiny"]
    assert np.array_equal(found.values, odd.values, equal_nan=True)


def test_any_file_name_survives(path: Path, tmp_path: Path) -> None:
    names = ["a\nb.png", "quote'\".png", "😀.png", "a\tb.png", os.fsdecode(b"\xff\xfe.png"), "-x.png"]
    files = [SeenFile(tmp_path / name, 1, 2, f"c{n}") for n, name in enumerate(names)]
    with Store(path) as store:
        store.add(files=files, images=[SeenImage("c", positive="lone \udcff surrogate")])
        assert store.files(file.path for file in files) == {file.path: file for file in files}


def test_many_keys_fit(path: Path, tmp_path: Path) -> None:
    files = [SeenFile(tmp_path / f"{n}.png", 1, 2, str(n)) for n in range(2500)]
    with Store(path) as store:
        store.add(files=files)
        assert len(store.files(file.path for file in files)) == 2500


def test_a_failed_write_leaves_nothing(path: Path, tmp_path: Path) -> None:
    def broken() -> Iterator[SeenImage]:
        yield SeenImage("c")
        raise RuntimeError

    with Store(path) as store:
        with pytest.raises(RuntimeError):
            store.add(files=[SeenFile(tmp_path / "a", 1, 2, "c")], images=broken())
        assert store.counts()["file"] == 0


def test_a_damaged_file_is_told_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreError, match="Move it away"):
        Store(path)
    assert path.read_bytes().startswith(b"this is no database")


def test_a_file_of_a_newer_version_is_refused(path: Path) -> None:
    Store(path).close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    db.close()
    with pytest.raises(StoreError, match="newer Keepers"):
        Store(path)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(tmp_path / "file" / "keepers.db")


def test_a_locked_file_is_told(path: Path) -> None:
    Store(path).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with Store(path, wait=0.1) as store, pytest.raises(StoreError, match="locked"):
        store.add(images=[SeenImage("c")])
    other.close()


def _write_many(path: Path, name: str) -> None:
    with Store(path) as store:
        for n in range(40):
            store.add(predictions=[(f"{name}{n}", prediction(0.5))], images=[SeenImage(f"{name}{n}")])


def test_two_processes_write_at_once(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_many, args=(path, name)) for name in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
        assert writer.exitcode == 0
    with Store(path) as store:
        assert store.counts()["prediction"] == 80
        assert store.counts()["image"] == 80


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_writer_leaves_whole_records(path: Path) -> None:
    Store(path).close()
    writer = multiprocessing.get_context("spawn").Process(target=_write_many, args=(path, "k"))
    writer.start()
    deadline = time.monotonic() + 60
    with Store(path) as store:
        while store.counts()["image"] < 3:
            assert writer.is_alive() and time.monotonic() < deadline, "it wrote nothing"
            time.sleep(0.01)
    assert writer.pid is not None
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    with Store(path) as store:
        counts = store.counts()
        assert counts["image"] == counts["prediction"] >= 3
        store.add(images=[SeenImage("after")])
