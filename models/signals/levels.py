"""Failures that show in the brightness levels alone: black, blank and solid frames, and heavy clipping."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

IGNORED = 1e-5
"""The share of pixels left out as outliers: 15 of a picture of 1024x1536."""
END = 4
"""Levels this close to 0 or 255 count as clipped: compression moves them a little."""


class Levels(NamedTuple):
    """Levels go from 0 to 255."""

    brightest: float
    """The highest level of any channel, without `IGNORED`."""
    darkest: float
    """The lowest level of any channel, without `IGNORED`."""
    spread: float
    """The widest channel's highest minus lowest level, without `IGNORED`."""


def measure_levels(halved: Image.Image) -> Levels:
    """The extremes of a picture in mode L or RGB that was averaged over 2x2 pixels.

    Averaging removes the grain of a solid frame; a star or a line of one pixel stays well visible.
    """
    counts = np.asarray(halved.histogram(), dtype=np.int64).reshape(-1, 256)
    ignored = IGNORED * halved.width * halved.height
    low = (np.cumsum(counts, axis=1) > ignored).argmax(axis=1)
    high = 255 - (np.cumsum(counts[:, ::-1], axis=1) > ignored).argmax(axis=1)
    return Levels(float(high.max()), float(low.min()), float((high - low).max()))


def measure_clipping(small: Image.Image) -> float:
    """How much of a picture is burnt out: the share of all channels' values at an end of the scale.

    0 where clipping is often intended:
    - fewer than a fifth of the values are at one of the ends: night, a white ground, silhouettes;
    - channels clip together in all but 5 % of the values: ink on paper, and all pictures without colour;
    - the values between the ends have less than 6.5 bits of entropy: flat graphics and pixel art.
    """
    if small.mode != "RGB":
        return 0.0
    pixels = np.asarray(small).reshape(-1, 3)
    high, low = pixels >= 255 - END, pixels <= END
    clipped = high | low
    share = float(clipped.mean())
    if min(float(high.mean()), float(low.mean())) < 0.2 or share - float(clipped.all(axis=1).mean()) < 0.05:
        return 0.0
    return share if shades(pixels[~clipped]) >= 6.5 else 0.0


def shades(levels: NDArray[np.uint8]) -> float:
    """The Shannon entropy of the levels, in bits; 8 when all 256 occur equally often."""
    counts = np.bincount(levels.ravel(), minlength=256)
    total = int(counts.sum())
    if total == 0:
        return 0.0
    shares = counts[counts > 0] / total
    return float(-(shares * np.log2(shares)).sum())
