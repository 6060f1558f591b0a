"""The number by which a gate tells better images from worse ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..prediction import Answers, Prediction
from .gate import Gate
from .tree import Comparison, Link, Number, Value, terms


@dataclass(frozen=True)
class GateNumber:
    """A number that a gate reads, and whether more of it is better."""

    value: Value
    more_is_better: bool = True

    def of(self, answers: Answers) -> float:
        """The number of an image, turned so that more is better; NaN if nobody gave one."""
        answer = answers.get(self.value.model)
        if not isinstance(answer, Prediction) or self.value.label not in answer.labels:
            return math.nan
        found = answer[self.value.label]
        return found if self.more_is_better else -found


def gate_number(gate: Gate) -> GateNumber | None:
    """The number that the accept clauses compare last, else the one that the others compare last; None without one.

    The last, because gates begin with cheap models and end with those that matter.
    """
    found: GateNumber | None = None
    for clause in sorted(gate.clauses, key=lambda one: one.outcome == "accept"):
        links = (link for term in terms(clause.when) if isinstance(term, Comparison) for link in term.links)
        for link in links:
            found = _number(link, clause.outcome == "accept") or found
    return found


def _number(link: Link, accepts: bool) -> GateNumber | None:
    """What a comparison with a constant asks for."""
    sides = (link.left, link.right)
    values = [side for side in sides if isinstance(side, Value)]
    if len(values) != 1 or not any(isinstance(side, Number) for side in sides) or link.operator[0] not in "<>":
        return None
    rising = (link.operator[0] == ">") == (values[0] is link.left)
    return GateNumber(values[0], rising == accepts)
