"""Puts a record into an image file and changes nothing else in it.

A PNG gets a text chunk "keepers", a JPEG or WebP the XMP property keepers:record. EXIF is left alone: hosts keep the
infotext in its UserComment. The compressed pixels and every other block stay the same, byte for byte; only a WebP
without a VP8X header gets one, since its format requires it with XMP.
"""

from __future__ import annotations

import errno
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from ..errors import UnreadableImage, WriteFailed
from ..files import atomic_write, check_unchanged, open_regular, stamp
from .containers import JPEG, PNG, WEBP, Block, BrokenContainer, blocks, container_of
from .raw import XMP_HEAD, read_raw
from .record import KEY, Record, from_json, to_json
from .xmp import record_in, with_record

_FILE_LIMIT = 1 << 30
_SEGMENT_LIMIT = 65533
_XMP_FLAG, _ALPHA_FLAG = 0x04, 0x10


def png_text(record: Record) -> tuple[str, str]:
    """Keyword and text for PngInfo.add_text, for hosts that save PNGs themselves."""
    return KEY, to_json(record)


def read_record(path: Path) -> Record | None:
    """The record in a file, or None. Raises UnreadableImage if the file cannot be opened."""
    raw = read_raw(path)
    text = raw.texts.get(KEY) or record_in(raw.xmp)
    return from_json(text) if text else None


def embed(path: Path, record: Record, *, keep_mtime: bool = False) -> None:
    """Writes a record into a PNG, JPEG or WebP file, in place of an earlier one; the file is replaced as a whole.

    If the file has several hard links, only this name gets the record; a symbolic link stays one.
    Raises UnreadableImage (format_not_allowed, truncated, corrupt, too_large, changed, io, not_a_file) and WriteFailed,
    and leaves the file as it was.
    """
    path = path.resolve()
    before = stamp(path)
    if before.size > _FILE_LIMIT:
        raise UnreadableImage(path, "too_large", f"has more than {_FILE_LIMIT >> 30} GiB")
    try:
        with open_regular(path) as file:
            data = file.read()
    except OSError as error:
        raise UnreadableImage(path, "io", f"cannot be read: {error.strerror}") from error
    try:
        changed = embedded(data, record)
    except BrokenContainer as error:
        raise UnreadableImage(path, error.code, f"{error}; it was left as it is") from error
    except OverflowError as error:
        raise WriteFailed(path, OSError(errno.EFBIG, str(error))) from error
    check_unchanged(path, before)
    atomic_write(path, changed, mtime_ns=before.mtime_ns if keep_mtime else None)


def embedded(data: bytes, record: Record) -> bytes:
    """The bytes of a PNG, JPEG or WebP file with the record in them.

    Raises BrokenContainer (empty, format_not_allowed, truncated, corrupt), and OverflowError if a JPEG has no room.
    """
    file = BytesIO(data)
    container = container_of(file)
    if not data:
        raise BrokenContainer("empty", "is empty")
    if not container:
        raise BrokenContainer("format_not_allowed", "is not PNG, JPEG or WebP, the formats that can carry a record")
    put: Callable[[bytes, list[Block], str], bytes] = {PNG: _into_png, JPEG: _into_jpeg, WEBP: _into_webp}[container]
    return put(data, list(blocks(file, container)), to_json(record))


def _into_png(data: bytes, found: list[Block], text: str) -> bytes:
    for block in found:
        if zlib.crc32(data[block.start + 4 : block.end - 4]) != struct.unpack(">I", data[block.end - 4 : block.end])[0]:
            raise BrokenContainer("corrupt", f"has a wrong checksum in its {block.kind} chunk")
    if found[0].kind != "IHDR" or not any(block.kind == "IDAT" for block in found):
        raise BrokenContainer("corrupt", "has no picture")
    # Before the picture, where every reader finds it, and before the first frame control of an animation.
    place = next(block.start for block in found if block.kind in ("IDAT", "fcTL"))
    return _spliced(data, place, _chunk(b"tEXt", KEY.encode() + b"\0" + text.encode("ascii")), _own_texts(data, found))


