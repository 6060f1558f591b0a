"""The host's pictures in every form in which hooks hand them over."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image


def to_picture(image: Any) -> Image.Image:
    """A PIL picture of a [C, H, W] tensor in [0, 1], an [H, W, C] array, or a picture; rounded as the host rounds."""
    if isinstance(image, Image.Image):
        return image
    if isinstance(image, np.ndarray):
        return Image.fromarray(image if image.dtype == np.uint8 else _bytes(image))
    return Image.fromarray(_bytes(np.moveaxis(image.detach().float().cpu().numpy(), 0, 2)))


def _bytes(array: np.ndarray) -> np.ndarray:
    clean = np.nan_to_num(array, nan=0.0, posinf=1.0, neginf=0.0)
    return (255.0 * np.clip(clean, 0.0, 1.0)).astype(np.uint8)


def flaw_of(image: Any) -> str:
    """Why a picture cannot be judged whatever a model says; empty for sound ones."""
    if isinstance(image, Image.Image):
        return ""
    array = image if isinstance(image, np.ndarray) else image.detach().float().cpu().numpy()
    if array.dtype == np.uint8 or np.isfinite(array.sum(dtype=np.float64)):
        return ""
    return "its pixels are not numbers (NaN or infinite)"


def same(one: Image.Image, other: Image.Image) -> bool:
    """Whether two pictures have the same pixels."""
    return one.mode == other.mode and one.size == other.size and one.tobytes() == other.tobytes()
