"""A threshold as it is printed and pasted: short, and with the same verdicts as the one that was found."""

from __future__ import annotations

import numpy as np

from .metrics import Values

MOST_DIGITS = 9
"""What float32, in which a gate compares, needs to be told apart."""
BELOW = 0.01
"""Where every score is accepted: how far below the lowest the threshold may lie, in the scores' unit."""


def printable(scores: Values, threshold: float, lowest: float = -np.inf) -> float:
    """A number with few digits that accepts (>=) the same scores as `threshold`, and lies well between them if it can.

    Between: the last bits of a score depend on the images that share its batch, and must not decide. `lowest` is the
    least number that a gate may name.
    """
    accepted, refused = scores[scores >= threshold], scores[scores < threshold]
    if not accepted.size:
        return float(f"{threshold:.{MOST_DIGITS}g}")
    high = float(accepted.min())
    low = float(refused.max()) if refused.size else max(lowest, high - BELOW)
    quarter = (high - low) / 4
    for digits in range(1, MOST_DIGITS + 1):
        short = float(f"{(low + high) / 2:.{digits}g}")
        if low + quarter <= short <= high - quarter and np.float32(low) < np.float32(short) < np.float32(high):
            return short
    return float(f"{high:.{MOST_DIGITS}g}")