def _own_texts(data: bytes, found: list[Block]) -> list[Block]:
    head = KEY.encode() + b"\0"
    return [b for b in found if b.kind in ("tEXt", "zTXt", "iTXt") and data.startswith(head, b.data)]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _spliced(data: bytes, place: int, new: bytes, without: list[Block]) -> bytes:
    """The data with `new` inserted at `place`, without some blocks."""
    parts: list[bytes] = []
    at = 0
    for start, end, insert in sorted([(place, place, new), *((b.start, b.end, b"") for b in without)]):
        parts += [data[at:start], insert]
        at = end
    return b"".join([*parts, data[at:]])


def _into_jpeg(data: bytes, found: list[Block], text: str) -> bytes:
    if data.rfind(b"\xff\xd9", found[-1].end) < 0:
        raise BrokenContainer("truncated", "is cut off: its end is missing")
    old = next((b for b in found if b.kind == "APP1" and data.startswith(XMP_HEAD, b.data)), None)
    packet = XMP_HEAD + with_record(data[old.data + len(XMP_HEAD) : old.end] if old else b"", text)
    if len(packet) > _SEGMENT_LIMIT:
        raise OverflowError(f"the record needs {len(packet)} bytes, a JPEG has room for {_SEGMENT_LIMIT}")
    segment = b"\xff\xe1" + struct.pack(">H", len(packet) + 2) + packet
    return _spliced(data, old.start if old else _after_head(found), segment, [old] if old else [])


def _after_head(found: list[Block]) -> int:
    """Where the leading JFIF and Exif segments end. Later ones may hold offsets relative to themselves (MPF)."""
    leading = 2
    for block in found:
        if block.kind not in ("APP0", "APP1"):
            break
        leading = block.end
    return leading


def _into_webp(data: bytes, found: list[Block], text: str) -> bytes:
    if not found or not any(block.kind in ("VP8 ", "VP8L", "ANMF") for block in found):
        raise BrokenContainer("corrupt", "has no picture")
    old = next((b for b in found if b.kind == "XMP "), None)
    packet = with_record(data[old.data : old.data + old.size] if old else b"", text)
    body, head = data, found[0]
    if head.kind == "VP8X":
        body = body[: head.data] + bytes([body[head.data] | _XMP_FLAG]) + body[head.data + 1 :]
        start = b""
    else:
        start = _riff(b"VP8X", _extended_header(data, head))
    end, riff_end = found[-1].end, 8 + struct.unpack("<I", data[4:8])[0]
    if end != riff_end:
        raise BrokenContainer("corrupt", "has bytes outside any chunk")
    new = b"\0" * (end & 1) + _riff(b"XMP ", packet)
    content = b"WEBP" + start + _spliced(body[:end], end, new, [old] if old else [])[12:]
    return b"RIFF" + struct.pack("<I", len(content)) + content + data[riff_end:]


def _riff(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) & 1)


def _extended_header(data: bytes, head: Block) -> bytes:
    """The VP8X content for a plain WebP: flags, three zero bytes, then width - 1 and height - 1 in 24 bits each."""
    body = data[head.data : head.data + 10]
    if head.kind == "VP8L" and len(body) >= 5 and body[0] == 0x2F:
        bits = struct.unpack("<I", body[1:5])[0]
        size, alpha = (bits & 0x3FFF, bits >> 14 & 0x3FFF), bits >> 28 & 1
    elif head.kind == "VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", body[6:10])
        size, alpha = ((width & 0x3FFF) - 1, (height & 0x3FFF) - 1), 0
    else:
        raise BrokenContainer("corrupt", "has no picture where it should begin")
    flags = _XMP_FLAG | (_ALPHA_FLAG if alpha else 0)
    return bytes([flags, 0, 0, 0]) + b"".join(side.to_bytes(3, "little") for side in size)
