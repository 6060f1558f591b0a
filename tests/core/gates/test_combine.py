"""Several gates as one: accepted by all, rejected by any, and the rest for review."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from keepers.core.gates.combine import all_of
from keepers.core.gates.gate import Gate
from keepers.core.prediction import Labels, Prediction

LABELS = Labels(("x",))
TEXTS = (
    "accept: a.x > 0.5",
    "reject: b.x > 0.5",
    "review: c.x > 0.5; accept: c.x > 0.2",
    "accept: a.x > 0.5; review: a.x > 0.2",
    "reject: b.x < 0.1; review: b.x < 0.5",
    "review: c.x > 0.5",
    "reject: a.x > 0.9; accept: b.x > 0.2; reject: c.x > 0.5",
)
LEVELS = (0.0, 0.3, 0.7, 1.0)


def outcome(gate: Gate, values: Sequence[float]) -> str:
    answers = {
        model: Prediction(model, LABELS, np.array([value], np.float32))
        for model, value in zip("abc", values, strict=True)
    }
    verdict = gate.decide(answers).verdict
    assert verdict is not None
    return verdict.outcome


@pytest.mark.parametrize("chosen", list(itertools.permutations(TEXTS, 2)))
def test_two_gates_are_as_strict_as_both(chosen: Sequence[str]) -> None:
    gates = [Gate.parse(text) for text in chosen]
    both = all_of(gates)
    for values in itertools.product(LEVELS, repeat=3):
        said = [outcome(gate, values) for gate in gates]
        expected = "reject" if "reject" in said else "review" if "review" in said else "accept"
        assert outcome(both, values) == expected, (chosen, values)
    assert Gate.parse(str(both)) == both


def test_one_gate_stays_as_it_is_and_empty_ones_say_nothing() -> None:
    one = Gate.parse(TEXTS[2])
    assert all_of([one]) is one and all_of([Gate.parse(""), one]) is one
    assert all_of([]) == all_of([Gate.parse("")]) == Gate.parse("")
