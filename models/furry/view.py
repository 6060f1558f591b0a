"""TensorFlow's `tf.image.resize`, in numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image
    from torch import Tensor


@dataclass(frozen=True)
class SquashView:
    """Both sides scaled to `size` by TensorFlow's bilinear resize, then (x / 255 - mean) / std.

    That resize blends four neighbours without a low-pass filter, so large pictures alias; the nets were trained so.
    Transparency is dropped, not composited. For equal pixels, the result is bit for bit TensorFlow's on the CPU.
    """

    size: int
    """Pixels."""
    mean: float
    std: float

    def __call__(self, image: Image) -> Tensor:
        import torch

        pixels = np.asarray(image.convert("RGB"))
        values = resize(pixels, self.size) / np.float32(255)
        values = (values - np.float32(self.mean)) / np.float32(self.std)
        return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))


def resize(pixels: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """[h, w, c] to float32 [size, size, c], 0 to 255; only the pixels that contribute are read."""
    top, bottom, down = _neighbours(pixels.shape[0], size)
    left, right, across = _neighbours(pixels.shape[1], size)
    across, down = across[None, :, None], down[:, None, None]
    upper = _blend(pixels[top][:, left], pixels[top][:, right], across)
    lower = _blend(pixels[bottom][:, left], pixels[bottom][:, right], across)
    return np.asarray(upper + (lower - upper) * down, dtype=np.float32)


def _blend(one: NDArray[np.uint8], other: NDArray[np.uint8], share: NDArray[np.float32]) -> NDArray[np.float32]:
    first = one.astype(np.float32)
    return np.asarray(first + (other.astype(np.float32) - first) * share, dtype=np.float32)


def _neighbours(length: int, size: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """For every output pixel: the input pixels before and after it, and its position between them, 0 to 1."""
    scale = np.float32(length) / np.float32(size)
    place = (np.arange(size, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5)
    below = np.floor(place)
    before = np.maximum(below, 0).astype(np.intp)
    after = np.minimum(np.ceil(place), length - 1).astype(np.intp)
    return before, after, place - below
