"""Image files to measure costs on: the user's own, or drawn ones."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, PngImagePlugin

from ...core.pictures.walk import Found, PassedOver, walk
from .planner import PlanError

if TYPE_CHECKING:
    from numpy.typing import NDArray

DRAWN = 6
MOST = 24
"""The most of the user's images that are measured, spread evenly over all that were found."""
_EXIF_IFD, _USER_COMMENT = 0x8769, 0x9286
INFOTEXT = (
    "a lighthouse on a cliff at dusk, waves breaking below, volumetric light, highly detailed\n"
    "Negative prompt: lowres, blurry, watermark\n"
    "Steps: 28, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7, Seed: 1234567890, Size: 1024x1024, "
    "Model hash: 0123456789, Model: example, Version: v1.10.1"
)


def chosen_files(paths: Sequence[Path], most: int = MOST) -> list[Path]:
    """Some of the images that are named or in the folders named. Raises PlanError if there are none."""
    entries = list(walk(paths))
    found = [entry.path for entry in entries if isinstance(entry, Found)]
    if not found:
        why = next((f": {entry.path}: {entry.reason}" for entry in entries if isinstance(entry, PassedOver)), "")
        raise PlanError(f"The sample has no images{why}.")
    places = np.linspace(0, len(found) - 1, min(most, len(found))).round().astype(int)
    return [found[place] for place in places]


def drawn_files(folder: Path, side: int, form: str) -> list[Path]:
    """Draws soft clouds of colour with grain, about as hard to compress as photographs; returns the files.

    `side` in pixels; `form` is png, jpeg or webp. They are saved as hosts save images, infotext included.
    """
    paths: list[Path] = []
    for number in range(DRAWN):
        random = np.random.RandomState(number)
        colours = 255 * np.stack([_clouds(random, side) for _ in range(3)], axis=-1)
        grain = random.normal(0, 2, (side, side, 1))
        paths.append(folder / f"{number}.{form}")
        paths[-1].write_bytes(_saved(Image.fromarray((colours + grain).clip(0, 255).astype(np.uint8)), form))
    return paths


def _clouds(random: np.random.RandomState, side: int) -> NDArray[np.float64]:
    """Noise [side, side] from 0 to 1 with the falling spectrum of natural pictures."""
    distance = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :])
    distance[0, 0] = np.inf
    found = np.fft.irfft2(np.fft.rfft2(random.standard_normal((side, side))) / distance**1.3, (side, side))
    return (found - found.min()) / (found.max() - found.min())


def _saved(picture: Image.Image, form: str) -> bytes:
    file = io.BytesIO()
    if form == "png":
        text = PngImagePlugin.PngInfo()
        text.add_text("parameters", INFOTEXT)
        picture.save(file, "PNG", pnginfo=text, compress_level=4)
    else:
        exif = Image.Exif()
        exif.get_ifd(_EXIF_IFD)[_USER_COMMENT] = b"UNICODE\0" + INFOTEXT.encode("utf-16-be")
        picture.save(file, form, quality=90, exif=exif)
    return file.getvalue()
