"""What a realism detector sees of a picture: its middle, never scaled, since scaling wipes out a generator's traces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...core.pictures.preprocess import HALF, IMAGENET_MEAN, IMAGENET_STD

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image
    from torch import Tensor

__all__ = ["HALF", "IMAGENET_MEAN", "IMAGENET_STD", "Window", "normalised"]


@dataclass(frozen=True)
class Window:
    """The middle `size` x `size` pixels of a picture, padded with black; in grey by default.

    Bit for bit torchvision's Grayscale(3), CenterCrop(size), ToTensor and Normalize, which the study used.
    Transparency is dropped, not composited, as in the study.
    """

    size: int = 224
    grey: bool = True
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __call__(self, image: Image.Image) -> Tensor:
        """float32 [3, size, size]."""
        import torch

        return normalised(torch.from_numpy(self.pixels(image))[None], self)[0]

    def pixels(self, image: Image.Image, margin: int = 0) -> NDArray[np.uint8]:
        """The window before normalisation, [1 or 3, size + 2 margin, size + 2 margin]: one channel if grey."""
        side = self.size + 2 * margin
        canvas = np.zeros((1 if self.grey else 3, side, side), dtype=np.uint8)
        (to_y, from_y, tall), (to_x, from_x, wide) = (_overlap(length, side) for length in image.size[::-1])
        part = image.crop(
            (from_x, from_y, from_x + wide, from_y + tall)
        )  # converting works pixel by pixel, so crop first
        found = np.asarray(part.convert("L" if self.grey else "RGB"))
        planes = found[None] if self.grey else np.moveaxis(found, 2, 0)
        canvas[:, to_y : to_y + tall, to_x : to_x + wide] = planes
        return canvas

    def region(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        """The part of a picture of this size that is seen: left, top, right, bottom; beyond a small one's edges."""
        corners = [from_ - to for to, from_, _ in (_overlap(length, self.size) for length in size)]
        return (corners[0], corners[1], corners[0] + self.size, corners[1] + self.size)


def normalised(pixels: Tensor, window: Window) -> Tensor:
    """uint8 [B, 1 or 3, H, W] to float32 [B, 3, H, W], in torchvision's order of operations."""
    import torch

    values = pixels.float().div(255)
    column = lambda numbers: torch.tensor(numbers, device=pixels.device).view(1, 3, 1, 1)  # noqa: E731
    return values.expand(-1, 3, -1, -1).sub(column(window.mean)).div_(column(window.std))


def _overlap(side: int, size: int) -> tuple[int, int, int]:
    """Where the overlap starts on the canvas and on the picture, and its length, rounded as torchvision does."""
    if side <= size:
        return (size - side) // 2, 0, side
    return 0, round((side - size) / 2.0), size
