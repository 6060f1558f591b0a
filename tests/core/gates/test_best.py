"""The best image is one that was judged, by a rank that is a number."""

from __future__ import annotations

import math

import pytest

from keepers.core.gates.best import best
from keepers.core.gates.gate import Verdict, not_judged
from keepers.core.gates.unjudged import KINDS, Unjudged

ACCEPT, REJECT = Verdict("accept", "accept: a"), Verdict("reject", "reject: b")


def test_the_highest_rank_comes_first_and_ties_keep_their_order() -> None:
    ranks = [0.25, 0.75, 0.5, 0.75]
    assert best([REJECT] * 4, ranks) == [1]
    assert best([REJECT, ACCEPT, REJECT, REJECT], ranks, 3) == [1, 3, 2]
    assert best([REJECT] * 4, ranks, 9) == [1, 3, 2, 0]
    assert best([], []) == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_not_judged_is_never_the_best(kind: str) -> None:
    lost = not_judged(Unjudged("m", kind, "why"))  # pyright: ignore[reportArgumentType]
    assert best([lost, REJECT, None], [9.0, 0.1, 9.0], 3) == [1]
    assert best([lost, None], [9.0, 9.0]) == []


@pytest.mark.parametrize("rank", [math.nan, math.inf, -math.inf])
def test_a_rank_that_is_no_number_is_never_the_best(rank: float) -> None:
    assert best([ACCEPT, ACCEPT], [rank, -5.0], 2) == [1]
    assert best([ACCEPT], [rank]) == []
