"""Reads `variables.index`, a sorted table in LevelDB's format as TensorFlow writes it."""

from __future__ import annotations

from collections.abc import Iterator

from ...core.errors import CorruptWeights
from .crc import crc32c, unmask
from .proto import varint

MAGIC = 0xDB4775248B80FB57
FOOTER = 48
TRAILER = 5
"""After each block: one byte for its compression, four for its checksum."""
COMPRESSIONS = {1: "snappy", 2: "zlib", 3: "bzip2", 4: "lz4", 7: "zstd"}


def read_table(data: memoryview) -> dict[bytes, memoryview]:
    """The values of a table by key. Raises CorruptWeights."""
    if len(data) < FOOTER or int.from_bytes(data[-8:], "little") != MAGIC:
        raise CorruptWeights("its index is no TensorFlow index, or is cut off")
    footer = data[-FOOTER:]
    _, position = _handle(footer, 0)
    index, _ = _handle(footer, position)
    found: dict[bytes, memoryview] = {}
    for _, handle in _entries(_block(data, index)):
        for key, value in _entries(_block(data, _handle(handle, 0)[0])):
            if key in found:
                raise CorruptWeights("its index names a tensor twice")
            found[key] = value
    return found


def _handle(data: memoryview, position: int) -> tuple[tuple[int, int], int]:
    """The offset and length of a block, and the position after them."""
    offset, position = varint(data, position)
    size, position = varint(data, position)
    return (offset, size), position


def _block(data: memoryview, handle: tuple[int, int]) -> memoryview:
    offset, size = handle
    end = offset + size
    if end + TRAILER > len(data):
        raise CorruptWeights("its index is cut off")
    compression, stored = data[end], int.from_bytes(data[end + 1 : end + TRAILER], "little")
    if crc32c(data[offset : end + 1]) != unmask(stored):
        raise CorruptWeights("a block of its index has a wrong checksum")
    if compression:
        name = COMPRESSIONS.get(compression, f"kind {compression}")
        raise CorruptWeights(f"its index is compressed ({name}), which TensorFlow's own SavedModels are not")
    return data[offset:end]


def _entries(block: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Keys and values; each key shares a prefix with the key before."""
    if len(block) < 4:
        raise CorruptWeights("an empty block in its index")
    end = len(block) - 4 - 4 * int.from_bytes(block[-4:], "little")
    position, key = 0, b""
    while position < end:
        shared, position = varint(block, position)
        more, position = varint(block, position)
        length, position = varint(block, position)
        if shared > len(key) or position + more + length > end:
            raise CorruptWeights("a damaged block in its index")
        key = key[:shared] + bytes(block[position : position + more])
        position += more
        yield key, block[position : position + length]
        position += length
    if position != max(end, 0):
        raise CorruptWeights("a damaged block in its index")
