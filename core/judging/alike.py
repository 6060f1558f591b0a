"""Which pictures look the same by their fingerprints, and which of a set are kept: in time that grows near-linearly.

Two pictures are near-duplicates if their hashes differ in at most 6 of 64 bits, their detail in at most 40 of 256, and
their colours little (`COLOUR_MEAN`, `COLOUR_MOST`). Of a set, the best picture is kept, then the next one that is no
near-duplicate of a kept one, and so on: every other picture resembles a kept one that is better than it. So a chain of
pictures of which each resembles only the next, as in a film, does not fall to a single one.

If two hashes differ in at most 6 bits, at least two of their 8 bytes are equal. So a kept picture is found under one of
28 pairs of bytes, of which each has 65,536 values, and only those found are compared.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ..pictures.phash import BITS, CELLS, DETAIL_WORDS, FINGERPRINT_WORDS, WORDS

Words = NDArray[np.uint16]
"""[N, FINGERPRINT_WORDS]: the fingerprints of pictures."""
Places = NDArray[np.int64]

MOST = 6
"""The most bits in which the hashes of near-duplicates differ."""
ALIKE = 1 - MOST / BITS
"""The likeness from which an image is a near-duplicate."""
DETAIL_MOST = 40
"""The most of the 256 bits of detail: copies differ in up to 20, another face in up to 35, other words in 50 to 110."""
COLOUR_MEAN = 4.0
"""The largest mean distance of the cells' colours, in levels of Cb and Cr: strong compression costs up to 2."""
COLOUR_MOST = 20.0
"""The largest distance of one cell's colours."""

_PAIRS = tuple(combinations(range(8), 2))
_BLOCK = 512
"""Pictures decided at once."""
_TAIL = 2048
"""At least so many kept pictures may be unsorted; they are compared one by one."""
_ROOM = 2_000_000
"""Comparisons that are in memory at once."""


