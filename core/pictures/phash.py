"""The fingerprint of a picture: what near-duplicates mostly share and other pictures do not.

It has three parts. The first is the DCT hash of Zauner, "Implementation and Benchmarking of Perceptual Image Hash
Functions" (2010), section 3.2.1: the picture is shrunk to 32x32 grey values, and each of 64 bits says whether one of
its 64 lowest frequencies, not counting the constant ones, is above their median. The second goes on to finer
detail: the signs of the 256 lowest frequencies, by which two cards of one layout with other words differ. The third is
the mean colour of 6x6 cells, by which a red and a blue dress differ that are equal in grey.
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
"""The hash is passed around as 4 words of 16 bits, because float32 holds those exactly."""
_WORD = BITS // WORDS
DETAIL_SIDE = 16
DETAIL_WORDS = DETAIL_SIDE**2 // _WORD
CELLS = 6
COLOUR_WORDS = CELLS**2
"""A word for each cell: Cb in its upper byte, Cr in its lower one."""
FINGERPRINT_WORDS = WORDS + DETAIL_WORDS + COLOUR_WORDS
_NO_COLOUR = 128 << 8 | 128


def _cosines(first: int, last: int) -> Floats:
    """Rows `first` to `last` of the orthonormal DCT-II of SIDE points."""
    frequency = np.arange(first, last)[:, None]
    angles = np.pi / SIDE * (np.arange(SIDE) + 0.5) * frequency
    return np.cos(angles).astype(np.float32)


_BASIS = _cosines(1, 9)
"""Frequencies 1 to 8 on both axes; 0 would only hold the mean brightness of rows and columns."""
_FINE = _cosines(1, 1 + DETAIL_SIDE)


def fingerprint_words(grey: Image.Image, colour: Image.Image) -> Floats:
    """[FINGERPRINT_WORDS] words from 0 to 65535: hash, detail, colours.

    `grey` is the picture in mode L, `colour` the picture in mode RGB or L, both in any size from 32x32 on.
    """
    return np.concatenate([hash_words(grey), detail_words(grey), colour_words(colour)])


def hash_words(grey: Image.Image) -> Floats:
    """The perceptual hash of a picture in mode L, as [4] words from 0 to 65535, the first holding the first bits."""
    values = _shrunk(grey)
    frequencies = (_BASIS @ values @ _BASIS.T).ravel()
    return _words(frequencies > np.median(frequencies))


def detail_words(grey: Image.Image) -> Floats:
    """The signs of the lowest frequencies of a picture in mode L, as [DETAIL_WORDS] words from 0 to 65535."""
    return _words((_FINE @ _shrunk(grey) @ _FINE.T).ravel() > 0)


def colour_words(picture: Image.Image) -> Floats:
    """The mean Cb and Cr of each cell, row by row, as [COLOUR_WORDS] words; grey pictures have the neutral ones."""
    if picture.mode == "L":
        return np.full(COLOUR_WORDS, _NO_COLOUR, dtype=np.float32)
    cells = picture.resize((CELLS, CELLS), Image.Resampling.BOX).convert("YCbCr")
    values = np.asarray(cells, dtype=np.float32).reshape(COLOUR_WORDS, 3)
    return values[:, 1] * 256 + values[:, 2]


def _shrunk(grey: Image.Image) -> Floats:
    return np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float32)


def _words(bits: NDArray[np.bool_]) -> Floats:
    weights = 2.0 ** np.arange(_WORD - 1, -1, -1)
    return (bits.reshape(-1, _WORD) @ weights).astype(np.float32)


def join_words(words: NDArray[np.float32]) -> np.uint64:
    """The 64 bits of four 16-bit words. Raises ValueError for anything that is not such a word."""
    if words.shape != (WORDS,) or not bool(np.all((words >= 0) & (words < 2**_WORD) & (words == np.floor(words)))):
        raise ValueError(f"a perceptual hash is {WORDS} whole numbers from 0 to {2**_WORD - 1}, not {words.tolist()}")
    joined = 0
    for word in words.tolist():
        joined = joined << _WORD | int(word)
    return np.uint64(joined)
