"""Near-duplicates within a run: which image is kept, and what that means for the others.

The answer for an image depends on the other images. So the store keeps predictions as they were before
`with_duplicate`, and every run fills in its own. What a run knows of the others is a `Run`, in one of two kinds:
`Stream`, for images that come one by one, and `Settled`, for a set that was compared as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, TypeGuard

import numpy as np

from ..pictures.phash import BITS, FINGERPRINT_WORDS
from ..prediction import Labels, Prediction, Twins
from .alike import ALIKE, Kept, Places, Words, keep_best
from .better import KeepDuplicate, Merits

if TYPE_CHECKING:
    from numpy.typing import NDArray

HASH_GROUP = "hash"
"""The group of the labels that hold a picture's fingerprint, as words in order."""
DUPLICATE = "duplicate"
"""The label whose value depends on the run: the likeness to the image that is kept instead, 0 to 1."""
NAMED = 20
"""Of a group, an image that is not kept names at most so many others; the kept one names `KEPT_NAMES`."""
KEPT_NAMES = 1000


@dataclass(frozen=True)
class Twin:
    """What a run says of an image that has near-duplicates."""

    distance: int
    """In how many of 64 bits it differs from the kept one; 0 for that itself."""
    twins: Twins


class Run(Protocol):
    """What a run knows of near-duplicates."""

    def twin(self, words: Words, name: str) -> Twin | None:
        """The image's place among its near-duplicates; None if it has none. `words` is [1, FINGERPRINT_WORDS]."""
        ...


@dataclass
class Stream:
    """A run whose images come one by one: the first of a group is kept, as the later ones cannot be known."""

    _kept: Kept = field(default_factory=Kept)
    _names: list[str] = field(default_factory=list[str])
    _seen: dict[str, Twin | None] = field(default_factory=dict[str, "Twin | None"])

    def __len__(self) -> int:
        return len(self._seen)

    def twin(self, words: Words, name: str) -> Twin | None:
        """As `Run.twin`; an image that is seen again gets the same answer."""
        if name not in self._seen:
            (place,), (distance,) = self._kept.nearest(words)
            if place < 0:
                self._kept.add(words)
                self._names.append(name)
            found = self._names[int(place)] if place >= 0 else ""
            self._seen[name] = Twin(int(distance), Twins(found, (found,), 1)) if found else None
        return self._seen[name]


@dataclass(frozen=True)
class Settled:
    """A run that was compared as a whole."""

    found: Mapping[str, Twin]
    """By name, the images that have near-duplicates."""

    def twin(self, words: Words, name: str) -> Twin | None:  # noqa: ARG002 (what it looks like is known already)
        """As `Run.twin`."""
        return self.found.get(name)


Numbers = Callable[[Sequence[int]], "NDArray[np.float64]"]
"""From the places of images to what the gate reads of them, larger is better; NaN where nobody knows."""


@dataclass(frozen=True)
class Members:
    """A group of near-duplicates: their places in a list, the kept one first, and the distances to it."""

    places: tuple[int, ...]
    distances: tuple[int, ...]

    def twins(self, names: Sequence[str]) -> list[Twin]:
        """What each member is told. `names` are theirs, in order."""
        kept, count, few = names[0], len(names) - 1, list(names[: NAMED + 1])
        told = [Twin(0, Twins("", tuple(names[1 : KEPT_NAMES + 1]), count))]
        for place in range(1, len(names)):
            others = few[:place] + few[place + 1 :]
            told.append(Twin(self.distances[place], Twins(kept, tuple(others[:NAMED]), count)))
        return told


def settle(
    names: Sequence[str], words: Words, merits: Merits, keep: KeepDuplicate = "largest", numbers: Numbers | None = None
) -> Settled:
    """Compare a set as a whole. `words` and `merits` have an entry for each name, in the order of the list."""
    found: dict[str, Twin] = {}
    for members in settle_places(words, merits, keep, numbers):
        called = [names[place] for place in members.places]
        found |= zip(called, members.twins(called), strict=True)
    return Settled(found)


def settle_places(
    words: Words, merits: Merits, keep: KeepDuplicate = "largest", numbers: Numbers | None = None
) -> list[Members]:
    """The groups of near-duplicates in a list.

    With "best", the groups are those of "largest"; in each, the largest of `numbers` comes first. They are only asked
    of images that have near-duplicates.
    """
    groups = _groups(words, merits.order(keep))
    return _best_first(groups, words, numbers) if keep == "best" and numbers and groups else groups


