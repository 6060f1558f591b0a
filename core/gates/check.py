"""Compares a parsed gate with what the models really offer, before anything is loaded."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import NoReturn

from ..errors import GateError, UnknownName
from ..prediction import Labels, Range
from .tree import Clause, Comparison, Link, Number, Value, WordTest, terms

LabelsOf = Callable[[str], Labels | None]


def check_clause(clause: Clause, text: str, labels_of: LabelsOf) -> None:
    """Raises GateError for a model or label that does not exist, and for a number outside its label's range."""
    for term in terms(clause.when):
        if isinstance(term, WordTest):
            _check_test(term, text, labels_of)
        else:
            _check_comparison(term, text, labels_of)


def _check_test(test: WordTest, text: str, labels_of: LabelsOf) -> None:
    labels = _labels(test.model, test.position, text, labels_of)
    for name in test.names if labels else ():
        # An answer need not be a label ("ok", "explicit"), but one that is nearly a label was mistyped.
        close = [] if labels is None or name in labels else get_close_matches(name, labels.names, n=2, cutoff=0.8)
        if close:
            meant = " or ".join(map(repr, close))
            _refuse(text, test.position, f"{test.model} never answers {name!r}. Did you mean {meant}?")


def _check_comparison(comparison: Comparison, text: str, labels_of: LabelsOf) -> None:
    for operand in comparison.operands:
        if isinstance(operand, Value) and (labels := _labels(operand.model, operand.position, text, labels_of)):
            try:
                labels.index(operand.label, operand.model)
            except UnknownName as error:
                _refuse(text, operand.position, str(error), error)
    for link in comparison.links:
        _check_range(link, text, labels_of)


def _check_range(link: Link, text: str, labels_of: LabelsOf) -> None:
    for value, number in ((link.left, link.right), (link.right, link.left)):
        if isinstance(value, Value) and isinstance(number, Number) and (labels := labels_of(value.model)):
            reach = labels.range(labels.index(value.label, value.model))
            if not reach.low <= number.value <= reach.high:
                _refuse(text, number.position, _outside(value, number, reach))


def _outside(value: Value, number: Number, reach: Range) -> str:
    percent = reach.low == 0 and reach.high == 1 and 1 < number.value <= 100
    hint = f" Did you mean {Number(number.value / 100)}?" if percent else ""
    return f"{value} ranges from {reach.low:g} to {reach.high:g} ({reach.unit}); {number} is outside.{hint}"


def _labels(model: str, position: int, text: str, labels_of: LabelsOf) -> Labels | None:
    try:
        return labels_of(model)
    except UnknownName as error:
        _refuse(text, position, str(error), error)


def _refuse(text: str, position: int, message: str, cause: Exception | None = None) -> NoReturn:
    raise GateError(text, position, message) from cause
