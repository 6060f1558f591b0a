"""The user's marks on images: keep or reject, with source and time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Mark = Literal["keep", "reject"]
MARKS: tuple[Mark, ...] = ("keep", "reject")
LEAST = 20
"""Marks of each kind that are needed to learn from them or to measure anything."""


@dataclass(frozen=True)
class UserMark:
    """One mark that the user gave one image. All are kept; the last one counts."""

    content: str
    """sha256 of the image file's bytes, hex: a mark stays with its image wherever the file goes."""
    mark: Mark
    source: str
    """"review", "folder rejected", "file labels.csv", …"""
    time: float
    """Seconds since 1970."""
    id: int = 0
    """The store's number for it; 0 before it is stored."""


@dataclass(frozen=True)
class Count:
    """How many images have each mark."""

    keep: int = 0
    reject: int = 0

    @property
    def all(self) -> int:
        """Both kinds together."""
        return self.keep + self.reject

    @property
    def enough(self) -> bool:
        """Whether there are enough of each kind to learn from."""
        return min(self.keep, self.reject) >= LEAST

    def missing(self) -> str:
        """What is still needed, for the user; empty when there is enough."""
        short = [(LEAST - n, f"{mark}s") for mark, n in (("keep", self.keep), ("reject", self.reject)) if n < LEAST]
        if not short:
            return ""
        needed = " and ".join(f"{n} more {what}" for n, what in short)
        return (
            f"There are {self.keep} keeps and {self.reject} rejects, and at least {LEAST} of each are needed: "
            f"{needed}. Give them with: keepers review FOLDER"
        )


def count(labels: Iterable[UserMark]) -> Count:
    """How many of each kind there are."""
    marks = [label.mark for label in labels]
    return Count(marks.count("keep"), marks.count("reject"))


@dataclass(frozen=True)
class Taken:
    """What adding marks did."""

    new: int = 0
    same: int = 0
    """Images that already had this mark; nothing was written for them."""
    changed: tuple[str, ...] = ()
    """Images that had another mark before, in the store or among those given; the last one counts."""


def settle(given: Iterable[UserMark], known: Mapping[str, UserMark]) -> tuple[list[UserMark], Taken]:
    """Which of the marks given, weakest authority first, are to be written, and what that changes."""
    last: dict[str, UserMark] = {}
    changed: dict[str, None] = {}
    for label in given:
        before = last.get(label.content) or known.get(label.content)
        if before is not None and before.mark != label.mark:
            changed[label.content] = None
        last[label.content] = label
    fresh = [label for label in last.values() if _mark(known.get(label.content)) != label.mark]
    new = sum(label.content not in known for label in fresh)
    return fresh, Taken(new, len(last) - len(fresh), tuple(changed))


def _mark(label: UserMark | None) -> str:
    return label.mark if label else ""
