"""What a model says about one image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .errors import UnknownName

Floats = NDArray[np.float32]


class Range(NamedTuple):
    """What the numbers of a label mean. `low` and `high` are inclusive and may be infinite."""

    low: float
    high: float
    unit: str
    """What a user reads after the number: "probability", "logit", "score", "bits", ..."""


PROBABILITY = Range(0.0, 1.0, "probability")
LOGIT = Range(-np.inf, np.inf, "logit")


class Score(NamedTuple):
    """One label with its value."""

    label: str
    value: float


@dataclass(frozen=True)
class Labels:
    """The labels of a model, in the order of its outputs; all its predictions share one object."""

    names: tuple[str, ...]
    """Unique, spelled as in the model's source."""
    groups: tuple[str, ...] = ()
    """The group of each name ("species", "accept", "logit", ...); empty for a model without groups."""
    ranges: tuple[Range, ...] = ()
    """The range of each name; empty means that all are probabilities."""
    drifts: tuple[tuple[str, float], ...] = field(default=(), compare=False)
    """By group ("" for a model without groups): how far `fast` may move its values, in their own unit. Values of other
    groups, and those without bounds, may be anywhere in their range."""

    def __post_init__(self) -> None:
        count = len(self.names)
        assert len(set(self.names)) == count, "label names must be unique"
        assert len(self.groups) in (0, count) and len(self.ranges) in (0, count)

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def _index(self) -> Mapping[str, int]:
        return {name: index for index, name in enumerate(self.names)}

    def __contains__(self, name: object) -> bool:
        return name in self._index

    def index(self, name: str, model: str = "") -> int:
        """The position of a label. Raises UnknownName, with close matches."""
        try:
            return self._index[name]
        except KeyError:
            raise UnknownName("label", name, self.names, where=model) from None

    def group(self, index: int) -> str:
        """The group of the label at a position; empty where the model has no groups."""
        return self.groups[index] if self.groups else ""

    def range(self, index: int) -> Range:
        """The range of the label at a position."""
        return self.ranges[index] if self.ranges else PROBABILITY

    def drift(self, index: int) -> float:
        """How far `fast` may move the value at a position; infinite for one without bounds, such as a logit."""
        low, high, _ = self.range(index)
        width = high - low
        return self._stated.get(self.group(index), width) if np.isfinite(width) else np.inf

    @cached_property
    def _stated(self) -> Mapping[str, float]:
        return dict(self.drifts)

    @cached_property
    def word_drift(self) -> float:
        """The largest drift among the labels that share the first one's range: what a one-word answer hangs on."""
        return max(self.drift(index) for index in range(len(self)) if self.range(index) == self.range(0))

    @cached_property
    def without_drifts(self) -> Labels:
        """The same labels, of which no drift is stated."""
        return replace(self, drifts=())

    def members(self, group: str) -> tuple[int, ...]:
        """The positions of a group's labels, in order; for the empty group, those of all labels."""
        return self._members.get(group, ()) if group else tuple(range(len(self)))

    @cached_property
    def _members(self) -> Mapping[str, tuple[int, ...]]:
        found: dict[str, list[int]] = {}
        for index, group in enumerate(self.groups):
            found.setdefault(group, []).append(index)
        return {group: tuple(members) for group, members in found.items()}


@dataclass(frozen=True)
class Twins:
    """The near-duplicates of an image among the others of its run."""

    kept: str = ""
    """The name of the better one that is kept in its place; empty if this one is kept."""
    others: tuple[str, ...] = ()
    """The names of all others that look like the kept one, the better first; of very many, only the first."""
    count: int = 0
    """How many others there are."""


NO_TWINS = Twins()


