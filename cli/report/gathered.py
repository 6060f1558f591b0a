"""A report without a scan: what the user asks for, and what goes onto the page."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...core.pictures.walk import Search
from ..not_judged import NotJudged
from ..noted import Noted
from ..pages.rows import Header, Row, Shown, ShownModel, Unread


@dataclass(frozen=True)
class Wish:
    """What the user asks for."""

    folder: Path
    """Where the page will be: links start there."""
    limit: int = 0
    """The most images shown; 0 means all."""
    only: Shown | None = None
    pictures: bool = True
    """Whether thumbnails are made for images that have none."""
    search: Search = field(default_factory=Search)
    """How folders are looked through."""


@dataclass(frozen=True)
class Gathered:
    """What goes onto the page. Counts cover all images, including those not shown."""

    title: str
    gate: str
    rows: Sequence[Row]
    totals: Mapping[Shown, int]
    note: str
    """What is left out, as a sentence; empty if nothing is."""
    models: Sequence[ShownModel] = ()
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    unread: Sequence[Unread] = ()
    """Of the images shown, those that could not be read."""
    missing: Sequence[Unread] = ()
    """What was named but could not be looked at."""
    not_judged: NotJudged = field(default_factory=NotJudged)
    """Of all images that could be read."""
    noted: Noted = field(default_factory=Noted)
    """Of the images shown."""

    @property
    def complete(self) -> bool:
        """Whether everything that was named could be looked at, read and judged."""
        return not (self.missing or self.not_judged or self.totals.get("error"))

    def header(self) -> Header:
        """The page's header."""
        from ... import __version__

        return Header(
            title=self.title,
            gate=self.gate,
            models=self.models,
            counts={
                **self.not_judged.counts,
                **{name: count for name, count in self.counts.items() if count},
                **self.noted.counts,
            },
            version=__version__,
            date=time.strftime("%Y-%m-%dT%H:%M:%S"),
            unread=[*self.unread, *self.missing],
            totals=self.totals,
            note=self.note,
        )


def unread(row: Row, code: str) -> Unread:
    """An image that could not be read, for a list that already names it."""
    return Unread(row.path, code, row.reason.removeprefix("review: ").removeprefix(f"{row.path}: "))


def passing(count: int) -> str:
    """That so many verdicts are not final, as a sentence; empty for none."""
    if count == 1:
        return "1 verdict is not final: the next scan looks at it again."
    return f"{count:,} verdicts are not final: the next scan looks at them again." if count else ""
