"""Reads the tensors of a SavedModel without TensorFlow: its tensor bundle, and the names of its variables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.errors import CorruptWeights, one_line
from .crc import crc32c, unmask
from .proto import fields, nested, number, text, varint
from .table import read_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

Array = "NDArray[Any]"

OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
STRING, BFLOAT16 = 7, 14
DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 4: "u1", 5: "<i2", 6: "i1", 9: "<i8", 10: "?", 19: "<f2"}
"""TensorFlow's numbers for the dtypes that a net's variables may have; bfloat16 is widened."""
MOST_TENSORS = 20_000


@dataclass(frozen=True)
class Entry:
    """Where a tensor lies."""

    dtype: int = 0
    shape: tuple[int, ...] = ()
    shard: int = 0
    offset: int = 0
    size: int = 0
    masked_crc: int = 0


@dataclass(frozen=True)
class Variable:
    """A variable of the saved model."""

    key: str
    """Its key in the bundle."""
    name: str
    """Its full name in TensorFlow."""
    shape: tuple[int, ...]


class Bundle:
    """The tensors of `variables.index` and its data files. Nothing is copied until it is needed.

    Every method raises CorruptWeights.
    """

    def __init__(self, index: memoryview, shards: Sequence[memoryview]) -> None:
        table = read_table(index)
        if len(table) > MOST_TENSORS:
            raise CorruptWeights(f"it lists {len(table):,} tensors")
        _check_header(table.pop(b"", memoryview(b"")), len(shards))
        self._shards = shards
        self.entries = {_decode(key): _entry(value) for key, value in table.items()}

    def array(self, key: str) -> NDArray[Any]:
        """A tensor with its checksum verified; read-only, not copied, bfloat16 as float32."""
        entry = self.entries[key]
        data = self._bytes(key)
        if crc32c(data) != unmask(entry.masked_crc):
            raise CorruptWeights(f"the tensor {one_line(key)} has a wrong checksum; download the file again")
        if entry.dtype == BFLOAT16:
            wide = np.frombuffer(data, dtype="<u2").astype(np.uint32) << np.uint32(16)
            return wide.view(np.float32).reshape(entry.shape)
        return np.frombuffer(data, dtype=DTYPES[entry.dtype]).reshape(entry.shape)

    @cached_property
    def variables(self) -> tuple[Variable, ...]:
        """All variables with their full names: the model's own in its order, then the others."""
        graph = _graph(self._object_graph())
        known = [Variable(key, name, self.entries[key].shape) for key, name in graph.values() if key in self.entries]
        named = {variable.key for variable in known}
        left = [key for key in self.entries if key not in named and key != OBJECT_GRAPH]
        return (*known, *(Variable(key, "", self.entries[key].shape) for key in sorted(left)))

    def _object_graph(self) -> memoryview:
        """The one string tensor: its length, a checksum of the length, and its bytes."""
        entry = self.entries.get(OBJECT_GRAPH)
        if entry is None or entry.dtype != STRING or entry.shape:
            raise CorruptWeights("it does not hold the names of its variables")
        data = self._bytes(OBJECT_GRAPH)
        length, position = varint(data, 0)
        if position + 4 + length != len(data):
            raise CorruptWeights("the names of its variables are cut off")
        # The checksum does not cover the stored bytes: the length counts as a plain number of four bytes.
        if crc32c(length.to_bytes(4, "little") + bytes(data[position:])) != unmask(entry.masked_crc):
            raise CorruptWeights("the names of its variables have a wrong checksum; download the file again")
        return data[position + 4 :]

    def _bytes(self, key: str) -> memoryview:
        entry = self.entries[key]
        if entry.dtype != STRING:
            if entry.dtype not in DTYPES and entry.dtype != BFLOAT16:
                raise CorruptWeights(f"the tensor {one_line(key)} has the unknown type {entry.dtype}")
            width = 2 if entry.dtype == BFLOAT16 else np.dtype(DTYPES[entry.dtype]).itemsize
            if math.prod(entry.shape) * width != entry.size:
                raise CorruptWeights(f"the tensor {one_line(key)} has another size than its shape says")
        if entry.shard >= len(self._shards) or entry.offset + entry.size > len(self._shards[entry.shard]):
            raise CorruptWeights(f"the data file ends before the tensor {one_line(key)}; download the file again")
        return self._shards[entry.shard][entry.offset : entry.offset + entry.size]


def shard_count(index: memoryview) -> int:
    """How many data files belong to an index. Raises CorruptWeights."""
    header = read_table(index).get(b"", memoryview(b""))
    return next((number(value) for field, value in fields(header) if field == 1), 1)


def _check_header(header: memoryview, shards: int) -> None:
    found = dict(fields(header))
    if number(found.get(1, 1)) != shards:
        raise CorruptWeights(f"it needs {found.get(1)} data files, {shards} are there")
    if number(found.get(2, 0)):
        raise CorruptWeights("it was written on a big-endian machine")


def _entry(value: memoryview) -> Entry:
    found = {}
    for field, part in fields(value):
        if field == 7:
            raise CorruptWeights("it holds tensors in slices, as no SavedModel of Keras does")
        found[field] = part
    return Entry(
        dtype=number(found.get(1, 0)),
        shape=_shape(nested(found.get(2, memoryview(b"")))),
        shard=number(found.get(3, 0)),
        offset=number(found.get(4, 0)),
        size=number(found.get(5, 0)),
        masked_crc=number(found.get(6, 0)),
    )


def _shape(message: memoryview) -> tuple[int, ...]:
    sizes = []
    for field, dimension in fields(message):
        if field == 2:
            sizes.append(next((number(size) for part, size in fields(nested(dimension)) if part == 1), 0))
    if any(size >= 1 << 40 for size in sizes):
        raise CorruptWeights("a tensor of an impossible shape")
    return tuple(sizes)


def _graph(message: memoryview) -> Mapping[int, tuple[str, str]]:
    """The key and full name of every variable by node; those in the model's own list come first, in its order."""
    nodes = [nested(value) for field, value in fields(message) if field == 1]
    held = {index: pair for index, node in enumerate(nodes) if (pair := _held(node))}
    children = [_children(node) for node in nodes[:1]]
    listed = _children(nodes[own]) if children and 0 <= (own := children[0].get("variables", -1)) < len(nodes) else {}
    order = [listed[name] for name in sorted(filter(str.isdecimal, listed), key=int)]
    return {index: held[index] for index in dict.fromkeys([*order, *held]) if index in held}


def _held(node: memoryview) -> tuple[str, str] | None:
    """The key and full name of the variable in a node of the object graph."""
    for field, value in fields(node):
        if field == 2:
            parts = {part: text(content) for part, content in fields(nested(value)) if part in (1, 2, 3)}
            if parts.get(1) == "VARIABLE_VALUE":
                return parts.get(3, ""), parts.get(2, "")
    return None


def _children(node: memoryview) -> dict[str, int]:
    found = {}
    for field, value in fields(node):
        if field == 1:
            parts = dict(fields(nested(value)))
            found[text(parts.get(2, memoryview(b"")))] = number(parts.get(1, 0))
    return found


def _decode(key: bytes) -> str:
    try:
        return key.decode("utf-8")
    except UnicodeDecodeError:
        raise CorruptWeights("its index has a name that is not UTF-8") from None
