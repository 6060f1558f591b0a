"""Failures that show in how detail is spread over the scales: pure noise and extreme blur."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ..core.prediction import Floats

if TYPE_CHECKING:
    from numpy.typing import NDArray

FINE = 8
"""Pixels per side of the block that separates fine from coarse; also that of a latent pixel."""


def measure_noise(grey: Image.Image) -> float:
    """How near a picture is to white noise: 1 for white noise, 0 for a picture whose detail is all large.

    The aggregated-variance method (Taqqu, Teverovsky, Willinger, "Estimators for long-range dependence", 1995): the
    variance of the means over blocks of m x m pixels falls as 1/m^2 for white noise and hardly at all for pictures, so
    log(var(a) / var(b)) / log((b / a)^2) is measured from 1 to 8 pixels and from 8 to 64, and the smaller one counts.
    0 for pictures of few bright points (kurtosis above 6), such as a starry sky, which are white but no noise.
    """
    widest = min(64, _power_of_two(min(grey.size) / 12))
    middle = min(FINE, widest)
    variance, kurtosis = _moments(grey)
    if widest < 2 or variance < 1 or kurtosis > 6:
        return 0.0
    blocks = np.asarray(grey.reduce(middle), dtype=np.float32)
    white = _whiteness(variance, float(blocks.var()), middle)
    if widest > middle:
        wide = _block_means(blocks, widest // middle)
        white = min(white, _whiteness(float(blocks.var()), float(wide.var()), widest // middle))
    return white


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
    """How much of the fall of variance that white noise has happens between two block sizes."""
    if narrow <= 0:
        return 0.0
    return float(np.clip(np.log(narrow / max(wide, 1e-6)) / np.log(factor**2), 0.0, 1.0))


def _block_means(values: Floats, factor: int) -> Floats:
    height, width = (side // factor * factor for side in values.shape)
    cut = values[:height, :width].reshape(height // factor, factor, width // factor, factor)
    return cut.mean(axis=(1, 3))


def measure_blur(small: NDArray[np.uint8], side: int) -> float:
    """The width of the sharpest edge in thousandths of the picture's shorter side, as the sigma of a Gaussian blur.

    A step of height h that is blurred by sigma has the slope h / (sigma * sqrt(2 pi)); h is taken as the contrast of
    the whole picture, the slope as the steepest one found anywhere: one sharp subject in fog is enough.
    0 where nothing could be blurred: what a smooth gradient leaves unexplained has a standard deviation below 4 levels.
    `small` [H, W] is the picture shrunk so that its shorter side has `side` pixels.
    """
    values = small.astype(np.float32)
    if min(values.shape) < 8 or beyond_gradient(values) < 4:
        return 0.0
    low, high = np.percentile(values, (1, 99))
    across = np.abs(values[:, 2:] - values[:, :-2]).max() / 2
    down = np.abs(values[2:] - values[:-2]).max() / 2
    steepest = max(float(across), float(down))
    return float(high - low) / (steepest * np.sqrt(2 * np.pi)) / side * 1000


def beyond_gradient(values: Floats) -> float:
    """The standard deviation, in levels, of what no smooth gradient (a polynomial of degree 4 in x and y) explains."""
    coarse = np.asarray(Image.fromarray(values).resize((24, 24), Image.Resampling.BOX)).ravel()
    return float((coarse - _GRADIENTS @ (_GRADIENTS.T @ coarse)).std())


def _gradients(side: int, degree: int) -> Floats:
    """An orthonormal basis [side * side, K] of the polynomials of a total degree."""
    x, y = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side))
    terms = [x.ravel() ** i * y.ravel() ** j for i in range(degree + 1) for j in range(degree + 1 - i)]
    return np.linalg.qr(np.stack(terms, axis=1))[0].astype(np.float32)


_GRADIENTS = _gradients(24, 4)
