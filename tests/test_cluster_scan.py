"""A scan on Ray gives what a plain scan gives, goes on from what is there, and accounts for every input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ray")

from keepers.cluster.connect import Node, connected
from keepers.cluster.job import Sources, Wish, run
from keepers.cluster.output import Output, OutputError
from keepers.cluster.schema import ImageRow
from keepers.core.classifier import model_fingerprint
from keepers.core.errors import KeepersError
from keepers.core.prediction import Prediction
from keepers.core.scan import Scanned
from keepers.core.store import Store
from keepers.core.weights import WeightStore

from .cluster_world import GATE, Watch, image_rows, make_images, picture, plain, registry, task


@pytest.fixture(scope="module")
def nodes() -> Iterator[tuple[Node, ...]]:
    with connected() as found:
        yield found


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    make_images(folder)
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    registry(folder)
    return folder


def same(rows: dict[str, ImageRow], scanned: Sequence[Scanned], stored: dict[str, dict[str, Prediction]]) -> None:
    """Every row says what the plain scan says, to the last bit."""
    assert set(rows) == {str(one.path) for one in scanned}
    for one in scanned:
        row = rows[str(one.path)]
        assert (row.verdict, row.error, row.image) == (one.verdict, one.error, one.image), one.path
        for model, prediction in stored.get(one.image.content, {}).items():
            found = row.answers[model]
            assert isinstance(found, Prediction)
            assert found.values.tobytes() == prediction.values.tobytes(), (one.path, model)
            told = (found.label, found.tolerance, found.fingerprint, found.labels)
            assert told == (prediction.label, prediction.tolerance, prediction.fingerprint, prediction.labels)
            assert min(found.margin, 1e300) == prediction.margin, "the store keeps infinity as a large number"


def stored(store: Store, models: Path, contents: list[str]) -> dict[str, dict[str, Prediction]]:
    weights = WeightStore([models])
    fingerprints = {
        name: model_fingerprint(registry(models).spec(name, weights), weights) for name in ("signals", "cheap", "dear")
    }
    return store.predictions(contents, fingerprints)


@pytest.mark.parametrize("precision", ["exact", "fast"])
def test_it_is_the_plain_scan(
    precision: str, nodes: tuple[Node, ...], images: Path, models: Path, tmp_path: Path
) -> None:
    with Store(tmp_path / "plain.db") as store:
        scanned = plain(images, models, store, precision=precision)
        known = stored(store, models, [one.image.content for one in scanned])
    watch = Watch()
    found = run(task(models, precision=precision), Sources([str(images)]), str(tmp_path / "out"), nodes, Wish(), watch)
    rows = image_rows(tmp_path / "out")
    same(rows, scanned, known)
    outcomes = {row.verdict.outcome for row in rows.values()}
    assert outcomes == {"accept", "review", "reject"}, "the gate tells the images apart"
    assert {row.verdict.reason.split(";")[0] for row in rows.values() if row.duplicate_of}, "some are repeated"
    counts = found.counts
    assert counts.listed == len(rows) == watch.written == watch.begun[0]
    assert counts.missing == 0 and counts.skipped == 0 and counts.error == 3 and counts.duplicates == 6
