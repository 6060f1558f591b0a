"""Failures that show in how detail is distributed over scales: pure noise and extreme blur."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ...core.prediction import Floats

if TYPE_CHECKING:
    from numpy.typing import NDArray

FINE = 8
"""Pixels per side of the block that separates fine from coarse detail; also the size of a latent pixel."""

CELL = 64
"""Pixels per side of the cells of a shrunk picture in which edges are looked for."""
SMALLEST = 200
"""Pixels of the shorter side below which blur is not measured."""


def measure_noise(grey: Image.Image, halved: Image.Image) -> float:
    """How close a picture is to pure noise: 1 for white noise, 0 for a picture with large detail only.

    The aggregated-variance method (Taqqu, Teverovsky, Willinger, "Estimators for long-range dependence", 1995): the
    variance of the means over blocks of m x m pixels falls as 1 / m^2 for white noise, and hardly at all for pictures,
    so whiteness is log(var(a) / var(b)) / log((b / a)^2) for blocks of a and b pixels. What counts is the larger of
    - the smaller whiteness of the brightness from 1 to 8 and from 8 to 64 pixels: noise of pixels;
    - the smallest whiteness of brightness and both colour differences from 8 to 64 pixels, where colours vary by 12
      levels at least: noise of latents, which a decoder has turned into coloured blots of about 8 pixels.
    Gravel, grass and brick are white from 8 pixels on, but neither below that nor in colour.
    0 for pictures of few bright points (kurtosis above 6), such as a starry sky, which are white but not noise.
    `grey` is the picture in mode L, `halved` the picture averaged over 2x2 pixels, in mode L or RGB.
    """
    widest = min(64, _power_of_two(min(grey.size) / 12))
    middle = min(FINE, widest)
    variance, kurtosis = _moments(grey)
    if widest < 2 or variance < 1 or kurtosis > 6:
        return 0.0
    blocks = np.asarray(grey.reduce(middle), dtype=np.float32)
    pixels = _whiteness(variance, float(blocks.var()), middle)
    if widest == middle:
        return pixels
    coarse = _coarse_whiteness(blocks, widest // middle)
    if coarse < 0.5:  # far from noise, whatever the colours are
        return min(pixels, coarse)
    return max(min(pixels, coarse), min(coarse, _colour_whiteness(halved, widest // middle)))


def _colour_whiteness(halved: Image.Image, factor: int) -> float:
    if halved.mode != "RGB":
        return 0.0
    colours = np.asarray(halved.reduce(FINE // 2).convert("YCbCr"), dtype=np.float32)[..., 1:]
    if float(colours.std(axis=(0, 1)).min()) < 12:
        return 0.0
    return min(_coarse_whiteness(colours[..., i], factor) for i in (0, 1))


def _coarse_whiteness(blocks: Floats, factor: int) -> float:
    return _whiteness(float(blocks.var()), float(_block_means(blocks, factor).var()), factor)


def _power_of_two(limit: float) -> int:
    return 1 << max(0, int(limit).bit_length() - 1)


def _moments(grey: Image.Image) -> tuple[float, float]:
    """Variance and kurtosis of the levels, from the histogram."""
    counts = np.asarray(grey.histogram(), dtype=np.float64)
    shares = counts / counts.sum()
    offsets = np.arange(256) - shares @ np.arange(256)
    variance = float(shares @ offsets**2)
    return variance, float(shares @ offsets**4) / variance**2 if variance else 0.0


def _whiteness(narrow: float, wide: float, factor: int) -> float:
    """The fall of variance between two block sizes, as a share of what white noise would show."""
    if narrow <= 0:
        return 0.0
    return float(np.clip(np.log(narrow / max(wide, 1e-6)) / np.log(factor**2), 0.0, 1.0))


def _block_means(values: Floats, factor: int) -> Floats:
    height, width = (side // factor for side in values.shape)
    cut = values[: height * factor, : width * factor].reshape(height, factor, width, factor)
    return cut.mean(axis=(1, 3))


def measure_blur(small: NDArray[np.uint8]) -> float:
    """The width of the sharpest edge in thousandths of the picture's shorter side, as the sigma of a Gaussian blur.

    A step of height h that is blurred by sigma has the slope h / (sigma * sqrt(2 pi)). In each cell of 64 x 64 pixels
    h is taken as the range of levels and the slope as the steepest one; the smallest sigma counts, so one sharp subject
    in fog is enough. Cells with less than 16 levels, or a quarter of the picture's contrast, are ignored.
    0 where an edge is as sharp as pixels allow (sigma below 2 pixels), and where blur cannot be told: a side is under
    200 pixels, or a smooth gradient (a polynomial of degree 4) explains 94 % of the variance.
    `small` [H, W] is the picture shrunk so that its shorter side has 256 to 511 pixels, if it had more.
    """
    values = small.astype(np.float32)
    side = min(values.shape)
    if side < SMALLEST or beyond_gradient(values) < 0.06:
        return 0.0
    across = np.abs(values[2:-2, 4:] - values[2:-2, :-4]) / 4
    down = np.abs(values[4:, 2:-2] - values[:-4, 2:-2]) / 4
    inner = _cells(values[2:-2, 2:-2])
    heights = inner.max(axis=(1, 3)) - inner.min(axis=(1, 3))
    slopes = _cells(np.maximum(across, down)).max(axis=(1, 3))
    telling = heights >= max(16.0, float(np.ptp(values)) / 4)
    if not telling.any():
        return 0.0
    sigma = float((heights[telling] / np.maximum(slopes[telling], 1e-3)).min()) / np.sqrt(2 * np.pi)
    return sigma / side * 1000 if sigma >= 2 else 0.0


def _cells(values: Floats) -> Floats:
    """Whole cells only: [rows, CELL, columns, CELL]."""
    height, width = (side // CELL for side in values.shape)
    return values[: height * CELL, : width * CELL].reshape(height, CELL, width, CELL)


def beyond_gradient(values: Floats) -> float:
    """The share of the variance that no smooth gradient (a polynomial of degree 4 in x and y) explains."""
    coarse = np.asarray(Image.fromarray(values).resize((24, 24), Image.Resampling.BOX)).ravel()
    rest = coarse - _GRADIENTS @ (_GRADIENTS.T @ coarse)
    return float(rest.var() / max(float(coarse.var()), 1.0))


def _gradients(side: int, degree: int) -> Floats:
    """An orthonormal basis [side * side, K] of the polynomials of a total degree."""
    x, y = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side))
    terms = [x.ravel() ** i * y.ravel() ** j for i in range(degree + 1) for j in range(degree + 1 - i)]
    return np.linalg.qr(np.stack(terms, axis=1))[0].astype(np.float32)


_GRADIENTS = _gradients(24, 4)
