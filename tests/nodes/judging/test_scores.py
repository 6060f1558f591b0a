"""How images are ranked by a number that some of them lack."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from keepers.core.gates.gate import Gate
from keepers.core.gates.tree import Value
from keepers.core.prediction import Failure, Labels, Prediction
from keepers.nodes.judging.scores import Scored, rank, ranking

LABELS = Labels(("good", "bad"))
BY = Value("m", "good")


def scored(value: float) -> Scored:
    return Scored({"m": Prediction("m", LABELS, np.array([value, 0.0], np.float32))})


def test_a_number_that_is_nan_ranks_last() -> None:
    ranks = [rank(scored(value), BY) for value in (0.2, math.nan, 0.7, -math.inf)]
    assert ranks[1] == -math.inf
    for order in itertools.permutations(ranks):
        assert max(order) == pytest.approx(0.7), "a NaN would win or lose by its place"


def test_what_has_no_number_ranks_last() -> None:
    assert rank(Scored({"m": Failure("m", "code", "why")}), BY) == -math.inf
    assert rank(Scored(), BY) == -math.inf
    assert rank(scored(0.5), None) == -math.inf
    assert rank(scored(0.5), Value("m", "lost")) == -math.inf


def test_the_last_number_of_the_accept_clause_ranks() -> None:
    gate = Gate.parse("reject: a.x > 0.5; accept: b.y > 0.5 and c.z > 0.5; review: d.w > 0.5")
    assert ranking(gate) == Value("c", "z")
    assert ranking(gate, " d.w ") == Value("d", "w")
    assert ranking(Gate.parse("reject: a.x > 0.5")) == Value("a", "x")
    assert ranking(Gate.parse('accept: a.label == "x"')) is None
