"""What the answers so far say about a gate's terms: Kleene's logic, in which some unknowns are final.

A truth is the set of what a node may still turn out to be once every model has answered exactly: any of FALSE,
UNJUDGED and TRUE. An unjudged term (a failure, a NaN) stays so whatever else is asked; an open one may become any.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..errors import UnknownName, one_line
from ..prediction import Answer, Answers, Prediction
from .tree import And, Comparison, Leaf, Link, Node, Not, Number, Operand, Or, WordTest, models_in
from .unjudged import Unjudged, failed

FALSE, UNJUDGED, TRUE = 1, 2, 4
OPEN = FALSE | UNJUDGED | TRUE

_HOLDS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


class Reading(NamedTuple):
    """A number to compare, and how far it may be off."""

    value: float
    tolerance: float


class Finding(NamedTuple):
    """What a node may turn out to be, and the terms that make it so, in the order written."""

    truth: int
    leaves: tuple[Leaf, ...]


def find(node: Node, answers: Answers) -> Finding:
    """What a node may turn out to be.

    A false `and` has the leaves of its false parts, a true `or` those of its first true part. A node that is neither
    true nor false has the leaves that keep it open or unjudged.
    """
    if isinstance(node, And):
        return _all([find(part, answers) for part in node.parts])
    if isinstance(node, Or):
        return _any([find(part, answers) for part in node.parts])
    if isinstance(node, Not):
        truth, leaves = find(node.part, answers)
        return Finding(_negated(truth), leaves)
    if isinstance(node, Comparison):
        return _all([Finding(_link(link, answers), (link,)) for link in node.links])
    return Finding(_test(node, answers), (node,))


def read(operand: Operand, answers: Answers) -> Reading | Unjudged | None:
    """The number that an operand stands for; None while its model has not answered."""
    if isinstance(operand, Number):
        return Reading(operand.single, 0.0)
    answer = answers.get(operand.model)
    if not isinstance(answer, Prediction):
        return None if answer is None else failed(answer)
    try:
        value = answer[operand.label]
    except UnknownName as error:
        return Unjudged(operand.model, "failure", one_line(str(error).rstrip(".")))
    if not math.isfinite(value):
        reason = one_line(f"{operand.model} gave no number for {operand.label}")
        return Unjudged(operand.model, "not_a_number", reason, operand.label)
    return Reading(value, answer.drift(operand.label))


def word(test: WordTest, answers: Answers) -> str | Unjudged | None:
    """A model's one-word answer; None while the model has not answered, or while its answer may still change."""
    answer = answers.get(test.model)
    if not isinstance(answer, Prediction):
        return None if answer is None else failed(answer)
    if not answer.label or np.isnan(answer.values).all():
        return Unjudged(test.model, "not_a_number", one_line(f"{test.model} gave no answer in one word"))
    if not answer.sure_word:
        return None
    return answer.label


def unjudged_in(leaves: Iterable[Leaf], answers: Answers) -> tuple[Unjudged, ...]:
    """What terms could not compare, each once, in the order written."""
    found = (one for leaf in leaves for one in _operands(leaf, answers) if isinstance(one, Unjudged))
    return tuple(dict.fromkeys(found))


def needs(leaf: Leaf, answers: Answers) -> tuple[list[str], list[str]]:
    """The models that an open term waits for: those without an answer, else those whose answer is too coarse."""
    truth = _test(leaf, answers) if isinstance(leaf, WordTest) else _link(leaf, answers)
    if truth != OPEN:
        return [], []
    models = models_in(leaf)
    absent = [model for model in models if model not in answers]
    return absent, [] if absent else [model for model in models if _coarse(answers[model])]


def holds(sign: str, left: float, right: float) -> bool:
    """Whether a comparison is true of two numbers."""
    return _HOLDS[sign](left, right)


def _operands(leaf: Leaf, answers: Answers) -> Sequence[Reading | Unjudged | str | None]:
    if isinstance(leaf, WordTest):
        return [word(leaf, answers)]
    return [read(leaf.left, answers), read(leaf.right, answers)]


def _coarse(answer: Answer) -> bool:
    return isinstance(answer, Prediction) and answer.tolerance != 0


def _link(link: Link, answers: Answers) -> int:
    left, right = read(link.left, answers), read(link.right, answers)
    if isinstance(left, Unjudged) or isinstance(right, Unjudged):
        return UNJUDGED
    if left is None or right is None:
        return OPEN
    tolerance = left.tolerance + right.tolerance
    if tolerance != 0 and not abs(left.value - right.value) > tolerance:
        return OPEN
    return TRUE if holds(link.operator, left.value, right.value) else FALSE


def _test(test: WordTest, answers: Answers) -> int:
    found = word(test, answers)
    if found is None:
        return OPEN
    if isinstance(found, Unjudged):
        return UNJUDGED
    return TRUE if (found in test.names) != test.negated else FALSE


def _all(parts: Sequence[Finding]) -> Finding:
    if len(parts) == 1:
        return parts[0]
    truth = _least([part.truth for part in parts])
    if truth == FALSE:
        return Finding(truth, _leaves(part for part in parts if part.truth == FALSE))
    return Finding(truth, _leaves(part for part in parts if truth == TRUE or part.truth != TRUE))


def _any(parts: Sequence[Finding]) -> Finding:
    truth = _negated(_least([_negated(part.truth) for part in parts]))
    if truth == TRUE:
        return Finding(truth, next(part.leaves for part in parts if part.truth == TRUE))
    return Finding(truth, _leaves(part for part in parts if truth == FALSE or part.truth != FALSE))


def _least(truths: Sequence[int]) -> int:
    """All values that the least of several independent truths may take, where FALSE < UNJUDGED < TRUE."""
    some, every, above = 0, OPEN, True
    for truth in truths:
        some |= truth
        every &= truth
        above = above and truth != FALSE
    return (some & FALSE) | (every & TRUE) | (UNJUDGED if above and some & UNJUDGED else 0)


def _negated(truth: int) -> int:
    return (truth & UNJUDGED) | (TRUE if truth & FALSE else 0) | (FALSE if truth & TRUE else 0)


def _leaves(parts: Iterable[Finding]) -> tuple[Leaf, ...]:
    return tuple(leaf for part in parts for leaf in part.leaves)
