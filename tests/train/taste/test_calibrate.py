"""Thresholds for a wish and their uncertainty, temperature, and the command that tells of them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from keepers.cli import exit_codes
from keepers.cli.taste.calibrate import TurnedScore
from keepers.collection.store import Store
from keepers.core.gates.gate import Gate
from keepers.core.gates.tree import Value
from keepers.core.prediction import Prediction
from keepers.models.faramir.labels import LABELS
from keepers.tests.train.taste.test_tune import Done, run, tune
from keepers.tests.train.taste.world import World, picky, published, world
from keepers.train.taste.calibrate import Threshold, temperature, threshold_for, threshold_for_rate


def labelled(count: int, seed: int = 0) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Scores that are true probabilities of keep."""
    random = np.random.default_rng(seed)
    scores = random.beta(0.7, 0.7, count)
    return random.random(count) < scores, scores


def test_a_wish_is_met_on_the_labels() -> None:
    keep, scores = labelled(600)
    for target in (0.6, 0.8, 0.9):
        found = threshold_for(keep, scores, "precision", target)
        said = scores >= found.value
        assert found.reached and keep[said].mean() >= target == pytest.approx(target)
        assert found.precision == pytest.approx(keep[said].mean())
        assert found.precision_interval.low < found.precision <= found.precision_interval.high
        assert found.interval.low <= found.value <= found.interval.high
    recall = threshold_for(keep, scores, "recall", 0.95)
    assert recall.reached and (scores >= recall.value)[keep].mean() >= 0.95
    assert threshold_for(keep, scores, "recall", 0.5).value > recall.value


def test_what_cannot_be_reached_is_said() -> None:
    keep = np.array([True, False] * 40)
    found = threshold_for(keep, np.full(80, 0.5), "precision", 0.9)
    assert not found.reached and found.precision == 0.5


def test_more_labels_make_a_threshold_surer() -> None:
    widths: list[float] = []
    for count in (80, 2000):
        low, high = threshold_for(*labelled(count), "recall", 0.9).interval
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_the_interval_holds_the_true_threshold_mostly() -> None:
    keep, scores = labelled(200_000, seed=9)
    truth = threshold_for_exact(keep, scores, 0.9)
    inside = 0
    for seed in range(40):
        low, high = threshold_for(*labelled(300, seed), "recall", 0.9).interval
        inside += low <= truth <= high
    assert inside >= 33


def threshold_for_exact(keep: NDArray[np.bool_], scores: NDArray[np.float64], recall: float) -> float:
    return float(np.quantile(scores[keep], 1 - recall))


def test_a_keep_rate_counts_all_images() -> None:
    keep, scores = labelled(100)
    every = np.linspace(0, 1, 5001)
    found = threshold_for_rate(keep, scores, every, 0.2)
    assert found.value == pytest.approx(0.8, abs=1e-3)
    assert found.interval.low < 0.8 < found.interval.high
    assert found.recall == pytest.approx((scores >= found.value)[keep].mean())


@pytest.mark.parametrize("true", [0.5, 1.0, 2.5])
def test_the_temperature_is_found_again(true: float) -> None:
    keep, honest = labelled(20_000)
    honest = np.clip(honest, 1e-4, 1 - 1e-4)
    logits = np.log(honest / (1 - honest)) * true
    found = temperature(keep, 1 / (1 + np.exp(-logits)))
    assert found.value == pytest.approx(true, rel=0.08) and not found.bounded
    assert found.after.error < 0.015
    assert found.after.error <= found.before.error + 0.005
    assert found.calibrated(0.5) == pytest.approx(0.5)


def test_certain_scores_stay_finite() -> None:
    keep = np.array([True, False] * 20)
    for scores in (keep.astype(float), (~keep).astype(float)):
        found = temperature(keep, scores)
        assert np.isfinite(found.value) and found.bounded


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_line_for_the_gate_decides_as_the_threshold(sign: float) -> None:
    random = np.random.default_rng(1)
    scores = 0.5 + random.random(400) * 1e-3
    keep = random.random(400) < 0.5
    question = TurnedScore(Value("m", "odd label"), sign, keep, scores)
    for value in np.linspace(0.5001, 0.5009, 7):
        threshold = Threshold(sign * float(value), (0, 0), 0, (0, 0), 0, (0, 0), True)  # pyright: ignore[reportArgumentType]
        line = question.gate(threshold)
        Gate.parse(line)
        number = float(line.rsplit(" ", 1)[1])
        assert np.array_equal(sign * scores >= sign * number, sign * scores >= sign * value)
    assert 'm["odd label"]' in question.gate(Threshold(sign, (0, 0), 0, (0, 0), 0, (0, 0), True))  # pyright: ignore[reportArgumentType]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    return world(tmp_path_factory.mktemp("world"), 160, published, wrong=0.05)


def calibrate(made: World, *arguments: object) -> Done:
    return run("calibrate", *arguments, "--db", made.db, "--models", made.weights)


def test_the_command_gives_a_gate(made: World, tmp_path: Path) -> None:
    done = calibrate(made, "faramir.accept", "--precision-of-keep", "0.9", "--report", tmp_path / "r.html")
    assert done.returncode == 0, done.stderr
    assert "precision of at least 90%" in done.stderr and "ROC area" in done.stderr and "temperature" in done.stderr
    line = re.search(r"gate: (accept: faramir\.accept >= [0-9.]+)", done.stderr)
    assert line
    Gate.parse(line[1])
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "Reliability" in page and "you said" in page


def test_labelled_images_that_could_not_be_judged_are_told(tmp_path: Path) -> None:
    made = world(tmp_path, 160, published)
    with Store(made.db) as store:
        [fingerprint] = store.fingerprints().values()
        hollow = Prediction("faramir", LABELS, np.full(len(LABELS), np.nan, np.float32), fingerprint=fingerprint)
        store.add(predictions=[(made.contents[0], hollow)])
    for done in (calibrate(made, "faramir.accept"), tune(made, "faramir", "--anyway")):
        assert done.returncode == exit_codes.UNJUDGED, done.stderr
        assert "1 more labelled images could not be judged and are left out" in done.stderr


def test_the_command_knows_scores_of_which_less_is_better(made: World) -> None:
    done = calibrate(made, 'faramir["text raw"]', "--recall", "0.8")
    assert done.returncode == 0, done.stderr
    assert 'accept: faramir["text raw"] <= ' in done.stderr or 'accept: faramir["text raw"] >= ' in done.stderr
    assert "temperature" not in done.stderr, "a logit is no probability"


def test_a_keep_rate_by_command(made: World) -> None:
    done = calibrate(made, "faramir.accept", "--keep-rate", "0.25")
    assert "accepts 25% of 160 images" in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["faramir.accpt"], "accept"),
        (["farami.accept"], "faramir"),
        (["faramir.label"], ""),
        (["faramir.accept > 0.5 and faramir.text"], "one number"),
        (["0.5"], ""),
        (["faramir.accept", "--recall", "0.5", "--keep-rate", "0.5"], "one thing"),
    ],
)
def test_what_is_wrong_is_said(made: World, arguments: list[str], told: str) -> None:
    done = calibrate(made, *arguments)
    assert done.returncode == 1 and told in done.stderr and "Traceback" not in done.stderr


def test_picky_labels_leave_the_published_threshold_behind(tmp_path: Path) -> None:
    done = calibrate(world(tmp_path, 200, picky), "faramir.accept")
    found = re.search(r"threshold ([0-9.]+)", done.stderr)
    assert found and float(found[1]) > 0.6
