"""A scan whose fast numbers turn out to be further off than stated takes back what hangs on them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from keepers.collection.scan import Scan, Scanned
from keepers.collection.store import Store
from keepers.collection.unsure import Unsure
from keepers.core.gates.gate import Gate
from keepers.core.pictures.walk import Found, walk
from keepers.core.prediction import Prediction
from keepers.tests import drifting, tiny

GATE = Gate.parse("accept: dear.good >= 0.5")


def test_a_verdict_is_remembered_with_what_it_bears() -> None:
    unsure = Unsure(GATE)
    for number, good in enumerate((0.515, 0.53, 0.7, 0.95)):
        values = np.array([good, 1 - good], np.float32)
        unsure.remember(Path(str(number)), {"dear": Prediction("dear", tiny.LABELS, values, tolerance=1)})
    assert unsure.taken_back({"cheap": 9.0}) == []
    assert unsure.taken_back({"dear": 1.5}) == [Path("0"), Path("1")]  # 0.02 stated: 0.53 bears no 0.04
    assert unsure.taken_back({"dear": 12.0}) == [Path("2")], "0.7 bears 8 times 0.02; those taken back are forgotten"
    assert unsure.taken_back({"dear": 99.0}) == [], "0.95 bears all that is tried"


def test_exact_numbers_are_sure() -> None:
    unsure = Unsure(GATE)
    unsure.remember(Path("x"), {"dear": Prediction("dear", tiny.LABELS, np.array([0.5, 0.5], np.float32))})
    assert unsure.taken_back({"dear": 99.0}) == []


def pictures(folder: Path) -> list[Found]:
    folder.mkdir()
    for number, level in enumerate((140, 250, 120, 10, *[60] * 13, 250)):
        tiny.plain(level, level, number).save(folder / f"{number:02}.png")
    return [entry for entry in walk([folder]) if isinstance(entry, Found)]


@pytest.mark.parametrize("precision", ["fast", "auto"])
def test_what_was_judged_before_a_number_strayed_is_taken_back_and_judged_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    monkeypatch.setattr("keepers.core.runtime.has_fast_bfloat16", lambda _device: True)
    files = pictures(tmp_path / "pictures")
    strays = hashlib.sha256(files[-1].path.read_bytes()).hexdigest().encode()
    monkeypatch.setattr("keepers.core.judging.case.chosen", lambda content: content == strays)
    exact = [one.verdict.outcome for one in run(tmp_path, "exact", files, None)[0]]
    with Store(tmp_path / "db") as store:
        told: list[str] = []
        first, scan = run(tmp_path, precision, files, store, told)
        assert len(told) == 1 and str(files[-1].path) in told[0]
        assert scan.taken_back == [files[0].path, files[2].path], "0.549 and 0.471 do not bear 3 times 0.02"
        assert [one.path for one, right in zip(first, exact, strict=True) if one.verdict.outcome != right] in (
            [],
            *([one] for one in scan.taken_back),
            scan.taken_back,
        )
        kept = store.predictions([one.image.content for one in first], scan.fingerprints)
        assert {answers["dear"].tolerance for answers in kept.values()} <= {0, scan.judge.checks.tolerances["dear"]}
        again, later = run(tmp_path, precision, files, store)
        assert [one.verdict.outcome for one in again] == exact
        assert later.taken_back == []


def run(
    folder: Path, precision: str, files: list[Found], store: Store | None, told: list[str] | None = None
) -> tuple[list[Scanned], Scan]:
    weights = folder / "weights"
    weights.mkdir(exist_ok=True)
    scan = Scan(drifting.judge(weights, precision, 3.0, told), GATE, store)
    return list(scan.run(scan.plan(files))), scan
