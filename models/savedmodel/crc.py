"""CRC-32C (Castagnoli), the checksum of TensorFlow's tensors, over arrays at memory speed.

The checksum is linear: numpy computes the checksums of lanes of LANE bytes side by side, and tables that stand for
appending zero bytes join the checksums of neighbours.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

POLYNOMIAL = 0x82F63B78
LANE = 256
BLOCK_LEVEL = 14
"""Lanes are taken in blocks of 2 ** 14, which is 4 MB of data."""
FEW = 4096
"""Bytes below which numpy's calls cost more than a plain loop."""
ONES = 0xFFFFFFFF


def crc32c(data: memoryview | bytes) -> int:
    """The CRC-32C of some bytes."""
    view = memoryview(data).cast("B")
    whole = len(view) // LANE * LANE if len(view) >= FEW else 0
    state = ONES
    for start in range(0, whole, LANE << BLOCK_LEVEL):
        block = view[start : min(whole, start + (LANE << BLOCK_LEVEL))]
        state = _append_zeros(state, len(block) // LANE) ^ _lanes(block)
    table = _plain_table()
    for byte in view[whole:]:
        state = table[(state ^ byte) & 255] ^ (state >> 8)
    return state ^ ONES


def unmask(masked: int) -> int:
    """The checksum behind TensorFlow's rotated and shifted one."""
    rotated = (masked - 0xA282EAD8) & ONES
    return ((rotated >> 17) | (rotated << 15)) & ONES


def _lanes(block: memoryview) -> int:
    """The checksum of whole lanes, at most one block, starting from 0."""
    words = np.ascontiguousarray(np.frombuffer(block, dtype="<u4").reshape(-1, LANE // 4).T)
    states = np.zeros(words.shape[1], dtype=np.uint32)
    tables = _byte_tables()[::-1]
    for row in words:
        states = _look_up(tables, states ^ row)
    level = 0
    while len(states) > 1:
        if len(states) % 2:  # zeros before the data change nothing
            states = np.concatenate([np.zeros(1, dtype=np.uint32), states])
        states = _look_up(_zeros(level), states[0::2]) ^ states[1::2]
        level += 1
    return int(states[0])


def _look_up(tables: NDArray[np.uint32], states: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The linear map that four tables give for the four bytes of each state, lowest first."""
    found = tables[0][states & 255]
    found ^= tables[1][(states >> 8) & 255]
    found ^= tables[2][(states >> 16) & 255]
    found ^= tables[3][states >> 24]
    return found


def _append_zeros(state: int, lanes: int) -> int:
    """The state after so many lanes of zeros."""
    states = np.array([state], dtype=np.uint32)
    for level in range(lanes.bit_length()):
        if lanes >> level & 1:
            states = _look_up(_zeros(level), states)
    return int(states[0])


@lru_cache(maxsize=1)
def _byte_tables() -> NDArray[np.uint32]:
    """[4, 256]: what a byte does to the state, followed by 0, 1, 2 and 3 zero bytes."""
    first = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        first = np.where(first & 1, (first >> 1) ^ np.uint32(POLYNOMIAL), first >> 1).astype(np.uint32)
    second = first[first & 255] ^ (first >> 8)
    third = first[second & 255] ^ (second >> 8)
    return np.asarray([first, second, third, first[third & 255] ^ (third >> 8)], dtype=np.uint32)


@lru_cache(maxsize=1)
def _plain_table() -> tuple[int, ...]:
    return tuple(_byte_tables()[0].tolist())


@lru_cache(maxsize=64)
def _zeros(level: int) -> NDArray[np.uint32]:
    """[4, 256]: tables that append 2 ** level lanes of zeros to a state."""
    states = np.stack([np.arange(256, dtype=np.uint32) << np.uint32(8 * byte) for byte in range(4)])
    if level:
        half = _zeros(level - 1)
        return np.stack([_look_up(half, _look_up(half, row)) for row in states])
    for _ in range(LANE):
        states = _byte_tables()[0][states & 255] ^ (states >> 8)
    return states
