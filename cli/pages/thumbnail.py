"""Thumbnails small enough to be embedded in a report."""

from __future__ import annotations

import io
from base64 import b64encode
from typing import TYPE_CHECKING

from PIL import Image, features

if TYPE_CHECKING:
    from collections.abc import Iterator

EDGE = 176
"""The longer edge in pixels."""
BUDGET = 2640
"""Bytes before base64, so that ten thousand thumbnails take less than 40 MB."""


def thumbnail(image: Image.Image) -> str:
    """A data URI of at most 4 KB with a small copy of the image, which is not modified.

    Quality is reduced before size until the copy fits the budget: noise ends up with a few hundred pixels.
    """
    kind = "webp" if features.check("webp") else "jpeg"
    small = _reduced(image, EDGE, alpha=kind == "webp")
    encoded = b""
    for edge, quality in _attempts():
        if max(small.size) > edge:
            small = small.resize(_fitted(small.size, edge), Image.Resampling.BOX)
        encoded = _encode(small, kind, quality)
        if len(encoded) <= BUDGET:
            break
    return f"data:image/{kind};base64,{b64encode(encoded).decode()}"


def _attempts() -> Iterator[tuple[int, int]]:
    for edge in (EDGE, 128, 96, 64, 32):
        yield from ((edge, quality) for quality in ((65, 40, 20) if edge == EDGE else (35, 15)))


def _reduced(image: Image.Image, edge: int, *, alpha: bool) -> Image.Image:
    """A copy within edge x edge, as RGB or RGBA; large images are first reduced by whole factors, for speed."""
    transparent = alpha and ("A" in image.getbands() or "transparency" in image.info)
    size = _fitted(image.size, edge)
    if image.mode not in ("RGB", "RGBA"):
        image = image.convert("RGBA" if transparent else "RGB")
    small = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    return small.convert("RGBA" if transparent else "RGB")


def _fitted(size: tuple[int, int], edge: int) -> tuple[int, int]:
    scale = min(1.0, edge / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _encode(image: Image.Image, kind: str, quality: int) -> bytes:
    into = io.BytesIO()
    extra = {"method": 2} if kind == "webp" else {"optimize": True}
    image.save(into, kind.upper(), quality=quality, **extra)
    return into.getvalue()
