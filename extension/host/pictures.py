"""The host's pictures, in every form that its hooks hand over."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from PIL import Image


def to_picture(image: Any) -> Image.Image:
    """A PIL picture from a [C, H, W] tensor in [0, 1], an [H, W, C] array or a picture, rounded as the host does."""
    if isinstance(image, Image.Image):
        return image
    if isinstance(image, np.ndarray):
        return Image.fromarray(image if image.dtype == np.uint8 else (255.0 * np.clip(image, 0, 1)).astype(np.uint8))
    # Convert to bytes before reordering: a quarter of the memory moves.
    values = image.detach().float().clamp(0, 1).mul_(255).byte()
    return Image.fromarray(values.permute(1, 2, 0).contiguous().cpu().numpy())


def flaw_of(image: Any) -> str:
    """Why no model could judge this picture; empty for a sound one."""
    if isinstance(image, Image.Image) or getattr(image, "dtype", None) == np.uint8:
        return ""
    # A sum of numbers in [0, 1] is finite, and one with NaN or infinity is not: much faster than checking each.
    total = float(np.sum(image, dtype=np.float64)) if isinstance(image, np.ndarray) else float(image.detach().sum())
    return "" if math.isfinite(total) else "its pixels are not numbers (NaN or infinite)"


def same(one: Image.Image, other: Image.Image) -> bool:
    """Whether two pictures have the same pixels."""
    return one.mode == other.mode and one.size == other.size and one.tobytes() == other.tobytes()
