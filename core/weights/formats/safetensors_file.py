"""Finds the tensors in a safetensors file, within limits the format itself does not set.

The safetensors library is as fast, but it accepts duplicate names, spends seconds on hundreds of thousands of empty
tensors, and some hosts replace one of its entry points with one that renames files it cannot read.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Mapping
from typing import cast

import torch

from ...errors import CorruptWeights
from .safetensors_header import header_length, parse_header
from .tensor_file import MOST_TENSORS, Spot, spot

DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
    "U16": torch.uint16, "U32": torch.uint32, "U64": torch.uint64,
}  # fmt: skip


def looks_like_safetensors(buffer: mmap.mmap) -> bool:
    """Whether the file starts like one: a length, then an opening brace."""
    return len(buffer) > 8 and buffer[8:9] == b"{"


def read_safetensors(buffer: mmap.mmap) -> tuple[dict[str, Spot], dict[str, str]]:
    """The places of all tensors, and the file's own text metadata.

    Raises CorruptWeights for a header that is too long, is not JSON, repeats a name, or does not account for every byte
    of the file.
    """
    base = 8 + header_length(buffer[:8], len(buffer))
    header, metadata = parse_header(buffer[8:base])
    if len(header) > MOST_TENSORS:
        raise CorruptWeights(f"it lists {len(header):,} tensors; no model has more than {MOST_TENSORS:,}")
    places = {name: _place(name, entry) for name, entry in header.items()}
    _require_gapless([ends for _, _, ends in places.values()], len(buffer) - base)
    spots = {n: spot(d, (base + a, (b - a) // d.itemsize), size) for n, (d, size, (a, b)) in places.items()}
    return spots, metadata


def _place(name: str, entry: object) -> tuple[torch.dtype, tuple[int, ...], tuple[int, int]]:
    fields = cast("Mapping[str, object]", entry if isinstance(entry, dict) else {})
    dtype = DTYPES.get(str(fields.get("dtype")))
    size, ends = _numbers(fields.get("shape")), _numbers(fields.get("data_offsets"))
    if dtype is None or size is None or ends is None or len(ends) != 2:
        raise CorruptWeights(f"its entry {name!r:.200} is not understood")
    if ends[1] - ends[0] != math.prod(size) * dtype.itemsize:
        raise CorruptWeights(f"its entry {name!r:.200} does not have the bytes its shape needs")
    return dtype, size, (ends[0], ends[1])


def _numbers(value: object) -> tuple[int, ...] | None:
    if not isinstance(value, list):
        return None
    items = cast("list[object]", value)
    whole = [n for n in items if type(n) is int and 0 <= n < 1 << 62]
    return tuple(whole) if len(whole) == len(items) else None


def _require_gapless(ends: list[tuple[int, int]], available: int) -> None:
    at = 0
    for start, end in sorted(ends):
        if start != at:
            raise CorruptWeights(f"its tensors leave a gap or overlap at byte {min(at, start):,} of the data")
        at = end
    if at != available:
        raise CorruptWeights(f"its tensors need {at:,} bytes, but {available:,} are there")
