"""Decides a gate again from the predictions in an output: no image is opened, and unknown values are never guessed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ...core.errors import UnknownName, one_line
from ...core.gates.gate import Gate, Verdict, not_judged
from ...core.gates.tree import Link, Number, Value
from ...core.gates.truth import holds
from ...core.gates.unjudged import Unjudged
from ...core.judging.classifier import model_fingerprint
from ...core.judging.judge import Judge
from ...core.judging.near_duplicates import with_known_twin
from ...core.prediction import Answer, Labels, Prediction
from .output import OutputError, OutputSettings
from .predictions import is_whole, unusable
from .schema import ImageRow, ModelColumn

LOOKED_AT = ("verdict", "reason", "error", "duplicate_of", "distance", "duplicates", "failures")
"""The columns read besides the predictions."""


@dataclass(frozen=True)
class OutputGate:
    """A gate, and the output whose images it judges."""

    gate: Gate
    where: str
    """The output, as the user named it."""
    settings: OutputSettings
    judge: Judge
    """For models that read only another model's numbers."""

    def check(self) -> None:
        """Raises GateError or UnknownName if the gate is wrong, OutputError if a model's numbers are missing."""
        lacking = [model for model, base in self._bases.items() if base is None]
        for model in lacking:
            self.judge.registry.spec(model, self.judge.store)  # suggests a correction for a mistyped name
            if base := self.judge.base(model):
                reason = unusable(self.where, self.settings.column(base), base, self._fingerprint(base))
                raise OutputError(f"{model} reads the numbers of {base}, but {reason}.")
        if lacking:
            asked = ", ".join(one.model for one in self.settings.models) or "no model"
            raise OutputError(
                f"{self.where} was not asked about {', '.join(lacking)}, so it cannot tell; it holds {asked}. "
                f"Scan again with a gate that asks {', '.join(lacking)}."
            )
        self.gate.check(self.labels)

    @cached_property
    def models(self) -> tuple[ModelColumn, ...]:
        """The columns that the gate needs."""
        found = (self.settings.column(model) or self._bases[model] for model in self.gate.models)
        return tuple({one.model: one for one in found if one is not None}.values())

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns that are read."""
        return (*LOOKED_AT, *(one.model for one in self.models))

    def answers(self, row: ImageRow) -> dict[str, Answer]:
        """The models' answers about an image, with those of models that are derived from them."""
        found = row_answers(row)
        for model, base in self._bases.items():
            if base and model not in found and (made := self.judge.derive(model, found)):
                found[model] = made
        return found

    def verdict(self, row: ImageRow) -> Verdict:
        """The gate's verdict on one image."""
        if row.error:
            return row.verdict
        answers, unknown = self._answers(row)
        decision = self.gate.decide(answers)
        verdict = decision.closed()
        if not verdict.judged:
            return not_judged(*(unknown.get((one.model, one.label), one) for one in verdict.unjudged))
        return replace(verdict, reason=self._without_zeros(verdict.reason, answers))

    def _without_zeros(self, reason: str, answers: Mapping[str, Answer]) -> str:
        """The reason with every left-out number, which reads 0, replaced by its known upper bound."""
        for column in self.models if self._sparse else ():
            answer = answers.get(column.model)
            for label in self._asked.get(column.model, {}) if isinstance(answer, Prediction) else ():
                if isinstance(answer, Prediction) and _left_out(answer, column, label):
                    name = re.escape(one_line(str(Value(column.model, label))))
                    reason = re.sub(rf"({name}) 0\.0+(?= )", rf"\1 below {column.floor:g}", reason)
        return reason

    def _answers(self, row: ImageRow) -> tuple[Mapping[str, Answer], Mapping[tuple[str, str], Unjudged]]:
        """The answers with NaN for what the gate cannot know, and why it cannot, by model and label."""
        answers = self.answers(row)
        unsaid: dict[tuple[str, str], Unjudged] = {}
        for column in self.models:
            answer = answers.get(column.model)
            if isinstance(answer, Prediction):
                unknown = dict(self._unknown(answer, column))
                unsaid |= {
                    (column.model, label): Unjudged(column.model, "unasked", why, label)
                    for label, why in unknown.items()
                }
                answers[column.model] = _without(answer, unknown)
        return answers, unsaid

    def _unknown(self, answer: Prediction, column: ModelColumn) -> Iterator[tuple[str, str]]:
        """Labels that the gate reads but whose stored values are not precise enough to decide it, with the reason."""
        for label, links in self._asked.get(column.model, {}).items():
            if label not in answer.labels:
                continue
            if column.floor is not None and column.model in self._sparse and _left_out(answer, column, label):
                low = answer.labels.range(answer.labels.index(label)).low
                high = float(np.nextafter(np.float32(column.floor), np.float32(-np.inf))) + answer.drift(label)
                if not _settled(links, low, high):
                    yield label, f"the output keeps {column.model}.{label} only from {column.floor:g} on"

    @cached_property
    def _sparse(self) -> frozenset[str]:
        return frozenset(one.model for one in self.models if not is_whole(one))

    @cached_property
    def _asked(self) -> Mapping[str, Mapping[str, list[Link]]]:
        """The comparisons that read a value, by model and label."""
        found: dict[str, dict[str, list[Link]]] = {}
        for link in self.gate.links:
            for operand in (link.left, link.right):
                if isinstance(operand, Value):
                    found.setdefault(operand.model, {}).setdefault(operand.label, []).append(link)
        return found

    def _base(self, model: str) -> ModelColumn | None:
        """The complete column of the model whose numbers another one reads; None if it is not usable."""
        base = self.judge.base(model)
        column = self.settings.column(base) if base else None
        return None if unusable(self.where, column, base, self._fingerprint(base) if base else "") else column

    def _fingerprint(self, model: str) -> str:
        return model_fingerprint(self.judge.registry.spec(model, self.judge.store), self.judge.store)

    @cached_property
    def _bases(self) -> Mapping[str, ModelColumn | None]:
        """The base columns of the gate's models that have no column of their own."""
        return {model: self._base(model) for model in self.gate.models if self.settings.column(model) is None}

    def labels(self, model: str) -> Labels | None:
        """A model's labels; None if they are not known."""
        column = self.settings.column(model)
        if column is not None:
            return column.labels
        try:
            spec = self.judge.registry.spec(model, self.judge.store)
        except UnknownName:
            return None
        return spec.labels() if spec.labels else None


