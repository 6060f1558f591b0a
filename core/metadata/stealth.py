"""Metadata hidden in the lowest bits of a picture, as NovelAI, Forge and extensions of the WebUI write it.

The bits run down the columns: of alpha, or of red, green and blue in turn. First a mark that says which, and whether
gzip was used; then the number of bits in 32; then the text. Only a few rows are decoded to look for the mark, and the
whole picture only where it stands.
"""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from .containers import PNG, PNG_SIGNATURE, BrokenContainer, blocks, container_of, read_at

MARK_BITS = 15 * 8
_MARKS = {b"stealth_pnginfo": False, b"stealth_pngcomp": True, b"stealth_rgbinfo": False, b"stealth_rgbcomp": True}
_PIXEL_LIMIT = 64_000_000
_TEXT_LIMIT = 4 << 20
_MOST_BITS = MARK_BITS + 32 + 8 * _TEXT_LIMIT
_CHANNELS = {2: 3, 6: 4}
"""Bytes a pixel, by PNG's colour type, for 8 bits a channel; other pictures hold no such text."""
Bits = npt.NDArray[np.uint8]


class BadStealth(ValueError):
    """The mark stands in the picture, but the text behind it cannot be read; the message says why."""


def hidden_text(file: BinaryIO) -> str:
    """The text that is hidden in a PNG file; empty if it has no mark. Raises BadStealth."""
    if container_of(file) != PNG:
        return ""
    rows = _first_rows(file)
    if rows is None or not any(bytes(np.packbits(bits[:MARK_BITS])) in _MARKS for bits in _both(rows)):
        return ""
    file.seek(0)
    try:
        with Image.open(file, formats=["PNG"]) as image:
            return hidden_in(image)
    except BadStealth:
        raise
    except Exception as error:  # Pillow may raise anything for a damaged file
        raise BadStealth(f"the picture with hidden metadata cannot be decoded: {error}") from error


def hidden_in(image: Image.Image) -> str:
    """The text that is hidden in an image of mode RGB or RGBA, which is decoded. Raises BadStealth."""
    if image.mode not in ("RGB", "RGBA") or image.width * image.height > _PIXEL_LIMIT:
        return ""
    for bits in _both(np.asarray(image)):
        if (zipped := _MARKS.get(bytes(np.packbits(bits[:MARK_BITS])))) is not None:
            return _payload(bits, zipped)
    return ""


def _both(pixels: npt.NDArray[np.uint8]) -> list[Bits]:
    """The lowest bits down the columns, of alpha and of the colours; uint8 [H, W, 3 or 4] becomes uint8 [n]."""
    columns = pixels.swapaxes(0, 1)[: _MOST_BITS // pixels.shape[0] + 1]
    kinds = (columns[..., 3], columns[..., :3]) if pixels.shape[2] == 4 else (columns,)
    return [(kind & np.uint8(1)).reshape(-1) for kind in kinds]


def _payload(bits: Bits, zipped: bool) -> str:
    length = int.from_bytes(bytes(np.packbits(bits[MARK_BITS : MARK_BITS + 32])), "big")
    if length > min(len(bits) - MARK_BITS - 32, 8 * _TEXT_LIMIT) or length % 8:
        raise BadStealth(f"hidden metadata of {length // 8} bytes does not fit into the picture")
    data = bytes(np.packbits(bits[MARK_BITS + 32 : MARK_BITS + 32 + length]))
    if zipped:
        unpacker = zlib.decompressobj(31)
        try:
            data = unpacker.decompress(data, _TEXT_LIMIT)
        except zlib.error as error:
            raise BadStealth("hidden metadata is damaged") from error
        if unpacker.unconsumed_tail:
            raise BadStealth(f"hidden metadata of more than {_TEXT_LIMIT >> 20} MiB was ignored")
    return data.decode("utf-8", "replace")


def _first_rows(file: BinaryIO) -> npt.NDArray[np.uint8] | None:
    """The rows whose first column holds the mark, uint8 [H, W, 3 or 4]; None for a picture that cannot hold one.

    A PNG is cut off after these rows before Pillow sees it, so that no more than them is decoded.
    """
    header = read_at(file, len(PNG_SIGNATURE) + 8, 13)
    if len(header) < 13:
        return None
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    channels = _CHANNELS.get(colour, 0)
    if not channels or depth != 8 or interlaced or not 0 < width * height <= _PIXEL_LIMIT:
        return None
    rows = min(height, MARK_BITS)
    wanted = rows * (width * channels + 1)
    packed = _pixels(file, wanted + wanted // 500 + 4096)
    raw = zlib.decompressobj()
    try:
        data = raw.decompress(packed, wanted)
    except zlib.error:
        return None
    if len(data) < wanted:
        return None
    cut = struct.pack(">IIBBBBB", width, rows, depth, colour, 0, 0, 0)
    png = PNG_SIGNATURE + _chunk(b"IHDR", cut) + _chunk(b"IDAT", zlib.compress(data, 0)) + _chunk(b"IEND", b"")
    with Image.open(BytesIO(png), formats=["PNG"]) as image:
        return np.asarray(image)


def _pixels(file: BinaryIO, most: int) -> bytes:
    """The beginning of the compressed pixels."""
    parts: list[bytes] = []
    try:
        for block in blocks(file, PNG):
            if block.kind == "IDAT":
                parts.append(read_at(file, block.data, min(block.size, most)))
                most -= len(parts[-1])
                if most <= 0:
                    break
    except BrokenContainer:
        pass
    return b"".join(parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
