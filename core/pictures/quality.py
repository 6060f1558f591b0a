"""How little a file's compression has cost its picture, as far as the header tells: 1 to 100, 101 for none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from PIL import ImageFile

LOSSLESS = 101
UNKNOWN = 0
_PALETTE = 50
"""256 colours at most: better than strong compression, worse than mild."""
_STANDARD = 3688
"""The sum of the luminance table in annex K of the JPEG standard, which libjpeg uses as it is for quality 50."""
_BITS = ((4.0, 95), (2.0, 90), (1.0, 80), (0.5, 65), (0.25, 45), (0.0, 30))
"""From so many bits a pixel on, a file without tables counts as so good; in octaves, as pictures differ."""


def quality_of(picture: ImageFile.ImageFile, size: int) -> int:
    """The quality of an opened file of `size` bytes. JPEG tells by its tables, other lossy formats by bits a pixel."""
    kind = picture.format or ""
    if kind in ("JPEG", "MPO"):
        return _jpeg_quality(cast("dict[int, Any]", getattr(picture, "quantization", None) or {}))
    if kind == "GIF" or picture.mode == "P":
        return _PALETTE
    lossy = kind in ("AVIF", "JPEG2000") or (kind == "WEBP" and not _lossless_webp(picture))
    if lossy or "jpeg" in str(picture.info.get("compression", "")):
        bits = 8 * size / max(1, picture.width * picture.height)
        return next(quality for least, quality in _BITS if bits >= least)
    return LOSSLESS


def _jpeg_quality(tables: dict[int, Any]) -> int:
    """libjpeg's quality with about these tables; equal settings give equal numbers."""
    if 0 not in tables:
        return UNKNOWN
    scale = 100 * sum(tables[0]) / _STANDARD
    return min(100, max(1, round(100 - scale / 2 if scale <= 100 else 5000 / scale)))


def _lossless_webp(picture: ImageFile.ImageFile) -> bool:
    file = picture.fp
    if file is None:
        return False
    file.seek(0)
    return b"VP8L" in file.read(1 << 16)
