"""ComfyUI's IMAGE tensors as pictures, quantised exactly as SaveImage does, so that a verdict holds for the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from ...core.judging.case import Subject

if TYPE_CHECKING:
    from torch import Tensor

_CHANNELS = (1, 3, 4)


@dataclass(frozen=True)
class Frame:
    """One image among those that came in."""

    batch: int
    """The index of its tensor in the list."""
    index: int
    """Its place in that tensor."""
    pixels: Tensor
    """[H, W, C], a view into the tensor; never written to."""


def frames(images: Sequence[Tensor | None] | None) -> list[Frame]:
    """The images of a list of batches, in order. Raises ValueError, which says what is wrong with a tensor."""
    found: list[Frame] = []
    for place, batch in enumerate(images or ()):
        if batch is not None:
            found += [Frame(place, index, pixels) for index, pixels in enumerate(_checked(batch))]
    return found


def _checked(batch: Tensor) -> Tensor:
    if not isinstance(batch, torch.Tensor) or not batch.is_floating_point():
        kind = batch.dtype if isinstance(batch, torch.Tensor) else type(batch).__name__
        raise ValueError(f"An IMAGE holds numbers from 0 to 1 as floats, but this one is {kind}.")
    if batch.ndim == 3:
        batch = batch[None]
    if batch.ndim != 4 or batch.shape[3] not in _CHANNELS:
        shape = list(batch.shape)
        raise ValueError(f"An IMAGE has the shape [images, height, width, channels], but this one has {shape}.")
    return batch.detach() if batch.shape[1] and batch.shape[2] else batch[:0]


def picture(pixels: Tensor) -> Image.Image:
    """An 8-bit picture of [H, W, C] in [0, 1]: clipped, then truncated, in the tensor's own precision, as SaveImage."""
    if pixels.dtype == torch.bfloat16:
        pixels = pixels.float()  # numpy has no bfloat16
    with np.errstate(invalid="ignore"):  # NaN becomes some grey, as in SaveImage; such an image goes to review
        values = np.clip(255.0 * pixels.detach().cpu().numpy(), 0, 255).astype(np.uint8)
    return Image.fromarray(values[:, :, 0] if values.shape[2] == 1 else values)


def flaw(pixels: Tensor) -> str:
    """Why an image cannot be judged: NaN or infinity in its pixels; else empty."""
    low, high = torch.aminmax(pixels)  # a NaN anywhere shows in both, at a quarter of the time that isfinite takes
    return "" if torch.isfinite(low + high) else "its pixels are not all numbers (NaN or infinity)"


def subjects(found: Sequence[Frame], *, checked: bool = False) -> list[Subject]:
    """The judge's input. With `checked`, the pixels are known to be sound and are not checked again."""
    return [
        Subject(
            open=lambda pixels=frame.pixels: picture(pixels),
            flaw="" if checked else flaw(frame.pixels),
            name=f"image {number}",
        )
        for number, frame in enumerate(found)
    ]
