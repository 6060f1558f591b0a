"""The usual ways to turn a picture into a net's input, as data; a model that needs more brings its own view."""

# pyright: reportUnknownMemberType=false
# torch leaves parts of its interface untyped.
from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image, ImageOps

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)

RESAMPLING = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True)
class Preprocess:
    """A View: turns one picture into a float32 tensor [3, size, size].

    Resampling is always Pillow's own, on 8-bit pixels, as in the originals: no other library gives the same numbers.
    """

    size: int
    """Pixels."""
    fit: Literal["squash", "crop", "pad", "window"]
    """squash: both sides are scaled to `size`; crop: the short side is scaled and the centre kept (torchvision's Resize
    and CenterCrop); pad: the long side is scaled and the rest filled; window: nothing is scaled, the centre is kept and
    the rest filled."""
    resample: Literal["bilinear", "bicubic", "lanczos"] = "bicubic"
    enlarge: bool = True
    """Whether `pad` also scales small pictures up."""
    alpha: Literal["drop", "composite"] = "drop"
    """drop: Pillow's convert("RGB"), which reveals the colours under transparency; composite: blended over `background`
    in floating point, after resampling."""
    background: float = 0.0
    """The grey under transparency and in the filling, 0 to 1, before normalisation."""
    mean: tuple[float, float, float] = HALF
    std: tuple[float, float, float] = HALF
    turn: bool = False
    """Whether to apply the EXIF orientation; the originals do not."""

    def __call__(self, image: Image.Image) -> Tensor:
        import torch

        return torch.from_numpy(self.array(image))

    def array(self, image: Image.Image) -> NDArray[np.float32]:
        """Like the call, but returns an array that owns its memory."""
        picture = ImageOps.exif_transpose(image) if self.turn else image
        composite = self.alpha == "composite" and has_alpha(picture)
        picture = self._scaled(picture.convert("RGBA" if composite else "RGB"))
        pixels = np.asarray(picture)
        values = self._composite(pixels) if composite else self._table(pixels)
        return np.ascontiguousarray(self._placed(values))

    def _scaled(self, image: Image.Image) -> Image.Image:
        width, height = image.size
        if self.fit == "squash":
            wanted = (self.size, self.size)
        elif self.fit == "crop":
            short = min(width, height)
            wanted = (max(1, int(self.size * width / short)), max(1, int(self.size * height / short)))
        elif self.fit == "pad":
            scale = min(self.size / height, self.size / width)
            scale = scale if self.enlarge else min(scale, 1.0)
            wanted = (max(1, min(round(width * scale), self.size)), max(1, min(round(height * scale), self.size)))
        else:
            return image
        return image if wanted == image.size else image.resize(wanted, RESAMPLING[self.resample])

    def _table(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(x / 255 - mean) / std in float32, looked up: the same bits as torchvision's ToTensor and Normalize."""
        out = np.empty((3, *pixels.shape[:2]), dtype=np.float32)
        for channel, table in enumerate(_tables(self.mean, self.std)):
            np.take(table, pixels[:, :, channel], out=out[channel])
        return out

    def _composite(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        planes = np.moveaxis(pixels, 2, 0).astype(np.float32) / np.float32(255)
        alpha = planes[3:]
        mixed = planes[:3] * alpha + (np.float32(1) - alpha) * np.float32(self.background)
        return ((mixed - _column(self.mean)) / _column(self.std)).astype(np.float32, copy=False)

    def _placed(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cropped or filled to [3, size, size] about the centre; odd differences as in torchvision's CenterCrop."""
        _, height, width = values.shape
        if (height, width) == (self.size, self.size):
            return values
        canvas = np.empty((3, self.size, self.size), dtype=np.float32)
        canvas[:] = self._filling
        (to_y, from_y, tall), (to_x, from_x, wide) = (_overlap(side, self.size) for side in (height, width))
        canvas[:, to_y : to_y + tall, to_x : to_x + wide] = values[:, from_y : from_y + tall, from_x : from_x + wide]
        return canvas

    @cached_property
    def _filling(self) -> NDArray[np.float32]:
        return (np.float32(self.background) - _column(self.mean)) / _column(self.std)


def has_alpha(image: Image.Image) -> bool:
    """Whether a picture has transparency, as a channel or as a transparent colour."""
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def _overlap(side: int, size: int) -> tuple[int, int, int]:
    """Where their common part starts on the canvas and in the picture, and how long it is."""
    if side <= size:
        return (size - side) // 2, 0, side
    return 0, round((side - size) / 2.0), size


def _column(values: tuple[float, float, float]) -> NDArray[np.float32]:
    return np.asarray(values, dtype=np.float32).reshape(3, 1, 1)


@lru_cache(maxsize=32)
def _tables(mean: tuple[float, ...], std: tuple[float, ...]) -> tuple[NDArray[np.float32], ...]:
    grey = np.arange(256, dtype=np.float32) / np.float32(255)
    return tuple((grey - np.float32(m)) / np.float32(s) for m, s in zip(mean, std, strict=True))
