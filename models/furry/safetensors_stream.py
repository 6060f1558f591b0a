"""Writes a safetensors file one tensor at a time: the library's own function holds all tensors in memory twice."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class PlannedTensor(NamedTuple):
    """A float32 tensor to write: its shape, and how to make it when its turn comes."""

    shape: tuple[int, ...]
    make: Callable[[], NDArray[np.float32]]


def write_safetensors(file: BinaryIO, plans: Mapping[str, PlannedTensor], metadata: Mapping[str, str]) -> None:
    """Write the tensors, sorted by name, and the metadata."""
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    offset = 0
    for name in sorted(plans):
        shape = plans[name].shape
        end = offset + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for name in sorted(plans):
        array = np.ascontiguousarray(plans[name].make(), dtype="<f4")
        assert array.shape == plans[name].shape, name
        file.write(array.data)
