"""Counts the images that could not be judged, for the end of a command: a line for each cause, not for each image."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ..core.gates.gate import Verdict
from ..core.gates.unjudged import Unjudged
from .console import console
from .exit_codes import escaped


@dataclass
class NotJudged:
    """How many images could not be judged, and by which causes. It is false while there are none."""

    images: int = 0
    causes: Counter[str] = field(default_factory=Counter[str])
    """The number of images of each cause; an image may have several."""
    _first: dict[str, Unjudged] = field(default_factory=dict[str, Unjudged])

    def __bool__(self) -> bool:
        return self.images > 0

    @property
    def counts(self) -> dict[str, int]:
        """For the summary of a page."""
        return {"could not be judged": self.images} if self else {}

    def add(self, verdict: Verdict) -> bool:
        """Count an image if it was not judged; whether one of its causes is new and worth a line of its own."""
        if verdict.judged:
            return False
        self.images += 1
        fresh = [one for one in verdict.unjudged if one.short not in self._first]
        self._first |= {one.short: one for one in reversed(fresh)}
        self.causes.update({one.short for one in verdict.unjudged})
        return any(one.kind != "missing" for one in fresh)

    def show(self, told: str = "could not be judged and are in review") -> None:
        """Print how many there are, and a line for each cause."""
        if not self:
            return
        console.print(f"  of these, {self.images:,} {told}:")
        for cause, count in self.causes.most_common():
            console.print(f"    {count:,}  {escaped(self._line(cause))}", soft_wrap=True)

    def _line(self, cause: str) -> str:
        """The cause, and how to get a missing model, or the first image's reason as an example of a failure."""
        first = self._first[cause]
        if first.kind == "missing":
            return f"{cause}: {how_to_get(first.model, first.reason)}" if first.model else cause
        return f"{cause}, as in: {first.reason}" if first.kind in ("failure", "unasked") else cause


def how_to_get(model: str, reason: str) -> str:
    """A command where the reason names it; else the reason, as a model that is made here is not to be fetched."""
    command = f"keepers fetch {model}"
    return command if reason.rstrip(".").endswith(command) else reason.removeprefix(f"{model} could not be judged: ")
