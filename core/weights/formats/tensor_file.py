"""Tensors in a mapped file: nothing is read before it is used, and nothing is copied."""

from __future__ import annotations

import math
import mmap
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...errors import CorruptWeights, UnsafeWeights, one_line

MOST_TENSORS = 50_000
"""More than any model has, yet few enough to list in a moment."""
MOST_DIMENSIONS = 16


@dataclass(frozen=True)
class Spot:
    """Where one tensor lies in a file. Make it with `spot`, which checks what the file claims."""

    dtype: torch.dtype
    start: int
    """Bytes from the start of the file to the first element."""
    size: tuple[int, ...]
    stride: tuple[int, ...]
    span: int
    """Elements from the first to the last, both included; 0 for an empty tensor."""
    swap: bool = False
    """The file's byte order is not this machine's."""

    def cut(self, buffer: mmap.mmap) -> Tensor:
        """The tensor, on the CPU, sharing the file's pages. Writes to it never reach the file."""
        # A host may call us inside its inference_mode; a tensor made there could not be differentiated.
        with torch.inference_mode(False):
            if self.span == 0:
                return torch.empty(self.size, dtype=self.dtype, device="cpu")
            return self._elements(buffer).as_strided(self.size, self.stride)

    def _elements(self, buffer: mmap.mmap) -> Tensor:
        width = self.dtype.itemsize
        if not self.swap and self.start % width == 0:
            return torch.frombuffer(buffer, dtype=self.dtype, count=self.span, offset=self.start)
        raw = torch.frombuffer(buffer, dtype=torch.uint8, count=self.span * width, offset=self.start)
        rows = raw.view(-1, width)
        return (rows.flip(-1) if self.swap else rows.clone()).contiguous().view(-1).view(self.dtype)


class TensorFile(Mapping[str, Tensor]):
    """The tensors of one file by name. The file must not be overwritten in place while any of them is in use."""

    def __init__(self, path: Path, buffer: mmap.mmap, spots: Mapping[str, Spot], metadata: Mapping[str, str]) -> None:
        self.path = path
        self.metadata = metadata
        self._buffer = buffer
        self._spots = spots

    def __getitem__(self, name: str) -> Tensor:
        return self._spots[name].cut(self._buffer)

    def __contains__(self, name: object) -> bool:
        return name in self._spots

    def __iter__(self) -> Iterator[str]:
        return iter(self._spots)

    def __len__(self) -> int:
        return len(self._spots)


def map_file(path: Path) -> mmap.mmap:
    """The whole file, mapped privately: torch wants writable memory, and the file must never change.

    Raises CorruptWeights for an empty or irregular file, OSError if it cannot be opened.
    """
    if path.exists() and not path.is_file():  # opening a named pipe would wait forever
        raise CorruptWeights(f"{one_line(str(path))} is not a regular file.")
    with path.open("rb") as file:
        try:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        except ValueError:
            raise CorruptWeights(f"{one_line(str(path))} is empty. Delete it and get it again.") from None


def spot(
    dtype: torch.dtype,
    storage: tuple[int, int],
    size: tuple[int, ...],
    stride: tuple[int, ...] | None = None,
    offset: int = 0,
    order: str = "little",
) -> Spot:
    """The place of a tensor inside a storage, which is given by its first byte in the file and its elements.

    Raises UnsafeWeights if the tensor would leave its storage, or has more elements: a stride of 0 makes gigabytes out
    of one number.
    """
    start, available = storage
    if max(len(size), len(stride or ())) > MOST_DIMENSIONS:
        raise UnsafeWeights(f"a tensor of {len(size)} dimensions makes no sense")
    stride = _contiguous(size) if stride is None else stride
    if len(stride) != len(size) or min((offset, *size, *stride)) < 0:
        raise UnsafeWeights(f"a tensor of shape {size} with strides {stride} at {offset} makes no sense")
    count = math.prod(size)
    span = 1 + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) if count else 0
    if count > available or offset + span > available:
        raise UnsafeWeights(f"a tensor of shape {size} with strides {stride} is larger than its {available} elements")
    return Spot(dtype, start + offset * dtype.itemsize, size, stride, span, order != sys.byteorder)


def _contiguous(size: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.prod(size[i + 1 :]) for i in range(len(size)))
