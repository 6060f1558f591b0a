"""Reads the header of a safetensors file, without its tensors. No torch here."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from ...errors import CorruptWeights, WrongWeights

MOST_HEADER = 16 << 20


def header_length(start: bytes, size: int) -> int:
    """The header's length, from the first 8 bytes of a file of `size` bytes. Raises CorruptWeights."""
    length = int.from_bytes(start, "little")
    if length > MOST_HEADER or 8 + length > size:
        raise CorruptWeights(f"its header claims {length:,} bytes, in a file of {size:,}")
    return length


def parse_header(raw: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    """The tensors' entries, not checked any further, and the file's own text metadata.

    Raises CorruptWeights for a header that is not JSON, repeats a name, or is not a table.
    """
    try:
        header = json.loads(raw.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise CorruptWeights(f"its header is damaged ({error})") from None
    if not isinstance(header, dict):
        raise CorruptWeights("its header is not a table of tensors")
    entries = cast("dict[str, Any]", header)
    return entries, _metadata(entries.pop("__metadata__", {}))


def read_metadata(path: Path, what: str) -> Mapping[str, str]:
    """The text metadata of a file, from its header alone; cached while the file stays the same.

    `what` names, for errors, the model whose weights the file should hold: "a learned taste". Raises WrongWeights.
    """
    try:
        known = path.stat()
    except OSError as error:
        raise WrongWeights(path, what, detail=f"it cannot be read ({error})") from None
    if not stat.S_ISREG(known.st_mode):
        raise WrongWeights(path, what, detail="it is not a regular file")
    try:
        return _read(path, known.st_size, known.st_mtime_ns)
    except (OSError, CorruptWeights) as error:
        raise WrongWeights(path, what, detail=f"it is not a safetensors file ({error})") from None


@lru_cache(maxsize=256)
def _read(path: Path, size: int, mtime_ns: int) -> Mapping[str, str]:  # noqa: ARG001  part of the key: a changed file is read again
    with path.open("rb") as file:
        return MappingProxyType(parse_header(file.read(header_length(file.read(8), size)))[1])


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("the same name twice")
    return found


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is not a number")


def _metadata(entry: object) -> dict[str, str]:
    if not isinstance(entry, dict):
        raise CorruptWeights("its metadata is not a table")
    items = cast("Mapping[object, object]", entry).items()
    return {str(key): value for key, value in items if isinstance(value, str)}
