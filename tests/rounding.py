"""How far two processors may stand apart: bounds for tests, from the arithmetic and not from one machine."""

from __future__ import annotations

from math import sqrt

HALF_STEP = 2.0**-24
"""The most that one float32 operation is off, of its result's size."""


def rounding(layers: int, terms: int, size: float = 1.0) -> float:
    """By how much two float32 runs of one net may differ, absolutely, where outputs are of this size.

    Processors add the `terms` products of a sum in different orders. The partial sums of n products of either sign grow
    to the result's size as a random walk does, so their rounding errors add up to sqrt(n / 2) half steps, of which the
    root mean square is 1 / sqrt(3). Errors of several `layers` are independent, in a net that does not enlarge them.
    Two runs are sqrt(2) times as far apart as one is from the truth, and four deviations are never passed in practice.
    """
    return 4 * sqrt(2 * layers * (terms / 2) / 3) * HALF_STEP * size
