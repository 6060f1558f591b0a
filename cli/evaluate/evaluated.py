"""The outcome of an evaluation: answers against truths, curves of scores, and all numbers as JSON values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...collection.scan import Scanned
from ...collection.statistics.curves import Measure, area_interval, calibration, choose, sweep
from ...collection.statistics.metrics import Confusion, confusion
from ...collection.statistics.threshold import printable
from ...core.errors import KeepersError, UnknownName
from ...core.pictures.walk import PassedOver
from ...core.prediction import Labels, Prediction

OUTCOMES = ("accept", "review", "reject")


@dataclass(frozen=True)
class Curve:
    """How well one score separates one class from the rest, and a threshold for it."""

    score: str
    """"faramir.accept"."""
    positive: str
    truths: Sequence[bool]
    scores: Sequence[float]
    measure: Measure
    target: float

    def facts(self) -> dict[str, Any]:
        """All numbers as JSON values; None for a missing one."""
        found = sweep(self.truths, self.scores)
        chosen = choose(found, self.measure, self.target)
        values = {
            "area": found.area,
            "average_precision": found.average_precision,
            "threshold": chosen.threshold,
            self.measure: chosen.value,
            "precision_there": chosen.precision,
            "recall_there": chosen.recall,
            "false_alarms_there": chosen.false_alarms,
        }
        probable = bool(self.scores) and min(self.scores) >= 0 and max(self.scores) <= 1
        if probable:
            bins = calibration(self.truths, self.scores)
            values |= {"calibration_error": bins.error, "brier": bins.brier}
        facts: dict[str, Any] = {name: finite(value) for name, value in values.items()}
        area = [finite(end) for end in area_interval(self.truths, self.scores)]
        told = {"score": self.score, "positive": self.positive, "area_interval": area, "reached": chosen.reached}
        return {**told, "measure": self.measure, "target": self.target, **facts}


@dataclass(frozen=True)
class Evaluated:
    """Everything that is shown."""

    what: str
    """The model or the gate."""
    truths: Mapping[Path, str]
    results: Sequence[Scanned]
    answers: Sequence[str]
    """The answer for each result; empty if it could not be judged."""
    matrix: Confusion
    curves: Sequence[Curve]
    unread: Sequence[PassedOver] = ()
    """What was named but could not be looked at."""

    @property
    def unjudged(self) -> list[Scanned]:
        """Results without an answer, which are left out of all numbers."""
        return [result for result, answer in zip(self.results, self.answers, strict=True) if not answer]

    def facts(self) -> dict[str, Any]:
        """All numbers as JSON values."""
        matrix = self.matrix
        each = zip(matrix.classes, matrix.support, matrix.precision, matrix.recall, matrix.f1, strict=True)
        names = ("accuracy", "balanced_accuracy", "mcc", "informedness")
        return {
            "what": self.what,
            "images": matrix.total,
            "not_judged": len(self.unjudged),
            "not_read": len(self.unread),
            **{name: finite(getattr(matrix, name)) for name in names},
            "accuracy_interval": [finite(end) for end in matrix.interval()],
            "mcc_interval": [finite(end) for end in matrix.bootstrap(lambda found: found.mcc)],
            "informedness_interval": [finite(end) for end in matrix.bootstrap(lambda found: found.informedness)],
            "classes": list(matrix.classes),
            "rows_true_columns_answered": matrix.counts.tolist(),
            "each": [
                {"class": name, "images": int(count), "precision": finite(p), "recall": finite(r), "f1": finite(f)}
                for name, count, p, r, f in each
            ],
            "curves": [curve.facts() for curve in self.curves],
        }


def of_model(
    model: str, truths: Mapping[Path, str], results: Sequence[Scanned], measure: Measure, target: float
) -> Evaluated:
    """A model's answers in one word. Raises UnknownName for classes that are not among its labels, KeepersError."""
    labels = _labels(results, model)
    names = list(dict.fromkeys(truths.values()))
    unknown = [name for name in names if name not in labels]
    if unknown:
        raise UnknownName("label", unknown[0], labels.names, where=f"{model}, which the class is compared with")
    answers = [_label(result, model) for result in results]
    curves = [_curve(model, name, {name}, truths, results, measure, target) for name in labels.names if name in names]
    used = [name for name in labels.names if name in names or name in answers]
    return Evaluated(model, truths, results, answers, _matrix(truths, results, answers, used), curves)


