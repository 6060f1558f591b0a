"""A colour map from dark to light in which equal steps look equally large.

It is a path through OKLab (Ottosson 2020), where distance is what the eye sees. It runs from near black through violet,
red and orange to pale yellow, and is cut into 256 pieces of equal length. Lightness rises all the way, so it also works
in grey and for colour-blind people.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

POINTS = np.array(
    [
        [0.14, 0.005, -0.030],
        [0.28, 0.060, -0.110],
        [0.44, 0.160, -0.050],
        [0.58, 0.190, 0.050],
        [0.70, 0.140, 0.125],
        [0.82, 0.040, 0.150],
        [0.95, -0.030, 0.110],
    ]
)
"""Lightness, green to red, blue to yellow."""

_TO_CONE = np.array(
    [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]]
)
_TO_LINEAR = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def _path(count: int) -> NDArray[np.float64]:
    """[count, 3] points at equal distances along a smooth line near POINTS."""
    dense = POINTS
    for _ in range(9):  # corner cutting (Chaikin 1974) smooths the line
        inner = np.stack([0.75 * dense[:-1] + 0.25 * dense[1:], 0.25 * dense[:-1] + 0.75 * dense[1:]], axis=1)
        dense = np.concatenate([dense[:1], inner.reshape(-1, 3), dense[-1:]])
    walked = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(dense, axis=0), axis=1))])
    stops = np.arange(count) * (float(walked[-1]) / (count - 1))
    return np.stack([np.interp(stops, walked, dense[:, axis]) for axis in range(3)], axis=1)


def _linear_rgb(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    return (lab @ _TO_CONE.T) ** 3 @ _TO_LINEAR.T


def _rgb(lab: NDArray[np.float64]) -> NDArray[np.uint8]:
    linear = np.clip(_linear_rgb(lab), 0, 1)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return (curved * 255 + 0.5).astype(np.uint8)


TABLE: NDArray[np.uint8] = _rgb(_path(256))
"""[256, 3] red, green and blue, for values from 0 to 1."""
