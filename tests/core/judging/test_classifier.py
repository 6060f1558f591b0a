"""A fingerprint changes with everything that changes a model's numbers, and with nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from keepers.core.judging.classifier import model_fingerprint
from keepers.core.spec import ModelSpec
from keepers.core.weights.store import WeightStore
from keepers.core.weights.weight_file import WeightFile
from keepers.tests import tiny
from keepers.tests.tiny import Work


@pytest.fixture
def spec(tmp_path: Path) -> ModelSpec:
    (tmp_path / "cheap.safetensors").write_bytes(b"weights")
    return tiny.spec("cheap", 1, Work())


def test_a_fingerprint_names_what_determines_the_numbers(spec: ModelSpec, tmp_path: Path) -> None:
    store = WeightStore([tmp_path])
    found = model_fingerprint(spec, store)
    assert len(found) == 16
    assert model_fingerprint(replace(spec, id="other"), store) != found
    assert model_fingerprint(replace(spec, version="of a later arithmetic"), store) != found
    assert model_fingerprint(replace(spec, title="Other", cost=9.0, gate="", summary="x"), store) == found
    (tmp_path / "cheap.safetensors").write_bytes(b"others!")
    assert model_fingerprint(spec, WeightStore([tmp_path])) != found


def test_an_optional_file_counts_and_a_missing_one_leaves_none(spec: ModelSpec, tmp_path: Path) -> None:
    more = replace(spec, weights=(*spec.weights, WeightFile("more.safetensors", optional=True)))
    without = model_fingerprint(more, WeightStore([tmp_path]))
    (tmp_path / "more.safetensors").write_bytes(b"more")
    assert "" != model_fingerprint(more, WeightStore([tmp_path])) != without != ""
    assert model_fingerprint(spec, WeightStore([tmp_path / "elsewhere"])) == ""
