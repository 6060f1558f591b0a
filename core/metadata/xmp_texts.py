"""The few texts of an XMP packet that say how a picture was made, found in one pass over it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from .raw import RawMetadata, decoded
from .record import KEY
from .xmp import record_in

_LIMIT = 4 << 20
_VALUE_LIMIT = 1 << 20
_NAMES = {
    "UserComment": "UserComment",
    "description": "xmp",
    "Description": "xmp",
    "parameters": "parameters",
    "prompt": "prompt",
    "workflow": "workflow",
    "CreatorTool": "CreatorTool",
    "ImageDescription": "ImageDescription",
    "DigImageGUID": "DigImageGUID",
}
"""By property: the keyword under which its text is kept. Savers choose prefixes as they like, so any counts."""
_PROPERTY = rf"[A-Za-z]\w{{0,40}}:({'|'.join(_NAMES)})"
_FOUND = re.compile(rf"<((?!rdf:){_PROPERTY})(?:\s[^<>]{{0,500}})?(?<!/)>|(?<![\w:/<]){_PROPERTY}\s?=\s?([\"'])")
_TAG = re.compile(r"<[^<>]{0,500}>")


def take_xmp(raw: RawMetadata) -> None:
    """Adds our record, and the texts of known properties; the first that is not empty counts."""
    if record := record_in(raw.xmp):
        raw.add(KEY, record)
    if len(raw.xmp) > _LIMIT:
        raw.note(f"of the XMP packet, only the first {_LIMIT >> 20} MiB were read")
    for key, value in dict(reversed(list(_values(_text(raw.xmp[:_LIMIT]))))).items():
        raw.add(key if key not in raw.texts else f"xmp {key}", value)


def _text(packet: bytes) -> str:
    return packet.decode("utf-16", "replace") if packet[:2] in (b"\xff\xfe", b"\xfe\xff") else decoded(packet)


def _values(packet: str) -> Iterator[tuple[str, str]]:
    """Keywords and texts in order. A search that finds no end is not repeated, so that the time stays linear."""
    at, endless = 0, set[str]()
    while found := _FOUND.search(packet, at):
        at = found.end()
        mark = found[4] or f"</{found[1]}>"
        end = -1 if mark in endless else packet.find(mark, at)
        if end < 0:
            endless.add(mark)
            continue
        value = html.unescape(_TAG.sub("", packet[at : min(end, at + _VALUE_LIMIT)])).strip()
        at = end
        if value:
            yield _keyword(found[2] or found[3], value), value


def _keyword(name: str, value: str) -> str:
    """The keyword of a property. A prompt that is no graph stands where an infotext is expected."""
    return "parameters" if name == "prompt" and value[:1] != "{" else _NAMES[name]
