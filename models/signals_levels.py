"""Failures that show in the brightness levels alone: black, blank and solid frames, and mass clipping."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

IGNORED = 1e-5
"""The share of pixels that may be anything: 15 of a picture of 1024x1536."""
END = 4
"""Levels this near to 0 or 255 count as clipped: compression moves them a little."""


class Levels(NamedTuple):
    """Levels go from 0 to 255."""

    brightest: float
    """The highest level of any channel, `IGNORED` left out."""
    darkest: float
    """The lowest level of any channel, `IGNORED` left out."""
    spread: float
    """Highest minus lowest level of the channel where that is largest, `IGNORED` left out."""


def measure_levels(halved: Image.Image) -> Levels:
    """The extremes of a picture in mode L or RGB that was averaged over 2x2 pixels.

    Averaging takes the grain out of a solid frame and leaves a star or a line of one pixel well visible.
    """
    counts = np.asarray(halved.histogram(), dtype=np.int64).reshape(-1, 256)
    ignored = IGNORED * halved.width * halved.height
    low = (np.cumsum(counts, axis=1) > ignored).argmax(axis=1)
    high = 255 - (np.cumsum(counts[:, ::-1], axis=1) > ignored).argmax(axis=1)
    return Levels(float(high.max()), float(low.min()), float((high - low).max()))


def measure_clipping(small: Image.Image) -> float:
    """How much of a picture is burnt: the share of pixels with all channels at an end of the scale.

    0 unless colours are burnt too (a quarter of those pixels are neither black nor white, which tells it from ink on
    paper and from night) and shades are left between the ends (which tells it from flat graphics and pixel art).
    """
    if small.mode != "RGB":
        return 0.0
    pixels = np.asarray(small).reshape(-1, 3)
    high = pixels >= 255 - END
    ends = (high | (pixels <= END)).all(axis=1)
    lit = high[ends].sum(axis=1, dtype=np.uint8)
    share = float(ends.mean())
    coloured = float(((lit > 0) & (lit < 3)).mean()) if share else 0.0
    return share if coloured >= 0.25 and shades(pixels[~ends]) >= 6 else 0.0


def shades(levels: NDArray[np.uint8]) -> float:
    """The Shannon entropy of the levels, in bits; 8 when all 256 occur equally often."""
    counts = np.bincount(levels.ravel(), minlength=256)
    total = int(counts.sum())
    if total == 0:
        return 0.0
    shares = counts[counts > 0] / total
    return float(-(shares * np.log2(shares)).sum())
