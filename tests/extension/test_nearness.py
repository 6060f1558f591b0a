"""How near an image is to being accepted: the order in which the best of the rejected is chosen."""

from __future__ import annotations

import math

import numpy as np
import pytest

from keepers.core.gates.gate import Gate
from keepers.core.prediction import Failure, Labels, Prediction
from keepers.extension.job.nearness import nearness

LABELS = Labels(("x", "y"))


def near(text: str, x: float, y: float = 0.0, outcome: str = "reject", label: str = "") -> float:
    answer = Prediction("m", LABELS, np.array([x, y], np.float32), label)
    return nearness(Gate.parse(text), {"m": answer}, outcome)


def test_a_value_nearer_to_its_threshold_is_nearer() -> None:
    assert near("accept: m.x > 0.5", 0.4) > near("accept: m.x > 0.5", 0.2)
    assert near("accept: m.x < 0.5", 0.6) > near("accept: m.x < 0.5", 0.8)
    assert near("accept: not m.x > 0.5", 0.6) > near("accept: not m.x > 0.5", 0.8)
    assert near("reject: m.x > 0.5", 0.6) > near("reject: m.x > 0.5", 0.8)


def test_and_counts_the_farthest_part_and_or_the_nearest() -> None:
    both, either = "accept: m.x > 0.5 and m.y > 0.5", "accept: m.x > 0.5 or m.y > 0.5"
    assert near(both, 0.9, 0.1) == pytest.approx(near(both, 0.3, 0.1)) == pytest.approx(math.tanh(-0.4))
    assert near(either, 0.4, 0.1) == pytest.approx(near(either, 0.4, 0.3)) == pytest.approx(math.tanh(-0.1))


def test_review_ranks_above_reject_whatever_the_numbers() -> None:
    text = "accept: m.x > 0.5"
    assert near(text, 0.0, outcome="review") > near(text, 0.49, outcome="reject")
    assert near(text, 0.6, outcome="accept") > near(text, 0.49, outcome="review")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_farthest(value: float) -> None:
    text = "accept: m.x > 0.5"
    assert near(text, value) == -1.0 < near(text, 0.0)
    assert nearness(Gate.parse(text), {"m": Failure("m", "code", "why")}, "reject") == -1.0
    assert nearness(Gate.parse(text), {}, "reject") == -1.0


def test_a_word_counts_by_the_probability_of_its_label() -> None:
    text = 'accept: m.label == "x"'
    assert near(text, 0.45, 0.55, label="y") > near(text, 0.1, 0.9, label="y")
    assert near(text, 0.9, 0.1, "accept", label="x") > near(text, 0.6, 0.4, "accept", label="x")
