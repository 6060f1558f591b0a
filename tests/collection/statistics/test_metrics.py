"""Metrics against their definitions, spelled out slowly, and against published values."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepers.collection.statistics.curves import MEASURES, area_interval, calibration, choose, sweep
from keepers.collection.statistics.metrics import Confusion, confusion, percentiles, resampled_means, wilson

PUBLISHED = Confusion(("fake", "real"), np.array([[280, 8], [11, 277]]))
"""The confusion matrix of the prompt study (there predicted by actual, here actual by predicted)."""


def test_the_study_s_precision_and_recall_are_found_again() -> None:
    assert PUBLISHED.precision[1] == pytest.approx(0.9719, abs=5e-5)
    assert PUBLISHED.recall[1] == pytest.approx(0.9618, abs=5e-5)
    assert PUBLISHED.accuracy == pytest.approx((280 + 277) / 576)


def test_two_classes_by_the_textbook() -> None:
    tp, fn, fp, tn = 90, 10, 30, 170
    found = Confusion(("yes", "no"), np.array([[tp, fn], [fp, tn]]))
    mcc = (tp * tn - fp * fn) / math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    assert found.mcc == pytest.approx(mcc)
    assert found.informedness == pytest.approx(tp / (tp + fn) + tn / (tn + fp) - 1)
    assert found.f1[0] == pytest.approx(2 * tp / (2 * tp + fp + fn))
    assert found.balanced_accuracy == pytest.approx((0.9 + 0.85) / 2)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=40))
@settings(deadline=None, max_examples=60)
def test_the_many_class_mcc_is_the_correlation_of_indicators(pairs: list[tuple[str, str]]) -> None:
    found = confusion([a for a, _ in pairs], [p for _, p in pairs], "abc")
    truth, answer = (
        np.array([[c == "abc"[k] for k in range(3)] for c in side], float) for side in zip(*pairs, strict=True)
    )
    truth, answer = truth - truth.mean(0), answer - answer.mean(0)
    spread = math.sqrt((truth**2).sum() * (answer**2).sum())
    assert found.mcc == pytest.approx((truth * answer).sum() / spread if spread > 1e-9 else 0.0, abs=1e-9)


def test_what_has_no_images_is_unknown_and_not_zero() -> None:
    found = confusion(["a", "a"], ["a", "a"], ["a", "b"])
    assert math.isnan(found.precision[1]) and math.isnan(found.recall[1])
    assert found.balanced_accuracy == 1.0
    assert found.mcc == 0.0
    empty = confusion([], [], ["a", "b"])
    assert math.isnan(empty.accuracy) and math.isnan(empty.mcc) and empty.interval() == (0.0, 1.0)


def test_confusion_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="2 true classes, but 1 answers"):
        confusion(["a", "b"], ["a"])
    with pytest.raises(ValueError, match="c: not among"):
        confusion(["a"], ["c"], ["a", "b"])


def test_wilson_against_published_values() -> None:
    # Newcombe 1998, table I, method 3
    for successes, total, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)):
        assert wilson(successes, total) == pytest.approx((low, high), abs=5e-5)
    assert wilson(20, 20).high == 1.0


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=40).filter(
        lambda pairs: len({positive for positive, _ in pairs}) == 2
    )
)
@settings(deadline=None, max_examples=80)
def test_area_and_thresholds_by_counting(pairs: list[tuple[bool, int]]) -> None:
    truth, scores = [p for p, _ in pairs], [s / 6 for _, s in pairs]
    found = sweep(truth, scores)
    highs, lows = ([s for p, s in zip(truth, scores, strict=True) if p is side] for side in (True, False))
    wins = [1.0 if h > low else 0.5 if h == low else 0.0 for h, low in itertools.product(highs, lows)]
    assert found.area == pytest.approx(np.mean(wins))
    for place, threshold in enumerate(found.thresholds):
        called = [s >= threshold for s in scores]
        assert found.true_positives[place] == sum(c and p for c, p in zip(called, truth, strict=True))
        assert found.measure("accuracy")[place] == pytest.approx(
            np.mean([c == p for c, p in zip(called, truth, strict=True)])
        )
        matrix = confusion(list(map(str, truth)), list(map(str, called)), ["True", "False"])
        assert found.measure("informedness")[place] == pytest.approx(matrix.informedness_of_each[0])
        assert found.measure("f1")[place] == pytest.approx(matrix.f1[0])


def test_a_chosen_threshold_keeps_its_promise() -> None:
    random = np.random.default_rng(4)
    truth = random.random(500) < 0.4
    scores = np.clip(0.5 + 0.25 * (truth - 0.5) + 0.2 * random.standard_normal(500), 0, 1)
    found = sweep(truth, scores)
    for measure in MEASURES:
        choice = choose(found, measure, 0.7 if measure != "informedness" else 0.3)
        called = scores >= choice.threshold
        assert choice.precision == pytest.approx(truth[called].mean())
        assert choice.recall == pytest.approx(called[truth].mean())
        assert choice.reached == (choice.value >= (0.7 if measure != "informedness" else 0.3))
    most = choose(found, "precision", 0.7)
    better = [t for t in scores if truth[scores >= t].mean() >= 0.7]
    assert most.recall == pytest.approx(max((scores[truth] >= t).mean() for t in better))
    assert not choose(found, "precision", 1.01).reached


def test_a_curve_without_one_side_has_no_area() -> None:
    assert math.isnan(sweep([True, True], [0.1, 0.2]).area)
    assert not choose(sweep([], []), "recall", 0.5).reached
    with pytest.raises(ValueError, match="NaN"):
        sweep([True, False], [0.1, math.nan])
    with pytest.raises(ValueError, match="2 truths, but 1 scores"):
        sweep([True, False], [0.1])


def test_calibration() -> None:
    random = np.random.default_rng(1)
    scores = random.random(20_000)
    honest, vain = (calibration(random.random(20_000) < p, scores) for p in (scores, np.full(20_000, 0.5)))
    assert honest.error < 0.02 and honest.brier == pytest.approx(1 / 6, abs=0.01)
    assert vain.error == pytest.approx(0.25, abs=0.01)
    assert calibration([True], [1.0]).counts[-1] == 1
    assert np.isnan(calibration([], []).brier)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    random = np.random.default_rng(2)
    covered = areas = 0
    for trial in range(60):
        values = random.normal(3.0, 1.0, 80)
        low, high = percentiles(resampled_means(values, values.size, 400, seed=trial))
        covered += low <= 3.0 <= high
        truth = np.arange(120) < 60
        scores = random.normal(truth * 1.0, 1.0)  # the true area is Phi(1 / sqrt 2) = 0.7602
        low, high = area_interval(truth, scores, resamples=400, seed=trial)
        areas += low <= 0.7602 <= high
    assert 51 <= covered <= 60 and 51 <= areas <= 60


def test_resampling_is_seeded_and_the_same_for_counts_and_positions() -> None:
    few, many = np.repeat([1.0, 2.0, 5.0], [50, 30, 20]), np.random.default_rng(0).normal(size=100)
    for values in (few, many):
        first, second = (resampled_means(values, 40, 4000, seed=3) for _ in range(2))
        assert np.array_equal(first, second)
        assert first.mean() == pytest.approx(values.mean(), abs=0.05)
        assert first.std() == pytest.approx(values.std() / math.sqrt(40), rel=0.06)


def test_a_bootstrap_of_the_matrix_holds_its_value() -> None:
    low, high = PUBLISHED.bootstrap(lambda found: found.mcc, resamples=300)
    assert low < PUBLISHED.mcc < high and high - low < 0.1
    assert PUBLISHED.bootstrap(lambda found: found.mcc, resamples=300) == (low, high)
