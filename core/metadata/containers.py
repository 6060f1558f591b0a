"""Walks the blocks of PNG, JPEG and WebP files without decoding a pixel."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

PNG, JPEG, WEBP = "png", "jpeg", "webp"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_BLOCKS = 200_000
_MAX_STRAY = 4096


class Block(NamedTuple):
    """One PNG chunk, JPEG segment or WebP chunk; positions count bytes from the file's start."""

    kind: str
    """"tEXt"; "APP1", "SOS"; "VP8X", "XMP "."""
    start: int
    data: int
    """Where its content begins; it is `size` bytes long."""
    size: int
    end: int
    """Where the next block begins, after the checksum or padding."""


class BrokenContainer(ValueError):
    """The file ends early or breaks the rules of its format. `code` is as in UnreadableImage."""

    def __init__(self, code: str, detail: str) -> None:
        self.code = code
        super().__init__(detail)


def container_of(file: BinaryIO) -> str:
    """PNG, JPEG or WEBP, or empty for another format; reads twelve bytes."""
    head = read_at(file, 0, 12)
    if head.startswith(PNG_SIGNATURE):
        return PNG
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    return WEBP if head[:4] == b"RIFF" and head[8:] == b"WEBP" else ""


def blocks(file: BinaryIO, container: str) -> Iterator[Block]:
    """The blocks of a file in order; of a JPEG up to its first scan. Raises BrokenContainer for a damaged file."""
    walk: Callable[[BinaryIO, int], Iterator[Block]] = {PNG: _png, JPEG: _jpeg, WEBP: _webp}[container]
    size = file.seek(0, os.SEEK_END)
    for count, block in enumerate(walk(file, size)):
        if block.end > size:
            raise BrokenContainer("truncated", f"is cut off inside its {block.kind.strip()} block")
        if count >= _MAX_BLOCKS:
            raise BrokenContainer("corrupt", f"has more than {_MAX_BLOCKS} blocks")
        yield block


def read_at(file: BinaryIO, position: int, size: int) -> bytes:
    """Up to `size` bytes from a position."""
    file.seek(position)
    return file.read(size)


def _png(file: BinaryIO, _size: int) -> Iterator[Block]:
    at, kind = len(PNG_SIGNATURE), ""
    while kind != "IEND":
        head = read_at(file, at, 8)
        if len(head) < 8:
            raise BrokenContainer("truncated", "is cut off: its end is missing")
        length, name = struct.unpack(">I4s", head)
        if length >= 1 << 31 or not name.isalpha():
            raise BrokenContainer("corrupt", "has an invalid chunk")
        kind = name.decode("ascii")
        yield Block(kind, at, at + 8, length, at + 12 + length)
        at += 12 + length


def _jpeg(file: BinaryIO, size: int) -> Iterator[Block]:
    at, stray = 2, 0
    while at < size:
        head = read_at(file, at, 4)
        if len(head) < 4:
            break
        if head[0] != 0xFF or head[1] in (0x00, 0xFF):  # like decoders, we skip stray bytes between segments
            at, stray = at + 1, stray + 1
            if stray > _MAX_STRAY:
                raise BrokenContainer("corrupt", "has no marker where one is required")
            continue
        marker, length = head[1], struct.unpack(">H", head[2:])[0]
        if marker == 0xD9 or length < 2:
            raise BrokenContainer("corrupt", "ends before its picture")
        yield Block(_jpeg_name(marker), at, at + 4, length - 2, at + 2 + length)
        if marker == 0xDA:
            return
        at += 2 + length
    raise BrokenContainer("truncated", "is cut off before its picture")


def _jpeg_name(marker: int) -> str:
    if 0xE0 <= marker <= 0xEF:
        return f"APP{marker - 0xE0}"
    return {0xDA: "SOS", 0xFE: "COM"}.get(marker, f"{marker:02X}")


def _webp(file: BinaryIO, size: int) -> Iterator[Block]:
    end = 8 + struct.unpack("<I", read_at(file, 4, 4))[0]
    if end > size:
        raise BrokenContainer("truncated", f"is cut off: {end - size} bytes are missing")
    at = 12
    while at + 8 <= end:
        name, length = struct.unpack("<4sI", read_at(file, at, 8))
        after = at + 8 + length
        if after > end:
            raise BrokenContainer("corrupt", "has a chunk that reaches past its end")
        after = min(after + (length & 1), end)
        yield Block(name.decode("latin-1"), at, at + 8, length, after)
        at = after
