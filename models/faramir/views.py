"""What FARAMIR sees of a picture: a fit to 384 x 384 and a crop of 512 x 512, in the original's arithmetic.

The original's quirks, each kept while `faithful`:
- transparency becomes black, except a colour that an RGB picture declares transparent;
- an ICC profile of a picture with an alpha channel is ignored;
- the crop is the top left corner, not the centre; of a picture smaller than it, only what lies right of and below
  the place where the picture would start if centred;
- pixels are divided by 255 in float16;
- small pictures are not enlarged, and lie on black; the EXIF orientation is ignored.
What the original refuses is answered all the same: grey or palette pictures with transparency are converted by way of
RGBA, a broken profile counts as sRGB, and a very thin picture keeps a side of one pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageCms

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

FIT = 384
CROP = 512
PATCHED = 378
"""Where the last whole patch of 14 pixels ends."""
ALPHA_MODES = ("RGBA", "LA", "PA", "RGBa", "La")

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class PictureView:
    """The whole picture, fitted into 384 x 384 on black: [3, 384, 384], 0 to 1."""

    faithful: bool = True

    def __call__(self, image: Image.Image) -> Tensor:
        picture = to_srgb(image, self.faithful)
        scale = min(FIT / picture.width, FIT / picture.height, 1.0)
        width, height = (max(1, min(round(side * scale), FIT)) for side in picture.size)
        if (width, height) != picture.size:
            picture = picture.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
        return on_black(picture, FIT, (FIT - width) // 2, (FIT - height) // 2, self.faithful)

    def region(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        """What the 27 x 27 patches cover, in the pixels of a picture of this size."""
        scale = min(FIT / size[0], FIT / size[1], 1.0)
        fitted = [max(1, min(round(side * scale), FIT)) for side in size]
        across, down = (side / small for side, small in zip(size, fitted, strict=True))
        left, top = ((FIT - small) // 2 for small in fitted)
        return -left * across, -top * down, (PATCHED - left) * across, (PATCHED - top) * down


@dataclass(frozen=True)
class QualityView:
    """What ARNIQA sees, at full scale: [3, 512, 512], 0 to 1."""

    faithful: bool = True

    def __call__(self, image: Image.Image) -> Tensor:
        # Cropping first gives the same pixels as converting first, because conversion works pixel by pixel.
        cut = cut_out(image, self.box(*image.size))
        left, top = ((CROP - min(side, CROP)) // 2 for side in image.size)
        picture = to_srgb(cut, self.faithful) if min(cut.size) else cut
        return on_black(picture, CROP, left, top, self.faithful)

    def box(self, width: int, height: int) -> Box:
        """The part of the picture that is seen; it may reach beyond the picture's edges."""
        wide, tall = min(width, CROP), min(height, CROP)
        if self.faithful:  # the original takes positions on the canvas for positions in the picture
            left, top = (CROP - wide) // 2, (CROP - tall) // 2
        else:
            left, top = (width - wide) // 2, (height - tall) // 2
        return left, top, left + wide, top + tall


def cut_out(image: Image.Image, box: Box) -> Image.Image:
    """Part of a picture with its profile and transparency; the canvas is black beyond the picture's edges."""
    inside = (min(box[0], image.width), min(box[1], image.height), min(box[2], image.width), min(box[3], image.height))
    part = image.crop(inside)
    part.info = dict(image.info)
    return part


def to_srgb(image: Image.Image, faithful: bool = True) -> Image.Image:
    """In mode RGB, or RGBa (colours multiplied by alpha) where there is transparency; the image stays as it is."""
    transparent = image.mode in ALPHA_MODES or image.info.get("transparency") is not None
    if not transparent:
        return _profiled(image, _opaque_source(image)).convert("RGB")
    if image.mode == "RGB" and faithful and not image.info.get("icc_profile"):
        return image.convert("RGB")  # the original's RGBa with full alpha, which older Pillow does not make from RGB
    full = image if image.mode == "RGBA" else image.convert("RGBA")
    return (full if faithful else _profiled_alpha(image, full)).convert("RGBa")


def _opaque_source(image: Image.Image) -> Image.Image:
    return image.convert("RGB") if image.mode == "P" else image


def _profiled(image: Image.Image, source: Image.Image) -> Image.Image:
    """`source` in sRGB by the profile of `image`; unchanged where there is none that works."""
    profile = image.info.get("icc_profile")
    if not profile:
        return source
    try:
        return _transform(profile, source)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return source


def _profiled_alpha(image: Image.Image, full: Image.Image) -> Image.Image:
    colours = _profiled(image, full.convert("RGB"))
    return Image.merge("RGBA", (*colours.split(), full.getchannel("A")))


HIGH_RESOLUTION = 0x0400
BLACK_POINT = 0x2000
FLAGS = {
    ImageCms.Intent.PERCEPTUAL: HIGH_RESOLUTION,
    ImageCms.Intent.RELATIVE_COLORIMETRIC: HIGH_RESOLUTION | BLACK_POINT,
    ImageCms.Intent.ABSOLUTE_COLORIMETRIC: HIGH_RESOLUTION,
}
"""Little CMS's own numbers: their names differ between Pillow's versions."""


def _transform(icc: bytes, source: Image.Image) -> Image.Image:
    """Relative colorimetric with black point compensation where the profile can, else the profile's own intent."""
    profile = ImageCms.ImageCmsProfile(BytesIO(icc))
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    if ImageCms.isIntentSupported(profile, intent, ImageCms.Direction.INPUT) != 1:
        intent = ImageCms.Intent(ImageCms.getDefaultIntent(profile))
    if intent not in FLAGS:  # the original gives up on saturation and treats the picture as sRGB
        return source
    flags: Any = FLAGS[intent]
    made = ImageCms.profileToProfile(source, profile, _srgb(), renderingIntent=intent, outputMode="RGB", flags=flags)
    return source if made is None else made


@lru_cache(maxsize=1)
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def on_black(picture: Image.Image, size: int, left: int, top: int, faithful: bool) -> Tensor:
    """The colours of an RGB or RGBa picture, pasted on black at a position: [3, size, size], 0 to 1."""
    import torch

    canvas = np.zeros((3, size, size), dtype=np.float32)
    width, height = picture.size
    if width and height:
        pixels, table = np.asarray(picture), _table(faithful)
        for channel in range(3):
            canvas[channel, top : top + height, left : left + width] = table[pixels[:, :, channel]]
    return torch.from_numpy(canvas)


@lru_cache(maxsize=2)
def _table(faithful: bool) -> NDArray[np.float32]:
    """Each of the 256 levels divided by 255: in float16, as the original does, or in float32."""
    levels = np.arange(256, dtype=np.float16 if faithful else np.float32)
    levels /= 255.0
    return levels.astype(np.float32)