@dataclass(frozen=True)
class Prediction:
    """The values that one model gave one image."""

    model: str
    """The id under which the model was asked, with its variant: "coherence", "faramir:mine"."""
    labels: Labels
    values: Floats
    """[len(labels)], read-only; NaN where the model could not judge."""
    label: str = ""
    """The model's one-word answer, if it gives one: the class, "ok", the rating."""
    margin: float = np.inf
    """How far any value may move before `label` changes; infinite where that does not matter."""
    tolerance: float = 0.0
    """How many times the labels' drifts the values may be from the exact ones: 0 if computed at `exact`, 1 at `fast`,
    more where a run found them further off than stated."""
    fingerprint: str = ""
    """Identifies weights, preprocessing and options: equal fingerprints mean equal values."""
    notes: tuple[str, ...] = field(default=())
    """What a user should know about how this was computed ("EXIF orientation ignored", ...)."""
    twins: Twins = NO_TWINS
    """The image's near-duplicates, from a model that looks for them; they depend on the run and are never stored."""

    def __post_init__(self) -> None:
        values = np.ascontiguousarray(self.values, dtype=np.float32)
        if values.shape != (len(self.labels),):
            raise ValueError(f"{self.model} has {len(self.labels)} labels, but {values.shape} values")
        if values.flags.writeable:
            values = values.copy()
            values.flags.writeable = False
        object.__setattr__(self, "values", values)

    def __getitem__(self, label: str) -> float:
        """The value of a label. Raises UnknownName, with close matches."""
        return float(self.values[self.labels.index(label, self.model)])

    def drift(self, label: str) -> float:
        """How far the value of a label may be off; infinite for one without bounds, unless the values are exact."""
        return self.tolerance * self.labels.drift(self.labels.index(label, self.model)) if self.tolerance else 0.0

    @property
    def sure_word(self) -> bool:
        """Whether `label` would be the same if the values were exact."""
        return self.tolerance == 0 or self.margin > self.tolerance * self.labels.word_drift

    def top(self, count: int, group: str = "") -> list[Score]:
        """The largest values first, ties in label order, of one group if named. NaN is left out."""
        return self._ranked(self._members(group), count)

    def above(self, threshold: float, group: str = "") -> list[Score]:
        """All labels with a value of at least `threshold`, largest first, of one group if named."""
        members = self._members(group)
        return self._ranked(members[self.values[members] >= threshold])

    def _members(self, group: str) -> NDArray[np.intp]:
        return np.array(self.labels.members(group), dtype=np.intp) if group else np.arange(len(self.labels))

    def _ranked(self, members: NDArray[np.intp], count: int | None = None) -> list[Score]:
        members = members[~np.isnan(self.values[members])]
        order = members[np.argsort(-self.values[members], kind="stable")][:count]
        return [Score(self.labels.names[i], float(self.values[i])) for i in order]


@dataclass(frozen=True)
class Failure:
    """Takes the place of a prediction: the model could not judge this image."""

    model: str
    code: str
    """A `KeepersError.code`, or "model_failed"."""
    reason: str
    """One line for the user."""


OLD_TOLERANCE = 0.15
"""How far numbers of earlier versions may be off, as a share of their range: more than any group's stated drift."""


def restored(
    model: str, labels: Labels, values: Floats, label: str, margin: float, tolerance: float, fingerprint: str
) -> Prediction:
    """A prediction as it was stored.

    A tolerance between 0 and 1 is of a version that stated one number for all groups, for some of them too small: its
    numbers may be off by that share of their range, or by OLD_TOLERANCE if that is more.
    """
    if 0 < tolerance < 1:
        labels, tolerance = labels.without_drifts, max(tolerance, OLD_TOLERANCE)
    return Prediction(model, labels, values, label, margin, tolerance, fingerprint)


Answer = Prediction | Failure
Answers = Mapping[str, Answer]
"""By model id."""


def twins_of(answers: Answers) -> Twins:
    """The near-duplicates that one of the models found."""
    found = (answer.twins for answer in answers.values() if isinstance(answer, Prediction) and answer.twins.count)
    return next(found, NO_TWINS)


def no_name(_values: Floats) -> tuple[str, float]:
    """For models whose values are no answer in one word: scores, vectors, tags."""
    return "", np.inf


def argmax_label(labels: Labels, values: Floats, members: Iterable[int] | None = None) -> tuple[str, float]:
    """The label with the largest value among `members`, and the margin by which it leads (see Prediction.margin)."""
    chosen = list(range(len(labels)) if members is None else members)
    found = values[chosen]
    if np.isnan(found).any():
        return "", 0.0
    order = np.argsort(-found, kind="stable")
    lead = (found[order[0]] - found[order[1]]) / 2 if len(order) > 1 else np.inf
    return labels.names[chosen[int(order[0])]], float(lead)
