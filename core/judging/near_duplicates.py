"""Finds near-duplicates within a run: which earlier image looks the same.

The answer for an image depends on the images before it. So the store keeps predictions as they were before
`with_duplicate`, and every run fills in its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from ..pictures.phash import BITS, join_words
from ..prediction import Labels, Prediction

if TYPE_CHECKING:
    from numpy.typing import NDArray

HASH_GROUP = "hash"
"""The group of the labels that hold a perceptual hash, four words in order."""
DUPLICATE = "duplicate"
"""The label whose value depends on the run: the likeness of the nearest earlier image, 0 to 1."""
ALIKE = 1 - 6 / BITS
"""The likeness from which an image is a near-duplicate: at most 6 of 64 bits differ."""

EARLIER = " differ from "
"""Comes before the earlier image's name in the note on a near-duplicate."""


@cache
def _popcount() -> NDArray[np.uint8]:
    """The number of set bits of every 16-bit word."""
    return np.array([bin(word).count("1") for word in range(1 << 16)], dtype=np.uint8)


def count_bits(values: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """The number of set bits of each value."""
    if hasattr(np, "bitwise_count"):  # since numpy 2.0
        return np.bitwise_count(values)
    return _popcount()[values.view(np.uint16).reshape(*values.shape, 4)].sum(axis=-1, dtype=np.uint8)


@dataclass
class Run:
    """The hashes of the images seen so far in one run, oldest first.

    A new one is compared with all at once, which takes a millisecond or two for 100,000 images, so there is no index.
    """

    _hashes: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(256, dtype=np.uint64))
    _names: list[str] = field(default_factory=list[str])
    _places: dict[str, int] = field(default_factory=dict[str, int])

    def __len__(self) -> int:
        return len(self._names)

    def nearest(self, bits: np.uint64, name: str = "") -> tuple[int, str] | None:
        """The distance in bits to the most similar image, and its name; the earliest if several are equally similar.

        An image that the run already knows by `name` is compared only with those before it. None if there are none.
        """
        end = self._places.get(name, len(self))
        if end == 0:
            return None
        distances = count_bits(self._hashes[:end] ^ bits)
        place = int(np.argmin(distances))
        return int(distances[place]), self._names[place]

    def remember(self, bits: np.uint64, name: str) -> None:
        """Add an image to the run; one that is seen again keeps its place."""
        if name not in self._places:
            if len(self) == len(self._hashes):
                self._hashes = np.concatenate([self._hashes, np.zeros_like(self._hashes)])
            self._places[name] = len(self._names)
            self._names.append(name)
        self._hashes[self._places[name]] = bits


def has_hash(labels: Labels) -> bool:
    """Whether predictions with these labels can be compared by `with_duplicate`."""
    return DUPLICATE in labels and len(labels.members(HASH_GROUP)) == 4


def with_duplicate(prediction: Prediction, run: Run, name: str) -> Prediction:
    """The prediction with its `duplicate` value for this run; the run remembers the image under `name`.

    The value is 1 - distance / 64 to the nearest earlier image, and 0 for the first one. From `ALIKE` on the label
    "ok" becomes "duplicate" and the value "ok" 0, and a note names the earlier image. Pictures with another label
    (black, noise, ...) are neither compared nor remembered: failed pictures look alike without being duplicates.
    Calling it again with the same name gives the same answer. Predictions without a hash are returned unchanged.
    """
    if not has_hash(prediction.labels) or prediction.label != "ok":
        return prediction
    bits = join_words(prediction.values[list(prediction.labels.members(HASH_GROUP))])
    found = run.nearest(bits, name)
    run.remember(bits, name)
    return prediction if found is None else with_known_duplicate(prediction, *found)


def with_known_duplicate(prediction: Prediction, distance: int, earlier: str) -> Prediction:
    """Like `with_duplicate`, for a nearest earlier image that is already known, by its distance in bits and name."""
    if not has_hash(prediction.labels) or prediction.label != "ok":
        return prediction
    likeness, values = 1 - distance / BITS, prediction.values.copy()
    values[prediction.labels.index(DUPLICATE)] = likeness
    if likeness < ALIKE:
        return replace(prediction, values=values)
    values[prediction.labels.index("ok")] = 0.0
    note = f"{distance} of {BITS} bits{EARLIER}{earlier}"
    return replace(prediction, values=values, label=DUPLICATE, notes=(*prediction.notes, note))
