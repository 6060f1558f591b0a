"""The hash join finds the near-duplicates that comparing all pairs finds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

pytest.importorskip("ray")

from keepers.cluster.running.duplicates import BANDS, MOST, banded, meetings


@pytest.mark.parametrize("count", [0, 1, 300])
def test_the_join_finds_what_comparing_all_with_all_finds(count: int) -> None:
    random = np.random.RandomState(count)
    bits = random.randint(0, 1 << 62, count, dtype=np.int64).astype(np.uint64)
    bits[::7] = bits[:1]  # some again and again
    for place in range(1, count, 2):  # some near the image before, at all distances up to nine
        flips = random.choice(64, random.randint(0, 10), replace=False)
        bits[place] = bits[place - 1] ^ np.bitwise_or.reduce(
            np.uint64(1) << flips.astype(np.uint64), initial=np.uint64(0)
        )
    images = {"number": random.permutation(count).astype(np.int64), "bits": bits}
    every = meetings(images)
    joined: dict[int, int] = {}
    bands = banded(images)
    for band in np.unique(bands["band"]):
        met = meetings({name: bands[name][bands["band"] == band] for name in ("number", "bits")})
        for number, rank in zip(met["number"].tolist(), met["rank"].tolist(), strict=True):
            joined[number] = min(rank, joined.get(number, rank))
    assert joined == dict(zip(every["number"].tolist(), every["rank"].tolist(), strict=True))
    by_number = dict(zip(images["number"].tolist(), bits.tolist(), strict=True))
    near: dict[int, int] = {}
    for number, earlier in itertools.combinations(sorted(by_number, reverse=True), 2):
        distance = (by_number[number] ^ by_number[earlier]).bit_count()
        if distance <= MOST:
            near[number] = min(distance << 40 | earlier, near.get(number, 1 << 62))
    assert joined == near
    assert len(bands["band"]) == BANDS * count
    assert count < 300 or len(joined) > 50