def of_gate(gate: str, truths: Mapping[Path, str], results: Sequence[Scanned], wanted: Mapping[str, str]) -> Evaluated:
    """A gate's outcomes; `wanted` says which one each class should have."""
    shown = {path: wanted[name] for path, name in truths.items()}
    answers = [_outcome(result) for result in results]
    used = [outcome for outcome in OUTCOMES if outcome in answers or outcome in shown.values()]
    return Evaluated(gate, shown, results, answers, _matrix(shown, results, answers, used), ())


def of_score(
    model: str,
    label: str,
    truths: Mapping[Path, str],
    results: Sequence[Scanned],
    positive: Sequence[str],
    measure: Measure,
    target: float,
) -> Evaluated:
    """One value, with the threshold for the target. Raises KeepersError for classes that cannot be separated."""
    names = set(truths.values())
    wanted = set(positive)
    if not wanted or not wanted < names:
        listed = ", ".join(sorted(names))
        raise KeepersError(f"--score needs --positive: some of the classes, not all ({listed}).")
    curve = _curve(model, label, wanted, truths, results, measure, target)
    found = choose(sweep(curve.truths, curve.scores), measure, target).threshold
    threshold = printable(np.array(curve.scores), found) if math.isfinite(found) else found
    yes, no = " or ".join(sorted(wanted)), " or ".join(sorted(names - wanted))
    values = [_value(result, model, label) for result in results]
    answers = ["" if math.isnan(value) else yes if value >= threshold else no for value in values]
    shown = {path: yes if name in wanted else no for path, name in truths.items()}
    what = f"{model}.{label} >= {threshold:.9g}"
    return Evaluated(what, shown, results, answers, _matrix(shown, results, answers, [yes, no]), (curve,))


def _matrix(
    truths: Mapping[Path, str], results: Sequence[Scanned], answers: Sequence[str], names: Sequence[str]
) -> Confusion:
    pairs = [(truths[result.path], answer) for result, answer in zip(results, answers, strict=True) if answer]
    return confusion([truth for truth, _ in pairs], [answer for _, answer in pairs], names)


def _curve(
    model: str,
    label: str,
    positive: set[str],
    truths: Mapping[Path, str],
    results: Sequence[Scanned],
    measure: Measure,
    target: float,
) -> Curve:
    pairs = [(truths[result.path] in positive, _value(result, model, label)) for result in results]
    known = [(truth, value) for truth, value in pairs if not math.isnan(value)]
    name = " or ".join(sorted(positive))
    return Curve(f"{model}.{label}", name, [t for t, _ in known], [v for _, v in known], measure, target)


def _labels(results: Sequence[Scanned], model: str) -> Labels:
    for result in results:
        answer = result.answers.get(model)
        if isinstance(answer, Prediction):
            return answer.labels
    reasons = {result.verdict.reason for result in results}
    raise KeepersError(f"{model} could judge none of the images: {next(iter(reasons), 'there are none')}")


def _outcome(result: Scanned) -> str:
    """Empty for an image that could not be judged."""
    return "" if result.error or not result.verdict.judged else result.verdict.outcome


def _label(result: Scanned, model: str) -> str:
    answer = result.answers.get(model)
    return answer.label if isinstance(answer, Prediction) else ""


def _value(result: Scanned, model: str, label: str) -> float:
    answer = result.answers.get(model)
    value = answer[label] if isinstance(answer, Prediction) else math.nan
    return value if math.isfinite(value) else math.nan


def finite(value: float) -> float | None:
    """The value, or None if it is not finite, which JSON cannot express."""
    return float(value) if math.isfinite(value) else None
