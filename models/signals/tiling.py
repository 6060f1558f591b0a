"""Exact repetition: a picture that consists of copies of one part."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...core.prediction import Floats
from .levels import shades

if TYPE_CHECKING:
    from numpy.typing import NDArray

LINES = 32
"""Rows, and columns, that are compared."""
SMALLEST = 1 / 8
"""The smallest share of a side that counts as a part; repetition in smaller steps is a pattern on something."""
RICHNESS = 12
"""Lines with fewer independent components (stripes have 0, a chessboard 1, dots about 10) ..."""
SHADES = 5.5
"""... and fewer bits of entropy than this are a pattern, not a picture."""
EXACT = 0.985
"""From this repetition on, two parts are copies; the rest is compression."""


def measure_repetition(grey: NDArray[np.uint8]) -> float:
    """How exactly a picture [H, W] repeats a part of itself, across or down: 1 for perfect copies.

    The difference function of YIN (de Cheveigne, Kawahara, "YIN, a fundamental frequency estimator", 2002) over the
    rows and over the columns: 1 - d(s) / mean(d(1..s)), where d(s) is the mean squared difference of pixels s apart.
    The largest value for s from 1/8 to 1/2 of the side counts. 0 if the picture repeats exactly in smaller steps than
    that, is constant along the lines, or has too little content to be a picture.
    """
    if min(grey.shape) < 16:
        return 0.0
    rows = grey[_spaced(grey.shape[0])]
    columns = grey[:, _spaced(grey.shape[1])].T
    return max(_repetition(rows), _repetition(columns))


def _spaced(side: int) -> NDArray[np.intp]:
    return np.unique(np.linspace(0, side - 1, LINES).astype(np.intp))


def _repetition(lines: NDArray[np.uint8]) -> float:
    length = lines.shape[1]
    differences = _differences(lines.astype(np.float32))
    averages = np.cumsum(differences) / np.arange(1, len(differences) + 1)
    likeness = 1 - differences / np.maximum(averages, 4.0)
    first = int(length * SMALLEST)
    if float(likeness[: first - 1].max(initial=0.0)) >= EXACT or averages[-1] < 4:
        return 0.0
    best = float(np.clip(likeness[first - 1 :].max(), 0.0, 1.0))
    is_picture = richness(lines) >= RICHNESS or shades(lines) >= SHADES
    return best if best < EXACT or is_picture else 0.0


def richness(lines: NDArray[np.uint8]) -> int:
    """How many principal components of the lines [N, L] hold 99 % of their variance."""
    centred = lines - lines.mean(dtype=np.float32)
    energies = np.linalg.eigvalsh(centred @ centred.T)[::-1].clip(min=0)
    return int(np.searchsorted(np.cumsum(energies), 0.99 * energies.sum())) + 1


def _differences(lines: Floats) -> NDArray[np.float64]:
    """The mean squared difference of pixels s apart on the same line, for s from 1 to half the line."""
    lines = lines - lines.mean()
    length = lines.shape[1]
    padded = length + length // 2 + length % 2  # enough that steps up to half the line do not wrap around
    spectrum = np.fft.rfft(lines, padded + padded % 2, axis=1)
    power = (np.square(spectrum.real) + np.square(spectrum.imag)).sum(axis=0)
    products = np.fft.irfft(power, padded + padded % 2)[: length // 2 + 1]
    squares = np.square(lines).sum(axis=0, dtype=np.float64)
    sums = np.concatenate([[0.0], np.cumsum(squares)])
    steps = np.arange(1, length // 2 + 1)
    left, right = sums[length - steps], sums[-1] - sums[steps]
    return np.maximum(left + right - 2 * products[1:], 0) / ((length - steps) * len(lines))
