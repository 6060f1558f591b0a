"""Batches whose order and augmentation depend only on seed, epoch and step, so that a training can resume anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ...models.realism.view import Window, normalised

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .recipe import Augment

STRENGTH = 0.2
"""The largest relative change of brightness, contrast and saturation."""
GREYS = (0.299, 0.587, 0.114)


def order(places: NDArray[np.intp], seed: int, epoch: int) -> NDArray[np.intp]:
    """The samples in the order of an epoch."""
    return np.random.default_rng([seed, epoch]).permutation(places)


def plain(pixels: NDArray[np.uint8], places: NDArray[np.intp], margin: int, window: Window) -> Tensor:
    """float32 [B, 3, size, size], as the detector sees images in use."""
    found = pixels[places]
    if margin:
        found = found[:, :, margin:-margin, margin:-margin]
    return normalised(torch.from_numpy(np.ascontiguousarray(found)), window)


def augmented(
    pixels: NDArray[np.uint8],
    places: NDArray[np.intp],
    margin: int,
    window: Window,
    augment: Augment,
    seed: tuple[int, int, int],
) -> Tensor:
    """As `plain`, but randomly shifted, mirrored and relit; `seed` is the training's seed, the epoch and the step."""
    if augment == "none":
        return plain(pixels, places, margin, window)
    random = np.random.default_rng([*seed, 1])
    shifts = random.integers(0, 2 * margin + 1, (len(places), 2))
    mirrored = random.random(len(places)) < 0.5
    cut = np.empty((len(places), pixels.shape[1], window.size, window.size), dtype=np.uint8)
    for row, (place, (y, x), flip) in enumerate(zip(places, shifts, mirrored, strict=True)):
        part = pixels[place, :, y : y + window.size, x : x + window.size]
        cut[row] = part[:, :, ::-1] if flip else part
    batch = torch.from_numpy(cut)
    if augment == "colour":
        batch = _relit(batch, torch.from_numpy(random.uniform(1 - STRENGTH, 1 + STRENGTH, (3, len(places), 1, 1, 1))))
    return normalised(batch, window)


def _relit(batch: Tensor, factors: Tensor) -> Tensor:
    """Changes brightness, contrast about the mean, and saturation; a factor of 1 changes nothing."""
    bright, contrast, saturation = factors.float()
    values = batch.float() * bright
    values = (values - values.mean((1, 2, 3), keepdim=True)) * contrast + values.mean((1, 2, 3), keepdim=True)
    if values.shape[1] == 3:
        grey = (values * torch.tensor(GREYS).view(1, 3, 1, 1)).sum(1, keepdim=True)
        values = (values - grey) * saturation + grey
    return values.clamp(0, 255).round().to(torch.uint8)
