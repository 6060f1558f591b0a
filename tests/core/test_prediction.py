"""Predictions find, rank and compare their values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from keepers.core.errors import UnknownName
from keepers.core.gates.gate import Gate
from keepers.core.prediction import LOGIT, PROBABILITY, Labels, Prediction, Range, argmax_label, restored

LABELS = Labels(
    ("fox", "wolf", "day", "fox logit", "beauty"),
    ("species", "species", "time", "logit", "score"),
    (PROBABILITY, PROBABILITY, PROBABILITY, LOGIT, Range(1, 10, "score")),
)


def prediction(*values: float, tolerance: float = 0.0) -> Prediction:
    return Prediction("tagger", LABELS, np.array(values, np.float32), tolerance=tolerance)


def test_values_are_found_by_label() -> None:
    one = prediction(0.25, 0.75, 0.5, 3, 7)
    assert one["wolf"] == 0.75
    assert "wolf" in LABELS
    assert "cat" not in LABELS
    with pytest.raises(UnknownName, match=r"'wolff' in tagger.+ 'wolf'"):
        one["wolff"]


def test_top_and_above() -> None:
    one = prediction(0.25, 0.75, 0.75, -2, 7)
    assert [score.label for score in one.top(2)] == ["beauty", "wolf"]
    assert one.top(9, "species") == [("wolf", 0.75), ("fox", 0.25)]
    assert [score.label for score in one.above(0.75)] == ["beauty", "wolf", "day"]
    assert one.above(0.3, "species") == [("wolf", 0.75)]
    assert one.above(2, "species") == []


def test_nan_is_never_ranked() -> None:
    one = prediction(np.nan, 0.75, np.nan, 0, 7)
    assert [score.label for score in one.top(9, "species")] == ["wolf"]
    assert one.above(0.0, "time") == []


def test_values_cannot_be_changed() -> None:
    values = np.zeros(5, np.float32)
    one = Prediction("tagger", LABELS, values)
    values[0] = 1
    assert one["fox"] == 0
    with pytest.raises(ValueError, match="read-only"):
        one.values[0] = 1


def test_a_wrong_number_of_values_is_refused() -> None:
    with pytest.raises(ValueError, match="5 labels"):
        prediction(0.1, 0.2)


def test_groups() -> None:
    assert LABELS.members("species") == (0, 1)
    assert LABELS.members("") == (0, 1, 2, 3, 4)
    assert LABELS.group(3) == "logit"
    assert LABELS.range(4).unit == "score"
    assert Labels(("a",)).range(0) == PROBABILITY


def test_the_winner_and_its_lead() -> None:
    labels = Labels(("a", "b", "c"))
    name, lead = argmax_label(labels, np.array([0.2, 0.5, 0.3], np.float32))
    assert (name, round(lead, 6)) == ("b", 0.1)
    assert argmax_label(labels, np.array([0.2, 0.5, 0.3], np.float32), [0, 2])[0] == "c"
    assert argmax_label(labels, np.array([0.2, np.nan, 0.3], np.float32)) == ("", 0.0)
    assert argmax_label(Labels(("a",)), np.array([0.2], np.float32)) == ("a", np.inf)


def test_each_group_states_its_own_drift() -> None:
    stated = replace(LABELS, drifts=(("species", 0.02), (LABELS.groups[LABELS.index("beauty")], 0.18), ("logit", 0.5)))
    coarse = Prediction("tagger", stated, np.zeros(len(LABELS), np.float32), tolerance=1)
    assert (coarse.drift("wolf"), coarse.drift("beauty")) == (0.02, 0.18)
    assert coarse.drift("fox logit") == np.inf, "a logit has no bounds"
    assert replace(coarse, tolerance=2.5).drift("wolf") == 0.05
    assert replace(coarse, tolerance=0).drift("fox logit") == 0
    assert replace(coarse, labels=LABELS).drift("beauty") == 9, "unstated: anywhere in its range"


def test_a_word_is_sure_beyond_the_largest_drift_of_its_kind() -> None:
    stated = replace(LABELS, drifts=(("species", 0.02),))
    groups = {stated.group(i) for i in range(len(stated)) if stated.range(i) == stated.range(0)}
    stated = replace(stated, drifts=tuple((group, 0.02 if group == "species" else 0.05) for group in groups))
    coarse = Prediction("tagger", stated, np.zeros(len(LABELS), np.float32), "wolf", 0.05, 1.0)
    assert not coarse.sure_word
    assert replace(coarse, margin=0.0501).sure_word and replace(coarse, tolerance=0).sure_word
    assert not replace(coarse, margin=0.0501, tolerance=1.1).sure_word


def test_what_earlier_versions_stored_is_trusted_less() -> None:
    stated = replace(LABELS, drifts=(("species", 0.02),))
    old = restored("tagger", stated, np.zeros(len(LABELS), np.float32), "wolf", 0.05, 0.03, "f")
    assert old.drift("wolf") == 0.15 and not old.sure_word
    new = restored("tagger", stated, np.zeros(len(LABELS), np.float32), "wolf", 0.05, 1.0, "f")
    assert new.drift("wolf") == 0.02


def test_a_gate_over_a_logit_waits_for_the_exact_value() -> None:
    gate = Gate.parse('accept: tagger["fox logit"] > -50')
    assert gate.decide({"tagger": prediction(0.9, 0, 0, 3, 7, tolerance=0.02)}).blurred == ("tagger",)
    verdict = gate.decide({"tagger": prediction(0.9, 0, 0, 3, 7)}).verdict
    assert verdict is not None
    assert verdict.outcome == "accept"
