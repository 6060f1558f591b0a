"""Finds the tensors in what torch.save, torch.jit.save and fastai write, without torch.load.

torch.load with weights_only refuses whole modules, legacy files, exported learners and TorchScript archives, and
accepts tensors whose strides make gigabytes out of one number. Here all kinds are read the same way: the pickle is read
as data (`inert_pickle`), and a tensor is a checked place in the mapped file.
"""

from __future__ import annotations

import mmap
import struct
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch

from ...errors import CorruptWeights, UnsafeWeights
from .inert_pickle import MOST_BYTES, Name, Stored, as_dict, as_list, read_pickle
from .state_dict import Storage, state_dict
from .tensor_file import MOST_TENSORS, Spot

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_STORAGES = {
    "DoubleStorage": torch.float64, "FloatStorage": torch.float32, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8, "BoolStorage": torch.bool,
    "UntypedStorage": torch.uint8,
}  # fmt: skip


def looks_like_zip(buffer: mmap.mmap) -> bool:
    """Whether the file starts like a zip archive, which torch.save has written since 1.6, and torch.jit.save writes."""
    return buffer[:4] == b"PK\x03\x04"


def looks_like_pickle(buffer: mmap.mmap) -> bool:
    """Whether the file starts like a pickle of protocol 2 to 5, which torch.save wrote before 1.6."""
    return buffer[:1] == b"\x80" and buffer[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")


def read_zip(buffer: mmap.mmap, path: Path) -> dict[str, Spot]:
    """The places of the tensors in a zip archive. Raises CorruptWeights or UnsafeWeights."""
    with path.open("rb") as file:
        members, tree, order, root = _opened(file)
    return state_dict(tree, _zip_storages(buffer, members, f"{root}data/", order))


def _opened(file: BinaryIO) -> tuple[dict[str, zipfile.ZipInfo], Any, str, str]:
    """The members of an archive, the tree its pickle describes, its byte order, and its root folder."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = {info.filename: info for info in archive.infolist()}
            if len(members) > 2 * MOST_TENSORS:
                raise CorruptWeights(f"it has {len(members):,} members")
            root = _root(members)
            tree = read_pickle(BytesIO(_small(archive, members[f"{root}data.pkl"], MOST_BYTES)))
            order = _order(archive, members.get(f"{root}byteorder"))
    # Besides its own errors, zipfile seeks to impossible places when the directory is damaged.
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
        EOFError,
        struct.error,
        OSError,
        ValueError,
    ) as error:
        raise CorruptWeights(f"its archive is damaged ({error})") from None
    return members, tree, order, root


def _root(members: dict[str, zipfile.ZipInfo]) -> str:
    roots = [name.removesuffix("data.pkl") for name in members if name.endswith("/data.pkl") or name == "data.pkl"]
    roots = [root for root in roots if root.count("/") <= 1]
    if len(roots) != 1:
        raise CorruptWeights("it is an archive, but not one that torch writes")
    return roots[0]


def _small(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> bytes:
    if info.file_size > most or info.compress_type != zipfile.ZIP_STORED:
        raise UnsafeWeights(f"its member {info.filename!r:.200} is compressed or too large")
    return archive.read(info)


def _order(archive: zipfile.ZipFile, info: zipfile.ZipInfo | None) -> str:
    order = _small(archive, info, 16).decode("ascii", "replace") if info else "little"
    if order not in ("little", "big"):
        raise CorruptWeights(f"its byte order is {order!r}")
    return order


def _zip_storages(
    buffer: mmap.mmap, members: dict[str, zipfile.ZipInfo], folder: str, order: str
) -> Callable[[Stored], Storage]:
    def find(stored: Stored) -> Storage:
        dtype, key, count, _ = _described(stored)
        info = members.get(f"{folder}{key}")
        if info is None:
            raise CorruptWeights(f"its storage {key!r:.200} is missing")
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 or info.file_size != info.compress_size:
            raise UnsafeWeights(f"its member {info.filename!r:.200} is compressed or encrypted")
        if count * dtype.itemsize > info.file_size:
            raise CorruptWeights(f"its storage {key!r:.200} is shorter than its {count:,} elements")
        return Storage(dtype, _start(buffer, info), count, order)

    return find


def _start(buffer: mmap.mmap, info: zipfile.ZipInfo) -> int:
    at = info.header_offset
    if not 0 <= at <= len(buffer) - _LOCAL_HEADER.size:
        raise CorruptWeights("its archive is damaged (a member outside the file)")
    mark, *_, name, extra = _LOCAL_HEADER.unpack_from(buffer, at)
    start = at + _LOCAL_HEADER.size + name + extra
    if mark != b"PK\x03\x04" or start + info.file_size > len(buffer):
        raise CorruptWeights("its archive is damaged (a member outside the file)")
    return start


def read_legacy(buffer: mmap.mmap) -> dict[str, Spot]:
    """The places of the tensors in a file that torch.save wrote before 1.6: five pickles, then the storages."""
    buffer.seek(0)
    if read_pickle(buffer) != LEGACY_MAGIC:
        raise CorruptWeights("it is a pickle, but not one that torch.save writes")
    stored: list[Stored] = []
    _version, system = read_pickle(buffer), read_pickle(buffer)
    tree, keys = read_pickle(buffer, stored), read_pickle(buffer)
    order = "little" if (as_dict(system) or {}).get("little_endian", True) else "big"
    starts = _legacy_starts(buffer, keys, {_described(one).key: one for one in stored if _is_storage(one)}, order)

    def find(stored: Stored) -> Storage:
        kind = _described(stored)
        start, available = starts.get(kind.key, (0, -1))
        if kind.shift + kind.elements > available:
            raise CorruptWeights(f"its storage {kind.key!r:.200} is missing or too short")
        return Storage(kind.dtype, start + kind.shift * kind.dtype.itemsize, kind.elements, order)

    return state_dict(tree, find)


def _legacy_starts(buffer: mmap.mmap, keys: Any, stored: dict[str, Stored], order: str) -> dict[str, tuple[int, int]]:
    """The first byte and the elements of each storage. They come one after another, each after its element count."""
    at, starts = buffer.tell(), dict[str, tuple[int, int]]()
    for key in as_list(keys):
        count = int.from_bytes(buffer[at : at + 8], "little" if order == "little" else "big", signed=True)
        if not isinstance(key, str) or key not in stored or count < 0 or key in starts:
            raise CorruptWeights("its list of storages is damaged")
        starts[key] = (at + 8, count)
        at += 8 + count * _described(stored[key]).dtype.itemsize
        if at > len(buffer):
            raise CorruptWeights(f"it ends at byte {len(buffer):,}, in the middle of a tensor")
    return starts


def _is_storage(stored: Stored) -> bool:
    """Whether it is not a module's class with its source, which legacy files also keep outside the pickle."""
    return as_list(stored.key)[:1] != ["module"]


class _Described(NamedTuple):
    """What a pickle says about a storage."""

    dtype: torch.dtype
    key: str
    elements: int
    shift: int
    """How many elements into the storage a view of it starts (legacy files only)."""


def _described(stored: Stored) -> _Described:
    match stored.key:
        case ("storage", Name(_, kind), str(key), _, int(count)):
            found = (kind, key, count, 0)
        case ("storage", Name(_, kind), str(key), _, int(count), None):
            found = (kind, key, count, 0)
        case ("storage", Name(_, kind), str(key), _, int(), (_, int(shift), int(count))):
            found = (kind, key, count, shift)
        case _:
            found = ("", "", 0, 0)
    kind, key, count, shift = found
    if kind not in _STORAGES or not 0 <= count < 1 << 62 or not 0 <= shift < 1 << 62:
        raise UnsafeWeights("it names a kind of storage that no tensor file needs")
    return _Described(_STORAGES[kind], key, count, shift)
