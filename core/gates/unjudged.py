"""What could not be judged, and why: the part of a verdict that nobody may guess from its text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import numpy as np

from ..errors import UNREADABLE, one_line
from ..prediction import Answer, Failure

Kind = Literal["missing", "failure", "not_a_number", "unreadable", "unasked"]
"""missing: a model's files are not here. failure: something broke that may not break the next time (out of memory,
damaged weights, a disk that cannot be read). not_a_number: a score or a pixel is NaN or infinite, or there is no word
where the gate reads one. unreadable: the file holds no picture that can be opened. unasked: the number was never asked
for, or was not kept."""
KINDS: tuple[Kind, ...] = ("missing", "failure", "not_a_number", "unreadable", "unasked")

_PASSING: tuple[Kind, ...] = ("missing", "failure", "unasked")
_MISSING = frozenset(("missing_weights", "download_failed"))
_DISK = frozenset(("io", "changed"))
"""Codes of files that may be readable the next time."""

_OF_MODELS: dict[Kind, str] = {
    "missing": "is not on this machine",
    "failure": "failed",
    "not_a_number": "gave no number",
    "unreadable": "could not be shown the image",
    "unasked": "was not asked",
}
_SHORT: dict[Kind, str] = {
    "missing": "a file is not on this machine",
    "failure": "something failed",
    "not_a_number": "the pixels are not all numbers",
    "unreadable": "the file cannot be read",
    "unasked": "nothing was asked",
}


@dataclass(frozen=True)
class Unjudged:
    """There is no number or word to compare, and no further answer will bring one."""

    model: str
    """The model that gave none, by id; empty where no model can judge the image."""
    kind: Kind
    reason: str
    """One line for the user."""
    label: str = ""
    """The label without a number; empty where it is not about one."""

    @property
    def short(self) -> str:
        """What happened, in a few words that are the same for all images it happened to."""
        return _SHORT[self.kind] if not self.model else f"{self.model} {_OF_MODELS[self.kind]}"

    @property
    def lasts(self) -> bool:
        """Whether it would be the same the next time; not so where a model was missing or failed."""
        return self.kind not in _PASSING


def failed(failure: Failure) -> Unjudged:
    """What a gate makes of a failure."""
    reason = one_line(f"{failure.model} could not be judged: {failure.reason}")
    return Unjudged(failure.model, kind_of(failure.code), reason)


def unanswered(answer: Answer) -> Unjudged | None:
    """Why an answer cannot be used as a whole, as captions use it; None if all its values are numbers."""
    if isinstance(answer, Failure):
        return failed(answer)
    if np.isfinite(answer.values).all():
        return None
    return Unjudged(answer.model, "not_a_number", one_line(f"{answer.model} gave values that are not numbers"))


def flawed(reason: str, code: str = "non_finite") -> Unjudged:
    """An image that no model can judge; `code` is that of an UnreadableImage, by default that of NaN in its pixels."""
    kind = kind_of(code if code in UNREADABLE else "corrupt")
    return Unjudged("", kind, one_line(reason))


def kind_of(code: str) -> Kind:
    """The kind that belongs to the code of an error or a failure."""
    if code in _MISSING:
        return "missing"
    if code == "non_finite":
        return "not_a_number"
    return "unreadable" if code in UNREADABLE - _DISK else "failure"


def as_table(unjudged: Unjudged) -> dict[str, str]:
    """One of them as JSON values; `from_tables` reads them back."""
    return {name: value for name, value in vars(unjudged).items() if value or name != "label"}


def from_tables(data: object) -> tuple[Unjudged, ...]:
    """What `as_table` wrote, from a list that may come from anywhere: entries of the wrong form are dropped."""
    rows = cast(list[object], data) if isinstance(data, list) else []
    return tuple(found for row in rows if (found := _from_table(row)))


def _from_table(row: object) -> Unjudged | None:
    table = cast(dict[object, object], row) if isinstance(row, dict) else {}
    texts = {name: text for name in ("model", "reason", "label") if isinstance(text := table.get(name, ""), str)}
    kind: Kind | None = next((one for one in KINDS if one == table.get("kind")), None)
    return Unjudged(kind=kind, **texts) if kind and len(texts) == 3 else None
