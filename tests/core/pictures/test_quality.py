"""What a file's header says of its compression."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from keepers.core.pictures.open import image_header
from keepers.core.pictures.quality import LOSSLESS

NOISE = Image.fromarray(np.random.RandomState(0).randint(0, 256, (64, 96, 3)).astype(np.uint8))


def quality(kind: str, picture: Image.Image = NOISE, **options: Any) -> int:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    found = image_header(file.getvalue())
    assert (found.width, found.height) == picture.size
    return found.quality


@pytest.mark.parametrize("asked", [30, 50, 75, 90, 95, 100])
def test_a_jpeg_tells_the_quality_it_was_saved_with(asked: int) -> None:
    assert abs(quality("JPEG", quality=asked) - asked) <= 1
    assert quality("JPEG", Image.new("RGB", (64, 64)), quality=asked) == quality("JPEG", quality=asked)


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("WEBP", {"lossless": True})])
def test_lossless_files(kind: str, options: dict[str, Any]) -> None:
    assert quality(kind, **options) == LOSSLESS


def test_other_lossy_files_are_estimated_by_their_size() -> None:
    strong, mild = (quality("WEBP", quality=asked) for asked in (5, 95))
    assert 0 < strong < mild < LOSSLESS


def test_few_colours_are_no_lossless_copy() -> None:
    assert quality("GIF") == quality("PNG", NOISE.quantize(64)) < 90
