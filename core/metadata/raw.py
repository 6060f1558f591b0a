"""Extracts the texts from an image file's header, within limits; a hostile header never makes it fail."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, cast

from PIL import Image, UnidentifiedImageError

from ..errors import UnreadableImage, one_line
from ..files import open_regular
from .containers import JPEG, PNG, WEBP, Block, BrokenContainer, blocks, container_of, read_at

_TEXT_LIMIT = 16 << 20
"""Bytes of one text, uncompressed. A ComfyUI graph with embedded pictures can take several megabytes."""
_TOTAL_LIMIT = 48 << 20
_COUNT_LIMIT = 1000
XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\0"
_EXIF_HEAD = b"Exif\0\0"
_XMP_KEYWORD = "XML:com.adobe.xmp"
_OTHER_FORMATS = ("GIF", "TIFF", "AVIF", "JPEG2000", "BMP")


@dataclass
class RawMetadata:
    """What a file says about itself, unparsed."""

    texts: dict[str, str] = field(default_factory=dict[str, str])
    """PNG texts by keyword; a comment as "comment". If a keyword is repeated, the first text counts."""
    exif: bytes = b""
    """A TIFF structure, without the "Exif" head."""
    xmp: bytes = b""
    notes: list[str] = field(default_factory=list[str])
    """What was left out, and why."""
    _total: int = 0

    def add(self, key: str, text: bytes | str) -> None:
        """Takes a text if its key is new. If there is no room left, a note says so."""
        self._total += len(text)
        if self._total > _TOTAL_LIMIT or len(self.texts) >= _COUNT_LIMIT:
            self.note("more texts than are read")
        elif key not in self.texts:
            self.texts[key] = (text if isinstance(text, str) else decoded(text)).rstrip("\0")

    def note(self, text: str) -> None:
        """Adds a note, but only once."""
        if text not in self.notes:
            self.notes.append(one_line(text))


def read_raw(source: Path | bytes | Image.Image) -> RawMetadata:
    """The texts of a file, of a file's bytes, or of an image that Pillow opened from one.

    Damage inside the file becomes a note. Raises UnreadableImage (not_a_file, io) if the file cannot be opened.
    """
    if isinstance(source, Image.Image):
        return _from_image(source)
    if isinstance(source, bytes):
        return _from_file(BytesIO(source))
    try:
        with open_regular(source) as file:
            return _from_file(file)
    except FileNotFoundError as error:
        raise UnreadableImage(source, "not_a_file", "does not exist") from error
    except (OSError, ValueError) as error:
        raise UnreadableImage(source, "io", f"cannot be read: {error}") from error


def _from_file(file: BinaryIO) -> RawMetadata:
    raw = RawMetadata()
    container = container_of(file)
    if container:
        _walk(raw, file, container)
    else:
        _through_pillow(raw, file)
    return raw


def decoded(text: bytes) -> str:
    """Decodes UTF-8 if it is valid, else Latin-1, which accepts every byte."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _walk(raw: RawMetadata, file: BinaryIO, container: str) -> None:
    take = {PNG: _take_png, JPEG: _take_jpeg, WEBP: _take_webp}[container]
    try:
        for block in blocks(file, container):
            take(raw, file, block)
    except BrokenContainer as error:
        raw.note(f"metadata may be incomplete: the file {error}")


def _take_png(raw: RawMetadata, file: BinaryIO, block: Block) -> None:
    if block.kind not in ("tEXt", "zTXt", "iTXt", "comf", "eXIf"):
        return
    data = _bytes(raw, file, block)
    if data is None:
        return
    if block.kind == "eXIf":
        raw.exif = raw.exif or data.removeprefix(_EXIF_HEAD)
        return
    key, zero, rest = data.partition(b"\0")
    text = _png_text(raw, block.kind, rest) if zero else None
    if text is None:
        return
    if key.decode("latin-1") == _XMP_KEYWORD:
        raw.xmp = raw.xmp or text
    else:  # the keyword is Latin-1, and so is the content of tEXt and zTXt; hosts also write UTF-8 there
        raw.add(key.decode("latin-1"), text)


def _png_text(raw: RawMetadata, kind: str, rest: bytes) -> bytes | None:
    """What follows the keyword. ComfyUI's animated PNGs use a chunk kind of their own for it, "comf"."""
    if kind == "zTXt":
        return _inflate(raw, rest[1:])
    if kind != "iTXt":
        return rest
    compressed, rest = rest[:1] == b"\1", rest[2:]
    rest = rest.partition(b"\0")[2].partition(b"\0")[2]  # language, translated keyword
    return _inflate(raw, rest) if compressed else rest


def _bytes(raw: RawMetadata, file: BinaryIO, block: Block) -> bytes | None:
    if block.size > _TEXT_LIMIT:
        raw.note(f"a text of {block.size} bytes was ignored")
        return None
    return read_at(file, block.data, block.size)


def _inflate(raw: RawMetadata, data: bytes) -> bytes | None:
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(data, _TEXT_LIMIT)
    except zlib.error:
        raw.note("a damaged compressed text was ignored")
        return None
    if unpacker.unconsumed_tail:
        raw.note(f"a compressed text of more than {_TEXT_LIMIT >> 20} MiB was ignored")
        return None
    return text


def _take_jpeg(raw: RawMetadata, file: BinaryIO, block: Block) -> None:
    if block.kind not in ("APP1", "COM"):
        return
    data = read_at(file, block.data, block.size)
    if block.kind == "COM":
        raw.add("comment", data)
    elif data.startswith(_EXIF_HEAD):
        raw.exif = raw.exif or data[len(_EXIF_HEAD) :]
    elif data.startswith(XMP_HEAD):
        raw.xmp = raw.xmp or data[len(XMP_HEAD) :]


def _take_webp(raw: RawMetadata, file: BinaryIO, block: Block) -> None:
    if block.kind not in ("EXIF", "XMP "):
        return
    data = _bytes(raw, file, block)
    if data is None:
        return
    if block.kind == "EXIF":
        raw.exif = raw.exif or data.removeprefix(_EXIF_HEAD)
    else:
        raw.xmp = raw.xmp or data


def _through_pillow(raw: RawMetadata, file: BinaryIO) -> None:
    """Formats that we cannot walk ourselves: Pillow reads the header; no pixel is decoded."""
    file.seek(0)
    Image.init()
    formats = [name for name in _OTHER_FORMATS if name in Image.OPEN]
    try:
        with Image.open(file, formats=formats) as image:
            _take_info(raw, image)
    except UnidentifiedImageError:
        raw.note("not an image format that metadata is read from")
    except Exception as error:  # Pillow may raise anything for a hostile header; only the metadata is lost
        raw.note(f"metadata ignored: {error}")


def _from_image(image: Image.Image) -> RawMetadata:
    raw = RawMetadata()
    _take_info(raw, image)
    return raw


def _take_info(raw: RawMetadata, image: Image.Image) -> None:
    info = cast(Mapping[object, object], image.info)
    for key, value in info.items():
        if isinstance(value, (str, bytes)) and key not in ("exif", "xmp", "icc_profile", _XMP_KEYWORD):
            raw.add(str(key), value)
    exif, xmp = info.get("exif"), info.get("xmp") or info.get(_XMP_KEYWORD)
    if isinstance(exif, bytes):
        raw.exif = exif.removeprefix(_EXIF_HEAD)
    elif image.format == "TIFF":
        raw.exif = image.getexif().tobytes().removeprefix(_EXIF_HEAD)
    if isinstance(xmp, (str, bytes)):
        raw.xmp = xmp.encode() if isinstance(xmp, str) else xmp
