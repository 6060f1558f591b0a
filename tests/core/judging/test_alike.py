"""The comparison of fingerprints: what it finds is what comparing each picture with each would find."""

from __future__ import annotations

import numpy as np
import pytest

from keepers.core.judging import alike
from keepers.core.judging.alike import COLOUR_MEAN, COLOUR_MOST, DETAIL_MOST, MOST, Words, distances, keep_best
from keepers.core.pictures.phash import COLOUR_WORDS, DETAIL_WORDS, FINGERPRINT_WORDS, WORDS


def flipped(words: Words, hash_bits: int = 0, detail_bits: int = 0, seed: int = 0) -> Words:
    """A copy in which so many bits of hash and detail differ."""
    random, found = np.random.RandomState(seed), words.copy()
    for first, count, among in ((0, hash_bits, 64), (WORDS, detail_bits, 16 * DETAIL_WORDS)):
        for bit in random.choice(among, count, replace=False):
            found[first + bit // 16] ^= np.uint16(1 << (bit % 16))
    return found


def some(seed: int) -> Words:
    words = np.random.RandomState(seed).randint(0, 1 << 16, FINGERPRINT_WORDS).astype(np.uint16)
    words[-COLOUR_WORDS:] = 128 << 8 | 128
    return words


def coloured(cells: int, levels: int) -> Words:
    found = some(1)
    found[-COLOUR_WORDS:][:cells] += np.uint16(levels << 8)
    return found


@pytest.mark.parametrize(
    ("other", "distance"),
    [
        (some(1), 0),
        (flipped(some(1), MOST), MOST),
        (flipped(some(1), MOST + 1), -1),
        (flipped(some(1), 2, DETAIL_MOST), 2),
        (flipped(some(1), 2, DETAIL_MOST + 1), -1),
        (coloured(1, int(COLOUR_MOST)), 0),
        (coloured(1, int(COLOUR_MOST) + 1), -1),
        (coloured(COLOUR_WORDS, int(COLOUR_MEAN)), 0),
        (coloured(COLOUR_WORDS, int(COLOUR_MEAN) + 1), -1),
        (some(2), -1),
    ],
)
def test_near_duplicates_differ_little_in_hash_detail_and_colour(other: Words, distance: int) -> None:
    assert distances(some(1)[None], other[None]).tolist() == [distance]


def mixed(count: int, seed: int, share: float) -> Words:
    """Fingerprints of which a share is near an earlier one, or just not near it."""
    random = np.random.RandomState(seed)
    words = np.array([some(seed * 1000 + place) for place in range(count)])
    for place in range(1, count):
        if random.rand() < share:
            near = words[random.randint(place)]
            words[place] = flipped(near, random.randint(0, 9), random.randint(0, 46), place)
    return words


def one_by_one(words: Words) -> tuple[list[int], list[int]]:
    kept: list[int] = []
    stands, found = list[int](), list[int]()
    for place in range(len(words)):
        to_kept = [int(distances(words[place : place + 1], words[one : one + 1])[0]) for one in kept]
        near = sorted((distance, one) for distance, one in zip(to_kept, kept, strict=True) if distance >= 0)
        distance, stand = near[0] if near else (0, place)
        kept += [] if near else [place]
        stands.append(stand)
        found.append(distance)
    return stands, found


@pytest.mark.parametrize(("block", "tail", "share"), [(512, 2048, 0.3), (16, 8, 0.5), (64, 20, 0.9)])
def test_keeping_the_best_is_comparing_one_by_one(
    block: int, tail: int, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alike, "_BLOCK", block)
    monkeypatch.setattr(alike, "_TAIL", tail)
    monkeypatch.setattr(alike, "_ROOM", 100)
    words = mixed(150, block, share)
    stands, found = keep_best(words)
    assert (stands.tolist(), found.tolist()) == one_by_one(words)
    assert 20 < len(set(stands.tolist())) < 140


def test_a_chain_does_not_fall_to_its_first_picture() -> None:
    """Each picture of a film resembles the next; what is kept stands for those near it, not for the whole film."""
    words = [some(1)]
    for bit in range(20):
        words.append(words[-1].copy())
        words[-1][bit // 16] ^= np.uint16(1 << (bit % 16))
    stands, found = keep_best(np.array(words))
    assert stands.tolist()[:7] == [0] * 7 and found.tolist()[:7] == [0, 1, 2, 3, 4, 5, 6]
    assert sorted(set(stands.tolist())) == [0, 7, 14]


def test_nothing_is_compared_with_nothing() -> None:
    stands, found = keep_best(np.zeros((0, FINGERPRINT_WORDS), dtype=np.uint16))
    assert len(stands) == len(found) == 0
