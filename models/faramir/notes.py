"""What a user should know about how FARAMIR saw a picture: the original's quirks, and pictures that it refuses."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from PIL import ImageCms

from ...core.pictures.preprocess import has_alpha
from .views import CROP, FIT

if TYPE_CHECKING:
    from PIL.Image import Image

ORIENTATION = 0x0112


def notes(image: Image, faithful: bool = True) -> tuple[str, ...]:
    """Short sentences, most important first; none for an ordinary picture that ARNIQA sees whole."""
    found = [f"the original refuses {why}; it is answered as {how}" for why, how in _refused(image)]
    if faithful and has_alpha(image) and image.info.get("icc_profile"):
        found.append("its colour profile is ignored under transparency, as by the original")
    if image.mode in ("RGBA", "RGBa") or found:
        found.append("what is transparent counts as black")
    if int(image.getexif().get(ORIENTATION, 1)) != 1:
        found.append("its EXIF orientation is ignored, as by the original")
    if faithful and max(image.size) > CROP:
        found.append("ARNIQA saw only the top left 512 pixels, as in the original")
    if faithful and min(image.size) < CROP // 3:
        found.append("ARNIQA saw nothing of a picture this small, as in the original")
    return tuple(found)


def _refused(image: Image) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    icc = image.info.get("icc_profile")
    keyed = image.info.get("transparency") is not None
    if image.mode in ("LA", "La", "PA") or (keyed and image.mode != "RGB" and not (image.mode == "P" and icc)):
        found.append(("grey or palette pictures with transparency", "RGBA"))
    if icc and not _sound(icc):
        found.append(("a broken colour profile", "sRGB"))
    if min(image.size) * min(FIT / max(image.size), 1.0) <= 0.5:
        found.append(("a picture this thin", "one pixel wide"))
    return found


def _sound(icc: bytes) -> bool:
    try:
        ImageCms.ImageCmsProfile(BytesIO(icc))
    except (OSError, TypeError, ValueError):
        return False
    return True
