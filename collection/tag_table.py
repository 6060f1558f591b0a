"""How often tags occur in the captions of a folder, and which occur together."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import numpy as np

from ..core.captions.text import normal

_SAMPLE = 4096
"""Captions whose pairs of tags are counted at a time: it bounds the memory, not the result."""


class TagCount(NamedTuple):
    """One tag of a folder."""

    tag: str
    """In its most frequent spelling."""
    images: int
    share: float
    """Of all images with a caption, in [0, 1]."""


class TagPair(NamedTuple):
    """Two tags that occur in the same captions."""

    first: str
    second: str
    images: int
    overlap: float
    """Images with both over images with either, in [0, 1]."""
    lift: float
    """How much more often they occur together than by chance; 1 means chance."""


@dataclass
class TagTable:
    """Counts tags, caption by caption. A tag counts once in an image, however it is spelled."""

    images: int = 0
    empty: int = 0
    """Captions without any tag; they count as images."""
    _counts: Counter[str] = field(default_factory=Counter[str])
    _spellings: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])
    _captions: list[tuple[int, ...]] = field(default_factory=list[tuple[int, ...]])
    _numbers: dict[str, int] = field(default_factory=dict[str, int])

    def add(self, tags: Iterable[str]) -> None:
        """Counts the tags of one image."""
        spelled = {normal(tag): tag for tag in tags}
        spelled.pop("", None)
        self.images += 1
        self.empty += not spelled
        for key, tag in spelled.items():
            self._counts[key] += 1
            self._spellings.setdefault(key, Counter())[tag] += 1
            self._numbers.setdefault(key, len(self._numbers))
        self._captions.append(tuple(self._numbers[key] for key in spelled))

    def __len__(self) -> int:
        return len(self._counts)

    def counts(self, most: int = 0) -> list[TagCount]:
        """The tags, most frequent first, then alphabetically; at most `most` of them unless 0."""
        ranked = sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))
        return [TagCount(self._spelling(key), count, count / self.images) for key, count in ranked[: most or None]]

    def pairs(self, most: int = 50, among: int = 300) -> list[TagPair]:
        """The pairs that occur together most often, among the `among` most frequent tags."""
        ranked = sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))[:among]
        together = self._together([self._numbers[key] for key, _ in ranked])
        rows, columns = np.triu_indices(len(ranked), k=1)
        both = together[rows, columns]
        order = np.argsort(-both, kind="stable")[:most]
        chosen = ((ranked[rows[i]], ranked[columns[i]], int(both[i])) for i in order.tolist() if both[i] > 0)
        return [self._pair(a, b, count) for a, b, count in chosen]

    def _together(self, numbers: Sequence[int]) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
        """[len(numbers)] squared: in how many captions two tags occur together."""
        places = np.full(len(self._numbers), -1, dtype=np.int64)
        places[list(numbers)] = np.arange(len(numbers))
        total = np.zeros((len(numbers), len(numbers)), dtype=np.int64)
        for start in range(0, len(self._captions), _SAMPLE):
            captions = self._captions[start : start + _SAMPLE]
            present = np.zeros((len(captions), len(numbers)), dtype=np.float32)
            for row, caption in enumerate(captions):
                found = places[list(caption)]
                present[row, found[found >= 0]] = 1.0
            total += (present.T @ present).astype(np.int64)  # exact: at most _SAMPLE, far below 2**24
        return total

    def _pair(self, first: tuple[str, int], second: tuple[str, int], both: int) -> TagPair:
        (a, count_a), (b, count_b) = first, second
        lift = both * self.images / (count_a * count_b)
        return TagPair(self._spelling(a), self._spelling(b), both, both / (count_a + count_b - both), lift)

    def _spelling(self, key: str) -> str:
        return self._spellings[key].most_common(1)[0][0]


def tags_of_text(text: str) -> list[str]:
    """The tags of a caption in any style: JSON with its tags, else separated by commas and lines, else by spaces.

    Text without commas is split at spaces only if it has underscores; otherwise it is one tag or a sentence.
    """
    stripped = text.strip().removeprefix("\ufeff")
    if stripped.startswith("{"):
        found = _tags_of_json(stripped)
        if found is not None:
            return found
    if "," not in stripped and "\n" not in stripped and "_" in stripped:
        return stripped.split()
    return [part for line in stripped.splitlines() for part in (piece.strip() for piece in line.split(",")) if part]


def _tags_of_json(text: str) -> list[str] | None:
    try:
        content: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    tags: object = cast("dict[str, object]", content).get("tags")
    if isinstance(tags, dict):
        return [str(tag) for tag in cast("dict[object, object]", tags)]
    if isinstance(tags, list):
        return [str(tag) for tag in cast("list[object]", tags)]
    return None
