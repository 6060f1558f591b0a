"""The images of a review: what the page learns about each, and the orders in which it can show them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...collection.scan import Scanned
from ...core.errors import encodable
from ...core.gates.gate import Gate
from ...core.gates.tree import Link, Number, Value, WordTest
from ...core.prediction import Answer, Prediction, Range
from ..pages.scores import image_facts, shown_by_model, words

MOST_SCORES = 60
"""The most scores to sort by: those of the gate first, then those that most images have."""


@dataclass(frozen=True)
class ReviewImage:
    """One image."""

    path: Path
    content: str
    time: float
    facts: Mapping[str, object]
    """What the page shows, as JSON values."""
    scores: Mapping[str, float]
    """By "model.label"."""
    uncertain: float | None
    """Distance to the gate's nearest threshold, in spreads of that score; None if the gate reads no numbers."""


def items(results: Iterable[Scanned], gate: Gate) -> list[ReviewImage]:
    """Every image once, however many files hold it, in order of appearance; unreadable files are left out."""
    once: dict[str, Scanned] = {}
    for result in results:
        if not result.error:
            once.setdefault(result.image.content, result)
    listed = list(once.values())
    near = _uncertain([result.answers for result in listed], gate)
    return [_item(result, distance) for result, distance in zip(listed, near, strict=True)]


def score_names(found: Sequence[ReviewImage], gate: Gate) -> list[str]:
    """The scores that images can be sorted by."""
    read = [str(operand) for link in gate.links for operand in (link.left, link.right) if isinstance(operand, Value)]
    counts: dict[str, int] = {}
    for item in found:
        for name in item.scores:
            counts[name] = counts.get(name, 0) + 1
    common = sorted(counts, key=lambda name: -counts[name])
    return [name for name in dict.fromkeys([*read, *common]) if name in counts][:MOST_SCORES]


def page_data(found: Sequence[ReviewImage], gate: Gate, title: str) -> dict[str, object]:
    """All that the page receives at once."""
    names = score_names(found, gate)
    return {
        "title": title,
        "gate": str(gate),
        "scores": names,
        "items": [
            {
                **item.facts,
                "time": item.time,
                "uncertain": item.uncertain,
                "sort": [_finite(item.scores.get(name)) for name in names],
            }
            for item in found
        ],
    }


def _item(result: Scanned, distance: float | None) -> ReviewImage:
    image = result.image
    shown = shown_by_model(result.answers)
    listed = [[m, label, _finite(value), *_range(result.answers[m], label)] for m, label, value in _flat(shown)]
    facts: dict[str, object] = {
        "name": encodable(result.path.name),
        "folder": encodable(str(result.path.parent)),
        "verdict": result.verdict.outcome,
        "reason": encodable(result.verdict.reason),
        "unjudged": "; ".join(dict.fromkeys(one.short for one in result.verdict.unjudged)),
        "words": words(result.answers),
        "scores": listed,
        **image_facts(image),
    }
    values = {str(Value(model, label)): value for model, label, value in _flat(shown)}
    return ReviewImage(result.path, image.content, result.mtime, facts, values, distance)


def _flat(shown: Mapping[str, Mapping[str, float]]) -> list[tuple[str, str, float]]:
    return [(model, label, value) for model, values in shown.items() for label, value in values.items()]


def _range(answer: Answer, label: str) -> list[float | None]:
    """The ends of a score's range, for a bar beside it; empty if it has no ends."""
    assert isinstance(answer, Prediction)
    found: Range = answer.labels.range(answer.labels.index(label))
    return [_finite(found.low), _finite(found.high)]


def _finite(value: float | None) -> float | None:
    return round(float(value), 5) if value is not None and math.isfinite(value) else None


def _uncertain(answers: Sequence[Mapping[str, Answer]], gate: Gate) -> list[float | None]:
    """For each image, the least distance to a threshold, or the margin of a one-word answer that the gate reads."""
    distances = [row for link in gate.links if (row := _distances(answers, link)) is not None]
    tests = [term.model for term in gate.terms if isinstance(term, WordTest)]
    distances += [np.array([_margin(one.get(model)) for one in answers]) for model in dict.fromkeys(tests)]
    if not distances or not answers:
        return [None] * len(answers)
    table = np.stack(distances)
    known = ~np.isnan(table).all(axis=0)
    least = np.where(known, np.nanmin(np.where(np.isnan(table), np.inf, table), axis=0), np.nan)
    return [_finite(float(value)) for value in least]


def _distances(answers: Sequence[Mapping[str, Answer]], link: Link) -> np.ndarray | None:
    number, value = (link.left, link.right) if isinstance(link.left, Number) else (link.right, link.left)
    if not isinstance(number, Number) or not isinstance(value, Value):
        return None
    found = np.array([_value(one.get(value.model), value.label) for one in answers])
    known = found[np.isfinite(found)]
    spread = float(known.std()) if known.size > 1 else 0.0
    return np.abs(found - number.value) / (spread or 1.0)


def _value(answer: Answer | None, label: str) -> float:
    if not isinstance(answer, Prediction) or label not in answer.labels:
        return math.nan
    return answer[label]


def _margin(answer: Answer | None) -> float:
    return float(answer.margin) if isinstance(answer, Prediction) and answer.margin < 1e300 else math.nan