def row_answers(row: ImageRow) -> dict[str, Answer]:
    """The models' answers about an image, with the near-duplicate that was found for it."""
    found = dict(row.answers)
    twin = row.twin
    for model, answer in row.answers.items() if twin else ():
        if twin and isinstance(answer, Prediction):
            found[model] = with_known_twin(answer, twin)
    return found


def clear_answers(row: ImageRow, models: Iterable[ModelColumn]) -> dict[str, Answer]:
    """As `row_answers`, with NaN for values that the output left out."""
    found = row_answers(row)
    for column in models:
        answer = found.get(column.model)
        if isinstance(answer, Prediction) and column.floor is not None:
            left_out = answer.values < np.float32(column.floor)
            left_out[[column.labels.index(label) for label in column.kept]] = False
            found[column.model] = replace(answer, values=np.where(left_out, np.float32(np.nan), answer.values))
    return found


def _left_out(answer: Prediction, column: ModelColumn, label: str) -> bool:
    """Whether a value was left out of a sparse column."""
    if column.floor is None or label in column.kept or label not in answer.labels:
        return False
    return bool(answer[label] < np.float32(column.floor))


def _settled(links: list[Link], low: float, high: float) -> bool:
    """Whether all comparisons have the same result for every value from `low` to `high`."""
    for link in links:
        number = link.right if isinstance(link.right, Number) else link.left
        if not isinstance(number, Number):
            return False
        if low <= number.single <= high if link.operator in ("==", "!=") else _turns(link, number.single, low, high):
            return False
    return True


def _turns(link: Link, number: float, low: float, high: float) -> bool:
    first = isinstance(link.left, Value)
    ends = [holds(link.operator, end, number) if first else holds(link.operator, number, end) for end in (low, high)]
    return ends[0] != ends[1]


def _without(answer: Prediction, unknown: Mapping[str, str]) -> Prediction:
    if not unknown:
        return answer
    values = answer.values.copy()
    values[[answer.labels.index(label) for label in unknown]] = np.nan
    return replace(answer, values=values)