def _groups(words: Words, order: Places) -> list[Members]:
    """Groups of at least two."""
    stands, distances = keep_best(words[order])
    members = np.flatnonzero(np.bincount(stands, minlength=len(order))[stands] > 1)
    groups: dict[int, tuple[list[int], list[int]]] = {}
    for place in members.tolist():
        places, bits = groups.setdefault(int(stands[place]), ([], []))
        places.append(int(order[place]))
        bits.append(int(distances[place]))
    return [Members(tuple(places), tuple(bits)) for places, bits in groups.values()]


def _best_first(groups: Sequence[Members], words: Words, numbers: Numbers) -> list[Members]:
    """The groups with the largest number first; who does not resemble that one is kept as well, or forms a group."""
    every = [place for members in groups for place in members.places]
    number = dict(zip(every, numbers(every).tolist(), strict=True))
    found: list[Members] = []
    for members in groups:
        ranked = sorted(members.places, key=lambda place: math.inf if math.isnan(number[place]) else -number[place])
        inner = _groups(words[ranked], np.arange(len(ranked)))
        found += [Members(tuple(ranked[place] for place in each.places), each.distances) for each in inner]
    return found


def has_hash(labels: Labels) -> bool:
    """Whether predictions with these labels can be compared by `with_duplicate`."""
    return DUPLICATE in labels and len(labels.members(HASH_GROUP)) == FINGERPRINT_WORDS


def comparable(prediction: object) -> TypeGuard[Prediction]:
    """Whether an answer takes part in the search: failed pictures look alike without being duplicates.

    Nor does one without its fingerprint: a record in a file holds no more than some of the numbers.
    """
    if not (isinstance(prediction, Prediction) and has_hash(prediction.labels) and prediction.label == "ok"):
        return False
    return bool(np.isfinite(prediction.values[list(prediction.labels.members(HASH_GROUP))]).all())


def fingerprint(prediction: Prediction) -> Words:
    """[1, FINGERPRINT_WORDS]: the fingerprint in a comparable prediction."""
    return words_in(prediction.values[None], prediction.labels)


def words_in(values: NDArray[np.float32], labels: Labels) -> Words:
    """[N, FINGERPRINT_WORDS]: the fingerprints in the values [N, len(labels)] of predictions that have a hash."""
    return np.ascontiguousarray(values[:, list(labels.members(HASH_GROUP))].astype(np.uint16))


def with_duplicate(prediction: Prediction, run: Run, name: str) -> Prediction:
    """The prediction with what the run knows of the image, which it calls `name`.

    For an image that is not kept, "duplicate" is 1 - distance / 64 to the kept one, which is at least `ALIKE`, the
    label "ok" becomes "duplicate", the value "ok" becomes 0, and a note names the kept image. For all others
    "duplicate" is 0. `twins` names the others of its group. Pictures with another label (black, noise, ...) are not
    compared: failed pictures look alike without being duplicates. Predictions without a hash stay as they are.
    """
    if not comparable(prediction):
        return prediction
    found = run.twin(fingerprint(prediction), name)
    return with_known_twin(prediction, found) if found else prediction


def with_known_twin(prediction: Prediction, twin: Twin) -> Prediction:
    """Like `with_duplicate`, where the image's place among its near-duplicates is known."""
    if prediction.label != "ok" or DUPLICATE not in prediction.labels:
        return prediction
    if not twin.twins.kept:
        return replace(prediction, twins=twin.twins)
    values = prediction.values.copy()
    values[prediction.labels.index(DUPLICATE)] = 1 - twin.distance / BITS
    values[prediction.labels.index("ok")] = 0.0
    note = f"{twin.distance} of {BITS} bits differ from {twin.twins.kept}"
    return replace(prediction, values=values, label=DUPLICATE, notes=(*prediction.notes, note), twins=twin.twins)


__all__ = [
    "ALIKE",
    "DUPLICATE",
    "HASH_GROUP",
    "Members",
    "Run",
    "Settled",
    "Stream",
    "Twin",
    "comparable",
    "fingerprint",
    "has_hash",
    "settle",
    "settle_places",
    "with_duplicate",
    "with_known_twin",
    "words_in",
]
