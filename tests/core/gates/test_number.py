"""The number by which a gate tells better images from worse ones."""

from __future__ import annotations

import math

import numpy as np
import pytest

from keepers.core.gates.gate import Gate
from keepers.core.gates.number import gate_number
from keepers.core.prediction import Failure, Labels, Prediction


@pytest.mark.parametrize(
    ("gate", "value", "more_is_better"),
    [
        ("accept: a.x >= 0.5", "a.x", True),
        ("accept: 0.5 > a.x", "a.x", False),
        ("accept: a.x >= 0.5 and b.y >= 0.2", "b.y", True),
        ("reject: b.y >= 0.2\naccept: a.x >= 0.5", "a.x", True),
        ("accept: a.x >= 0.5\nreject: b.y >= 0.2", "a.x", True),
        ("reject: b.y >= 0.2", "b.y", False),
        ('reject: b.y < 0.2\naccept: a.label == "ok"', "b.y", True),
        ("accept: a.x > b.y and a.x >= 0.5 and a.x == 0.7", "a.x", True),
    ],
)
def test_it_is_the_last_that_decides_about_accepting(gate: str, value: str, more_is_better: bool) -> None:
    found = gate_number(Gate.parse(gate))
    assert found is not None and (str(found.value), found.more_is_better) == (value, more_is_better)


@pytest.mark.parametrize("gate", ["", 'accept: a.label == "ok"', "accept: a.x > b.y", "accept: a.x == 1"])
def test_a_gate_may_have_none(gate: str) -> None:
    assert gate_number(Gate.parse(gate)) is None


def test_more_of_it_is_better_and_nobody_knows_what_was_not_asked() -> None:
    answer = Prediction("a", Labels(("x",)), np.array([0.25], dtype=np.float32))
    for gate, expected in (("accept: a.x > 0.1", 0.25), ("accept: a.x < 0.1", -0.25)):
        found = gate_number(Gate.parse(gate))
        assert found and found.of({"a": answer}) == expected
        assert math.isnan(found.of({})) and math.isnan(found.of({"a": Failure("a", "io", "gone")}))
