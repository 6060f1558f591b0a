"""Splits images into training, validation and test, by content, and never separates related images.

The part of an image depends only on contents, not on names or their order. So renaming files does not change the split,
and no test image was seen in training in another form.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...collection.union_find import UnionFind
from ...core.errors import KeepersError
from ...core.judging.alike import ALIKE, count_bits
from ...core.pictures.phash import BITS
from .collect import Collected, Sample

Places = NDArray[np.intp]
NEAR = round((1 - ALIKE) * BITS)
"""The most bits in which the hashes of near-duplicates differ."""
BLOCK = 512


@dataclass(frozen=True)
class Split:
    """Positions of samples, each part sorted by content."""

    train: Places
    validation: Places
    test: Places
    groups: int
    """The number of groups of related images."""
    largest: int
    """The number of images in the largest group."""
    across: int
    """The number of groups with images of several classes."""

    def portion(self, collected: Collected, share: float) -> Split:
        """A split with fewer training images: `share` of all images train and validate; the test images stay the same.

        Smaller portions are subsets of larger ones. Raises KeepersError if too few are left to train on.
        """
        total = len(collected.samples)
        wanted = round(share * total) - len(self.validation)
        if wanted < len(collected.classes):
            raise KeepersError(f"A share of {share:g} of {total} images leaves too few to train on.")
        kept = self.train if wanted >= len(self.train) else self._thinned(collected, wanted)
        return Split(kept, self.validation, self.test, self.groups, self.largest, self.across)

    def _thinned(self, collected: Collected, wanted: int) -> Places:
        """The first images of each class, in proportion, so that no class runs out first."""
        labels = np.array([collected.samples[place].label for place in self.train])
        rank = np.empty(len(labels))
        for label in range(len(collected.classes)):
            mine = np.flatnonzero(labels == label)
            rank[mine] = (np.arange(len(mine)) + 0.5) / max(1, len(mine))
        chosen = np.sort(np.argsort(rank, kind="stable")[:wanted])
        return self.train[chosen]


def related(samples: Sequence[Sample]) -> NDArray[np.intp]:
    """[N]: the same number for images that are linked, directly or through others, by likeness or by a shared id."""
    joined = UnionFind(len(samples))
    by_ident: defaultdict[str, list[int]] = defaultdict(list)
    for place, sample in enumerate(samples):
        if sample.ident:
            by_ident[sample.ident].append(place)
    for places in by_ident.values():
        for place in places[1:]:
            joined.join(places[0], place)
    bits = np.array([sample.bits for sample in samples], dtype=np.uint64)
    for start in range(0, len(bits), BLOCK):
        distances = count_bits(bits[start : start + BLOCK, None] ^ bits[None, start:])
        for row, column in np.argwhere(distances <= NEAR):
            joined.join(start + int(row), start + int(column))
    return np.array([joined.root(place) for place in range(len(samples))], dtype=np.intp)


def split(collected: Collected, *, seed: int = 0, validation: float = 0.1, test: float = 0.1) -> Split:
    """Splits every class in the same proportions, as far as groups allow; each part gets an image of each class.

    Raises KeepersError if a class has too few unrelated images.
    """
    samples = collected.samples
    roots = related(samples)
    members: defaultdict[int, list[int]] = defaultdict(list)
    for place, root in enumerate(roots):
        members[int(root)].append(place)
    order = sorted(members.values(), key=lambda places: _key(samples, places, seed))
    totals = np.array(collected.counts())
    parts: dict[str, list[int]] = {"test": [], "validation": [], "train": []}
    wanted = {"test": _at_least_one(totals, test), "validation": _at_least_one(totals, validation)}
    for places in order:
        count = np.bincount([samples[place].label for place in places], minlength=len(totals))
        fits = (name for name in ("test", "validation") if _fits(wanted[name], count))
        name = next(fits, "train")
        if name != "train":
            wanted[name] = wanted[name] - count
        parts[name] += places
    _require_all(collected, parts)
    sizes = [len(places) for places in order]
    across = sum(len({samples[place].label for place in places}) > 1 for places in order)
    by_content = lambda places: np.array(sorted(places, key=lambda p: samples[p].content), dtype=np.intp)  # noqa: E731
    chosen = (by_content(parts[name]) for name in ("train", "validation", "test"))
    return Split(*chosen, groups=len(order), largest=max(sizes), across=across)


def _key(samples: Sequence[Sample], places: Sequence[int], seed: int) -> str:
    first = min(samples[place].content for place in places)
    return hashlib.sha256(f"{seed} {first}".encode()).hexdigest()


def _at_least_one(totals: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    return np.maximum(1, np.round(totals * share)).astype(np.int64)


def _fits(wanted: NDArray[np.int64], count: NDArray[np.int64]) -> bool:
    """Whether a group brings a part nearer to its target; it must overshoot by less than it fills."""
    useful, over = np.minimum(wanted, count).clip(0).sum(), (count - wanted).clip(0).sum()
    return bool(useful > over)


def _require_all(collected: Collected, parts: dict[str, list[int]]) -> None:
    for part, places in parts.items():
        found = {collected.samples[place].label for place in places}
        for label, name in enumerate(collected.classes):
            if label not in found:
                raise KeepersError(
                    f"Class {name!r} has too few unrelated images: none is left for {part}. Near-duplicates and images "
                    "with the same number at the end of their names stay together. Add other images."
                )
