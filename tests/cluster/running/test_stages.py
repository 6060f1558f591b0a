"""The stages of a scan, without Ray around them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("ray")

from keepers.cluster.output.schema import ImageRow
from keepers.cluster.running.connect import try_model
from keepers.cluster.running.job import stages_of
from keepers.cluster.running.stages import Classify, Look, Prepare, Write
from keepers.cluster.running.task import Task
from keepers.cluster.running.work import Work
from keepers.cluster.sources.sources import list_items
from keepers.collection.reading import window_of
from keepers.collection.store import Store
from keepers.core.captions.recipe import CaptionRecipe, Tagger
from keepers.core.prediction import Prediction
from keepers.tests import tiny
from keepers.tests.cluster.world import GATE, plain, task

SIGNALS = 'accept: signals.label == "ok"\nreview: signals.label == "duplicate"'


def looked_at(given: Task, images: Path) -> dict[str, ImageRow]:
    """What the stages make of a folder, one after another in this process; duplicates are not looked for."""
    models = tuple(dict.fromkeys((*given.parsed.models, *given.taggers)))
    given = replace(given, models=tuple(try_model(given, model) for model in models))
    stages: list[Any] = [Classify(given, model) for model in given.staged]
    later = [[Prepare(given, model), stage] for model, stage in zip(given.staged[1:], stages[1:], strict=True)]
    listed, done = list(list_items([str(images)])), list[Work]()
    for start in range(0, len(listed), window_of(given.batch)):
        part = listed[start : start + window_of(given.batch)]
        batch: dict[str, Any] = {name: np.array([getattr(item, name) for item in part]) for name in vars(part[0])}
        for stage in (Look(given), *stages[:1], *itertools.chain.from_iterable(later)):
            batch = stage(batch)
        done += list(batch["work"])
    write = Write(given, "")
    return {work.item.name: write.row(work) for work in done}


@pytest.mark.parametrize(
    ("gate", "precision"),
    [
        ("accept: cheap.good >= dear.good", "fast"),
        ("reject: cheap.good < 0.3\nreject: half.good < 0.25\naccept: dear.good >= half.good", "fast"),
        ("accept: half.good >= 0.25 and dear.good < 0.5 and cheap.good >= 0.4", "exact"),
        ("accept: dear.good < slow.good and dear.good >= slow.good\nreject: cheap.good < 0.5", "exact"),
    ],
)
def test_gates_that_set_models_beside_each_other(
    gate: str, precision: str, images: Path, models: Path, tmp_path: Path
) -> None:
    """Two numbers near each other, one that follows from another, a file without bytes that no cheap model sees."""
    with Store(tmp_path / "plain.db") as store:
        scanned = plain(images, models, store, gate, precision)
    found = looked_at(task(models, gate, precision=precision), images)
    wanted = {str(one.path): (one.verdict.outcome, one.error) for one in scanned}
    assert {name: (row.verdict.outcome, row.error) for name, row in found.items()} == wanted
    assert len({outcome for outcome, _ in wanted.values()}) > 1
    if precision == "exact":
        assert {name: row.verdict.reason for name, row in found.items()} == {
            str(one.path): one.verdict.reason for one in scanned
        }


def test_captions_can_be_written_anew_from_what_is_kept(models: Path) -> None:
    """A verdict that hangs on duplicates is settled from the files, where no tag of a caption may be missing."""
    for recipe, floor in (
        (CaptionRecipe(taggers=(Tagger("words"),), threshold=0.3), 0.3),
        (CaptionRecipe(taggers=(Tagger("words", weight=2.0, threshold=0.2),)), 0.1),
        (CaptionRecipe(taggers=(Tagger("words"),), thresholds=(("general", 0.25),)), 0.25),
        (CaptionRecipe(taggers=(Tagger("words"),), top=3), 0.0),
        (CaptionRecipe(taggers=(Tagger("words"),), threshold=0.9), 0.6),
    ):
        given = task(models, SIGNALS, taggers=("words",), recipe=recipe, floor=0.6)
        given = replace(given, models=tuple(try_model(given, model) for model in ("signals", "words")))
        assert given.columns[1].floor == floor


def test_every_stage_is_counted(models: Path) -> None:
    """Also that of a model which needs no files but comes after one that does."""
    for gate in ("accept: deadly.good >= 0.5 and signals.ok >= 0.5", "accept: signals.ok >= 0.5", GATE):
        given = task(models, gate, taggers=("words",))
        names = (*given.parsed.models, "words")
        tried = replace(given, models=tuple(try_model(given, model) for model in names))
        assert stages_of(given, names) == len(tried.staged), gate


def test_a_number_that_strays_widens_the_tolerance_of_its_worker(
    images: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The net is further off than stated, and every image is checked: all answers end up exact."""
    gate = "accept: cheap.good >= 0.5"
    exact = looked_at(task(models, gate, precision="exact"), images)
    monkeypatch.setattr("keepers.core.judging.spot_checks.ONE_IN", 1)
    monkeypatch.setattr("keepers.tests.tiny.TinyNet.forward", far_off)
    found = looked_at(task(models, gate, precision="fast"), images)
    assert {name: row.verdict.outcome for name, row in found.items()} == {
        name: row.verdict.outcome for name, row in exact.items()
    }
    asked = [answer for row in found.values() if isinstance(answer := row.answers.get("cheap"), Prediction)]
    assert asked and all(answer.tolerance == 0 for answer in asked)


def far_off(self: tiny.TinyNet, views: torch.Tensor) -> torch.Tensor:
    good = (views.mean((2, 3)) * self.weight).sum(1) + 20 * self.drift
    return torch.stack([good, 1 - good], 1)
