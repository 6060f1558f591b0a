"""Reads from an image file how the image was generated: A1111 and Forge infotext, ComfyUI prompts."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from .comfy_read import read_comfy
from .generation import Generation
from .infotext import Infotext, parse_infotext
from .raw import RawMetadata, decoded, read_raw
from .record import KEY, from_json
from .xmp import record_in

_USER_COMMENT, _EXIF_IFD = 0x9286, 0x8769
_COMFY_TAGS = (0x0110, *range(0x010F, 0x0100, -1))
"""Where ComfyUI's WebP keeps its texts: "prompt:{...}" in Model, "workflow:{...}" and others from Make downwards."""
_COMFY_TEXT = re.compile(r"([\w .-]{1,80}):\s*(?=[\[{\"])")
_XMP_TEXT = re.compile(
    rb"<(exif:UserComment|dc:description|xmp:parameters)\b[^>]{0,500}>(.{0,200000}?)</\1>", re.DOTALL
)
_TAG = re.compile(r"<[^<>]{0,500}>")


def read_generation(source: Path | bytes | Image.Image) -> Generation:
    """The generation metadata of a file, or of an image that Pillow opened, read from headers alone.

    Damaged, hostile or unknown metadata leaves the result emptier and adds notes, but never raises.
    Raises UnreadableImage only if the file itself cannot be opened.
    """
    raw = read_raw(source)
    _take_exif(raw)
    _take_xmp(raw)
    record = from_json(raw.texts.get(KEY, ""))
    return replace(_interpret(raw), texts=raw.texts, notes=tuple(raw.notes), record=record)


def _interpret(raw: RawMetadata) -> Generation:
    if infotext := next(filter(None, map(parse_infotext, _infotexts(raw.texts))), None):
        return _from_infotext(infotext)
    if comfy := read_comfy(raw.texts):
        for note in comfy.notes:
            raw.note(note)
        if comfy.source:
            return comfy
    if "parameters" in raw.texts:
        raw.note("the parameters lack the line of settings that A1111 writes")
    return Generation(source=KEY if KEY in raw.texts else "")


def _infotexts(texts: Mapping[str, str]) -> list[str]:
    return [texts[key] for key in ("parameters", "UserComment", "comment", "xmp", "postprocessing") if key in texts]


def _from_infotext(found: Infotext) -> Generation:
    get = found.settings.get
    size = re.fullmatch(r"(\d{1,6})x(\d{1,6})", get("Size", ""))
    return Generation(
        found.positive,
        found.negative,
        _number(int, get("Seed", "")),
        get("Sampler", ""),
        get("Schedule type", ""),
        _number(int, get("Steps", "")),
        _number(float, get("CFG scale", "")),
        get("Model", "") or get("Model hash", ""),
        int(size[1]) if size else None,
        int(size[2]) if size else None,
        "a1111",
        found.settings,
    )


def _number(kind: type[Any], text: str) -> Any:
    try:
        value = kind(text[:40])
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def _take_exif(raw: RawMetadata) -> None:
    if not raw.exif:
        return
    try:
        exif = Image.Exif()
        exif.load(b"Exif\0\0" + raw.exif)
        comment = exif.get_ifd(_EXIF_IFD).get(_USER_COMMENT)
        entries = [value for tag in _COMFY_TAGS if isinstance(value := exif.get(tag), str)]
    except Exception as error:  # Pillow may raise anything for a hostile EXIF block; only the metadata is lost
        raw.note(f"EXIF ignored: {error}")
        return
    if isinstance(comment, (bytes, str)):
        raw.add("UserComment", user_comment(comment) if isinstance(comment, bytes) else comment)
    for text in entries:
        if found := _COMFY_TEXT.match(text):
            raw.add(found[1], text[found.end() :].rstrip("\0"))


def user_comment(data: bytes) -> str:
    """The text of an EXIF UserComment, whose first eight bytes name its encoding."""
    head, body = data[:8], data[8:]
    if head == b"UNICODE\0":
        if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return body.decode("utf-16", "replace").rstrip("\0")
        # A1111 always writes big endian, others use the file's byte order: the zeros in Latin text show which.
        big = body[0::2].count(0) >= body[1::2].count(0)
        return body.decode("utf-16-be" if big else "utf-16-le", "replace").rstrip("\0")
    if head in (b"ASCII\0\0\0", b"\0" * 8):
        return decoded(body).rstrip("\0")
    return decoded(data).rstrip("\0")


def _take_xmp(raw: RawMetadata) -> None:
    """Our record in JPEG and WebP files; and some tools keep the infotext in XMP when they convert files."""
    if record := record_in(raw.xmp):
        raw.add(KEY, record)
    for found in _XMP_TEXT.finditer(raw.xmp[: 1 << 20]):
        text = html.unescape(_TAG.sub("", decoded(found[2]))).strip()
        if parse_infotext(text):
            raw.add("xmp", text)
            return
