"""The texts of an Exif block: the UserComment, descriptions and comments, and texts that savers put into other tags."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping

from PIL import Image

from .raw import RawMetadata, decoded

_USER_COMMENT, _EXIF_IFD = 0x9286, 0x8769
_DESCRIPTION, _SOFTWARE = 0x010E, 0x0131
_WINDOWS = {0x9C9C: "XPComment", 0x9C9B: "XPTitle", 0x9C9F: "XPSubject", 0x9C9E: "XPKeywords"}
_CAMERAS = (0x010F, 0x0110)
"""Make and Model. Without a keyword in front they are a camera's name, except for JSON of old SwarmUI versions."""
_KEYED = re.compile(r"([A-Za-z][\w .-]{0,79}):\s{0,8}(?=[\[{\"])")
"""ComfyUI and many savers for it put "prompt:{...}" into one tag and "workflow:{...}" into another, in any order."""
_TRIED = 2000
"""Characters by which the byte order of a text is found out."""


def take_exif(raw: RawMetadata) -> None:
    """Adds the texts of the Exif block. Whatever is wrong with it becomes a note."""
    if not raw.exif:
        return
    try:
        exif = Image.Exif()
        exif.load(b"Exif\0\0" + raw.exif)
        inner = exif.get_ifd(_EXIF_IFD)
        tags = dict(exif) | {_USER_COMMENT: inner.get(_USER_COMMENT) or exif.get(_USER_COMMENT)}
    except Exception as error:  # Pillow may raise anything for a hostile EXIF block; only the metadata is lost
        raw.note(f"EXIF ignored: {error}")
        return
    for key, text in _texts(tags):
        raw.add(key, text)


def _texts(tags: Mapping[int, object]) -> Iterator[tuple[str, str]]:
    for tag, value in sorted(tags.items()):
        if tag == _USER_COMMENT and isinstance(value, (bytes, str)):
            yield from _named("UserComment", user_comment(value) if isinstance(value, bytes) else value)
        elif tag in _WINDOWS and isinstance(value, bytes):
            yield _WINDOWS[tag], value.decode("utf-16-le", "replace").rstrip("\0")
        elif isinstance(value, str):
            yield from _tag(tag, _utf_8(value).strip("\0"))


def _utf_8(value: str) -> str:
    """A text that Pillow took for Latin-1, as the standard has it; most programs write UTF-8."""
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value


def _tag(tag: int, value: str) -> Iterator[tuple[str, str]]:
    if _KEYED.match(value):
        yield from _named("", value)
    elif tag == _SOFTWARE:
        yield "Software", value
    elif tag == _DESCRIPTION or (tag in _CAMERAS and value[:1] == "{"):
        yield ("ImageDescription" if tag == _DESCRIPTION else "parameters"), value


def _named(key: str, value: str) -> Iterator[tuple[str, str]]:
    """A text under its keyword; under the one that stands in front of it, if there is one."""
    value = value.rstrip("\0")
    found = _KEYED.match(value)
    word = found[1].strip() if found else ""
    if found and (not key or word.lower() in ("prompt", "workflow", "parameters")):
        yield (word.lower() if word.lower() in ("prompt", "workflow", "parameters") else word), value[found.end() :]
    elif value.strip():
        yield key, value


def user_comment(data: bytes) -> str:
    """The text of an EXIF UserComment, whose first eight bytes name its encoding, often a wrong one."""
    head, body = data[:8], data[8:]
    if head in (b"UNICODE\0", b"Unicode\0"):
        return _unicode(body).rstrip("\0")
    if head in (b"ASCII\0\0\0", b"JIS\0\0\0\0\0", b"\0" * 8):
        return _unmarked(body)
    return _unmarked(data.removeprefix(b"charset=Unicode "))


def _unmarked(body: bytes) -> str:
    """A text whose encoding is named wrongly or not at all: UTF-16 if every other byte of it is nought."""
    tried = body[:_TRIED].rstrip(b"\0")
    if body[:2] in (b"\xff\xfe", b"\xfe\xff") or 3 * tried.count(0) > len(tried):
        return _unicode(body).rstrip("\0")
    return decoded(body).rstrip("\0")


def _unicode(body: bytes) -> str:
    """UTF-16 as its mark says. Without one, UTF-8 where it can be that, else the byte order that gives known letters.

    A1111 always writes big endian, others use the file's byte order, and some write UTF-8 under the name of UTF-16.
    """
    if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return body.decode("utf-16", "replace")
    if b"\0" not in body.rstrip(b"\0"):
        try:
            return body.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
        except UnicodeDecodeError:
            pass
    big, little = (body.decode(order, "replace") for order in ("utf-16-be", "utf-16-le"))
    return big if _strangeness(big) <= _strangeness(little) else little


def _strangeness(text: str) -> int:
    """How many characters no language writes, and how many change the script: both are many in the wrong byte order."""
    tried = text[:_TRIED].rstrip("\0")
    odd = sum(unicodedata.category(one) in ("Cn", "Co", "Cs") or one in "\0\ufffd" for one in tried)
    blocks = [ord(one) >> 8 for one in tried]
    return 4 * odd + len(set(blocks))
