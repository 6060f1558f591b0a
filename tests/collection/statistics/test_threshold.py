"""A printed threshold is short, and a gate with it decides as the threshold that was found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepers.collection.statistics.threshold import printable
from keepers.core.gates.gate import Gate
from keepers.core.prediction import Labels, Prediction

LABELS = Labels(("p",))
singles = st.floats(0, 1, width=32)
near = st.builds(
    lambda at, steps: float(np.float32(at) + steps * np.spacing(np.float32(at))), singles, st.integers(0, 3)
)


def accepted(gate: str, scores: list[float]) -> list[bool]:
    given_scores = [Prediction("m", LABELS, np.array([score], np.float32)) for score in scores]
    verdicts = [Gate.parse(gate).decide({"m": one}).verdict for one in given_scores]
    return [verdict is not None and verdict.outcome == "accept" for verdict in verdicts]


@given(st.lists(near.filter(lambda score: score <= 1), min_size=1, max_size=12), st.data())
@settings(max_examples=300, deadline=None)
def test_the_pasted_gate_decides_as_the_threshold(scores: list[float], data: st.DataObject) -> None:
    """Neighbours in float32 are told apart, whatever decimal printing makes of them."""
    threshold = data.draw(st.sampled_from(scores))
    sign = data.draw(st.sampled_from((1.0, -1.0)))
    signed = sign * np.array(scores, dtype=np.float64)
    number = sign * printable(signed, sign * threshold, 0.0 if sign > 0 else -1.0)
    line = f"accept: m.p {'>=' if sign > 0 else '<='} {number:.9g}"
    assert accepted(line, scores) == (signed >= sign * threshold).tolist()
    assert 0 <= number <= 1, "a gate may not name a number outside the label's range"


def test_a_threshold_lies_between_the_scores_and_is_short() -> None:
    scores = np.array([0.1, 0.31234567, 0.7123456, 0.9])
    assert printable(scores, 0.7123456) == 0.5
    assert printable(np.array([0.71, 0.72]), 0.72) == 0.715
    assert printable(np.array([0.4, 0.5]), 0.4, 0.0) == pytest.approx(0.395, abs=0.004), "all accepted"
    assert printable(np.array([0.4]), 0.6123456789) == 0.612345679, "none accepted"
    assert printable(np.array([0.0, 0.5]), 0.0, 0.0) == 0.0
