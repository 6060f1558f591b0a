"""A whole training: what is learnt is what is there, read once and described in numbers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from keepers.core.heatmaps.heatmap import heatmaps
from keepers.core.judging.classifier import Classifier
from keepers.core.runtime import Runtime
from keepers.core.weights.store import WeightStore
from keepers.models.realism.format import Shape
from keepers.models.realism.view import Window
from keepers.models.registry import REGISTRY
from keepers.tests.textures import SPOT, picture, write_set
from keepers.train.realism.recipe import MODERN, PRESETS
from keepers.train.realism.run import (
    PreparedTraining,
    TrainedDetector,
    TrainingJob,
    TrainingWatcher,
    describe_detector,
    prepare,
    train_detector,
    write_detector,
)

TINY = replace(
    PRESETS["small"],
    shape=Shape("resnet", blocks=(1, 1, 1), width=8),
    window=Window(96),
    recipe=replace(MODERN, rate=5e-3, epochs=6, batch=16),
)


def trained(
    folder: Path, job: TrainingJob, watcher: TrainingWatcher | None = None
) -> tuple[PreparedTraining, TrainedDetector]:
    prepared = prepare(job, folder / "work", watcher or TrainingWatcher())
    return prepared, train_detector(
        prepared, folder / "work", WeightStore([folder / "models"]), watcher or TrainingWatcher()
    )


@pytest.fixture(scope="module")
def textured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("textures")
    write_set(folder / "set", 60, side=136)
    return folder / "set"


def folders(root: Path) -> dict[str, list[Path]]:
    return {"plain": [root / "plain"], "textured": [root / "textured"]}


def test_a_hidden_texture_is_learnt_and_found(textured: Path, tmp_path: Path) -> None:
    job = TrainingJob("hidden", folders(textured), replace(TINY, recipe=replace(TINY.recipe, epochs=12)))
    prepared, outcome = trained(tmp_path, job)
    described = describe_detector(prepared, outcome)
    write_detector(tmp_path / "models", "hidden", described, outcome)
    store = WeightStore([tmp_path / "models"])
    asked = Classifier.load(REGISTRY.spec("realism:hidden", store), store, Runtime(device="cpu"), "exact")
    right = hits = 0
    for seed in range(500, 520):
        for textured_one in (True, False):
            image, _ = picture(seed, textured=textured_one, side=136)
            right += asked.classify([image])[0].label == ("textured" if textured_one else "plain")
        image, (x, y) = picture(seed, textured=True, side=136)
        found = heatmaps(asked, [image], "textured")[0]
        hits += max(abs(found.peak[0] - x), abs(found.peak[1] - y)) <= SPOT // 2 + 8
    assert right >= 38, f"{right} of 40 right"
    assert hits >= 18, f"{hits} of 20 peaks on the texture"
    assert described.metrics["confusion"]["classes"] == ["plain", "textured"]
    assert described.training["by_class"] == {"plain": 60, "textured": 60}


def test_random_labels_stay_at_chance(tmp_path: Path) -> None:
    sources = write_set(tmp_path / "set", 60, side=136, random_labels=True)
    preset = replace(TINY, recipe=replace(TINY.recipe, epochs=4))
    prepared, outcome = trained(tmp_path, TrainingJob("chance", sources, preset))
    everything = np.concatenate([prepared.split.train, prepared.split.validation, prepared.split.test])
    assert len(everything) == len(set(everything.tolist())) == 120
    low, high = outcome.tested.confusion().interval(0.999)
    assert low < 0.5 < high


def test_what_was_read_is_read_again_only_when_files_change(textured: Path, tmp_path: Path) -> None:
    job = TrainingJob("again", folders(textured), TINY)
    reads: list[int] = []
    watcher = TrainingWatcher(reading=lambda done, _total: reads.append(done))
    first = prepare(job, tmp_path, watcher)
    assert len(reads) == 120
    second = prepare(job, tmp_path, watcher)
    assert len(reads) == 120 and second.pictures.collected == first.pictures.collected
    assert np.array_equal(second.pictures.pixels, first.pictures.pixels)
    prepare(replace(job, preset=replace(TINY, window=Window(80))), tmp_path, watcher)
    assert len(reads) == 240


def test_metrics_are_json_and_say_everything(textured: Path, tmp_path: Path) -> None:
    job = TrainingJob("json", folders(textured), replace(TINY, recipe=replace(TINY.recipe, epochs=1)))
    prepared, outcome = trained(tmp_path, job)
    told = json.loads(json.dumps(describe_detector(prepared, outcome).metrics, allow_nan=False))
    assert set(told["classes"]) == {"plain", "textured"}
    for numbers in told["classes"].values():
        assert {"precision", "recall", "f1", "roc_area", "calibration_error", "brier"} <= set(numbers)
    assert sum(map(sum, told["confusion"]["rows_true_columns_answered"])) == told["images"]
