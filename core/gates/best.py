"""Which images may be called the best: the one choice that all doors share."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .gate import Verdict


def best(verdicts: Sequence[Verdict | None], ranks: Sequence[float], count: int = 1) -> list[int]:
    """The places of the best images, at most `count`, the best first.

    Only an image that was judged can be the best, and only by a rank that is a number: NaN and infinity are left out,
    and so is an image without a verdict. `verdicts` and `ranks` have one entry an image. Ties keep their order.
    """
    able = [
        place
        for place, (verdict, rank) in enumerate(zip(verdicts, ranks, strict=True))
        if verdict is not None and verdict.judged and math.isfinite(rank)
    ]
    return sorted(able, key=lambda place: -ranks[place])[:count]