def count_bits(values: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """The number of set bits of each value."""
    if hasattr(np, "bitwise_count"):  # since numpy 2.0
        return np.bitwise_count(values)
    return _popcount()[values.view(np.uint16).reshape(*values.shape, 4)].sum(axis=-1, dtype=np.uint8)


@cache
def _popcount() -> NDArray[np.uint8]:
    """The number of set bits of every 16-bit word."""
    return np.array([bin(word).count("1") for word in range(1 << 16)], dtype=np.uint8)


def hash_bits(words: Words) -> NDArray[np.uint64]:
    """[N]: the 64 bits of the hash of each fingerprint."""
    return np.ascontiguousarray(words[:, :WORDS]).view(np.uint64)[:, 0]


def distances(one: Words, other: Words) -> Places:
    """[N]: in how many bits the hashes of two near-duplicates differ, row by row; -1 where the two are none."""
    found = count_bits(hash_bits(one) ^ hash_bits(other)).astype(np.int64)
    detail = slice(WORDS, WORDS + DETAIL_WORDS)
    finer = count_bits(np.ascontiguousarray(one[:, detail] ^ other[:, detail]).view(np.uint64)).sum(1, np.int64)
    colour = np.hypot(*(_channel(one, shift) - _channel(other, shift) for shift in (8, 0)))
    alike = (finer <= DETAIL_MOST) & (colour.mean(1) <= COLOUR_MEAN) & (colour.max(1, initial=0) <= COLOUR_MOST)
    return np.where(alike & (found <= MOST), found, -1)


def _channel(words: Words, shift: int) -> NDArray[np.float32]:
    return (words[:, -(CELLS**2) :] >> shift & 255).astype(np.float32)


class Kept:
    """The pictures kept so far, the best first; finds the one that another picture resembles most."""

    def __init__(self) -> None:
        self._words: Words = np.zeros((256, FINGERPRINT_WORDS), dtype=np.uint16)
        self._bits = np.zeros(256, dtype=np.uint64)
        self._count = self._sorted = 0
        self._sorted_by: list[tuple[Places, Places]] = []
        """For each pair of bytes: where each of its values begins, and the pictures in the order of their values."""

    def __len__(self) -> int:
        return self._count

    def add(self, words: Words) -> None:
        """Keep more pictures, each worse than those before."""
        end = self._count + len(words)
        while end > len(self._words):
            self._words = np.concatenate([self._words, np.zeros_like(self._words)])
            self._bits = np.concatenate([self._bits, np.zeros_like(self._bits)])
        self._words[self._count : end] = words
        self._bits[self._count : end] = hash_bits(words)
        self._count = end
        if end - self._sorted > max(_TAIL, self._sorted // 32):
            self._sort()

    def _sort(self) -> None:
        self._sorted, self._sorted_by = self._count, []
        for keys in _keys(self._bits[: self._count]):
            begins = np.concatenate([[0], np.cumsum(np.bincount(keys, minlength=1 << 16))])
            self._sorted_by.append((begins, np.argsort(keys, kind="stable")))

    def nearest(self, words: Words) -> tuple[Places, Places]:
        """[N] and [N]: the kept picture that each resembles most, the best of several, and the distance; else -1."""
        bits = hash_bits(words)
        rows, places = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for start in range(self._sorted, self._count, max(1, _ROOM // max(1, len(words)))):
            end = min(self._count, start + max(1, _ROOM // max(1, len(words))))
            near = count_bits(bits[:, None] ^ self._bits[None, start:end]) <= MOST
            row, place = np.nonzero(near)
            rows.append(row)
            places.append(place + start)
        for keys, (begins, order) in zip(_keys(bits), self._sorted_by, strict=False):  # no order before the first sort
            for row, at in _spread(begins[keys], begins[keys.astype(np.int64) + 1]):
                place = order[at]
                near = count_bits(bits[row] ^ self._bits[place]) <= MOST
                rows.append(row[near])
                places.append(place[near])
        return self._best(words, np.concatenate(rows), np.concatenate(places))

    def _best(self, words: Words, rows: Places, places: Places) -> tuple[Places, Places]:
        found, distance = np.full(len(words), -1), np.full(len(words), -1)
        met = np.unique(rows * max(1, self._count) + places)
        rows, places = met // max(1, self._count), met % max(1, self._count)
        for start in range(0, len(rows), _ROOM // 50):
            row, place = rows[start : start + _ROOM // 50], places[start : start + _ROOM // 50]
            bits = distances(words[row], self._words[place])
            alike = bits >= 0
            _take_nearest(found, distance, row[alike], place[alike], bits[alike])
        return found, distance


def _take_nearest(found: Places, distance: Places, rows: Places, places: Places, bits: Places) -> None:
    """Fill in the nearest place of each row, the first of several."""
    order = np.lexsort((places, bits, rows))
    rows, places, bits = rows[order], places[order], bits[order]
    firsts = np.flatnonzero(np.diff(rows, prepend=-1))
    rows, places, bits = rows[firsts], places[firsts], bits[firsts]
    nearer = (found[rows] < 0) | (bits < distance[rows]) | ((bits == distance[rows]) & (places < found[rows]))
    found[rows[nearer]], distance[rows[nearer]] = places[nearer], bits[nearer]


def _keys(bits: NDArray[np.uint64]) -> list[NDArray[np.uint16]]:
    """The pairs of bytes under which hashes are found."""
    octets: NDArray[np.uint16] = np.ascontiguousarray(bits).view(np.uint8).reshape(-1, 8).astype(np.uint16)
    high = (octets << 8).astype(np.uint16)
    return [high[:, first] | octets[:, second] for first, second in _PAIRS]


def _spread(first: Places, last: Places) -> list[tuple[Places, Places]]:
    """Rows and positions of ranges [first, last), in parts of about `_ROOM`."""
    counts = last - first
    ends = np.cumsum(counts)
    parts: list[tuple[Places, Places]] = []
    start = 0
    while start < len(counts):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _ROOM, "right")))
        mine = counts[start:stop]
        row = np.repeat(np.arange(start, stop), mine)
        offset = np.arange(len(row)) - np.repeat(ends[start:stop] - mine - before, mine)
        parts.append((row, np.repeat(first[start:stop], mine) + offset))
        start = stop
    return parts


def keep_best(words: Words) -> tuple[Places, Places]:
    """[N] and [N]: for pictures in order, the best first, the kept one that stands for each, and the distance.

    A kept picture stands for itself, at distance 0. Another one falls to the better kept one that it resembles most.
    """
    kept, at = Kept(), np.zeros(0, np.int64)
    stands, distance = np.zeros(len(words), np.int64), np.zeros(len(words), np.int64)
    for start in range(0, len(words), _BLOCK):
        block = words[start : start + _BLOCK]
        found, bits = kept.nearest(block)
        mine = np.where(found >= 0, at[found] if len(at) else -1, -1)
        new = _within(block, mine, bits, start)
        stands[start : start + len(block)], distance[start : start + len(block)] = mine, bits
        kept.add(block[new])
        at = np.concatenate([at, new + start])
    return stands, distance


def _within(block: Words, mine: Places, bits: Places, start: int) -> Places:
    """Decide a block whose pictures were compared with all kept before it; returns its own kept ones."""
    rows, earlier = _near_pairs(block, np.flatnonzero(mine < 0))
    near = distances(block[rows], block[earlier])
    keeps = mine < 0
    pairs = zip(rows[near >= 0].tolist(), earlier[near >= 0].tolist(), near[near >= 0].tolist(), strict=True)
    for row, other, distance in pairs:  # in order of `row`, so that `other` is decided
        if keeps[other] and (mine[row] < 0 or distance < bits[row]):
            mine[row], bits[row], keeps[row] = other + start, distance, False
    own = np.flatnonzero(keeps)
    mine[own], bits[own] = own + start, 0
    return own


def _near_pairs(block: Words, some: Places) -> tuple[Places, Places]:
    """Pairs of a block with near hashes: each picture with some of those before it, in order."""
    bits = hash_bits(block)
    near = count_bits(bits[:, None] ^ bits[None, some]) <= MOST
    rows, columns = np.nonzero(near & (some[None, :] < np.arange(len(block))[:, None]))
    return rows, some[columns]
