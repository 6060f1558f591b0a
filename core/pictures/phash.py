"""The perceptual hash of a picture: 64 bits on which near-duplicates mostly agree and other pictures do not.

The DCT hash of Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010), section 3.2.1:
the picture is shrunk to 32x32 grey values, and each bit says whether one of its 64 lowest frequencies, not counting the
constant ones, is above their median. The distance of two hashes is the number of bits in which they differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ..prediction import Floats

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 32
BITS = 64
WORDS = 4
"""A hash is passed around as 4 words of 16 bits, because float32 holds those exactly."""
_WORD = BITS // WORDS


def _cosines(first: int, last: int) -> Floats:
    """Rows `first` to `last` of the orthonormal DCT-II of SIDE points."""
    frequency = np.arange(first, last)[:, None]
    angles = np.pi / SIDE * (np.arange(SIDE) + 0.5) * frequency
    return np.cos(angles).astype(np.float32)


_BASIS = _cosines(1, 9)
"""Frequencies 1 to 8 on both axes; 0 would only hold the mean brightness of rows and columns."""


def hash_words(grey: Image.Image) -> Floats:
    """The perceptual hash of a picture in mode L, as [4] words from 0 to 65535, the first holding the first bits."""
    small = grey.resize((SIDE, SIDE), Image.Resampling.BOX)
    values = np.asarray(small, dtype=np.float32)
    frequencies = (_BASIS @ values @ _BASIS.T).ravel()
    bits = frequencies > np.median(frequencies)
    weights = 2.0 ** np.arange(_WORD - 1, -1, -1)
    return (bits.reshape(WORDS, _WORD) @ weights).astype(np.float32)


def join_words(words: NDArray[np.float32]) -> np.uint64:
    """The 64 bits of four 16-bit words. Raises ValueError for anything that is not such a word."""
    if words.shape != (WORDS,) or not bool(np.all((words >= 0) & (words < 2**_WORD) & (words == np.floor(words)))):
        raise ValueError(f"a perceptual hash is {WORDS} whole numbers from 0 to {2**_WORD - 1}, not {words.tolist()}")
    joined = 0
    for word in words.tolist():
        joined = joined << _WORD | int(word)
    return np.uint64(joined)
