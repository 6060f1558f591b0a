"""Pictures of every kind that FARAMIR's preprocessing treats differently, and random weights, both from fixed seeds.

Imported by the tests, and by the scripts that run the originals in their own environments: nothing of Keepers here.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

REFUSED = ("grey-alpha.png", "palette-transparent.png", "grey-keyed.png", "thin.png")
"""What the original cannot open or resize."""
PROFILED = ("profile.png", "profile-grey.png")


def scene(width: int, height: int, seed: int) -> Image.Image:
    """Soft colours with a few hard shapes and some noise."""
    random = np.random.RandomState(seed)
    small = Image.fromarray(random.randint(0, 256, (5, 7, 3)).astype(np.uint8))
    pixels = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)).astype(np.int16)
    for _ in range(6):
        x, y = random.randint(0, width), random.randint(0, height)
        pixels[y : y + height // 4, x : x + width // 4] = random.randint(0, 256, 3)
    pixels += random.randint(-9, 10, pixels.shape).astype(np.int16)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def with_alpha(width: int, height: int, seed: int) -> Image.Image:
    """A scene that fades out to the right."""
    picture = scene(width, height, seed).convert("RGBA")
    fade = np.linspace(255, 0, width).astype(np.uint8)
    picture.putalpha(Image.fromarray(np.ascontiguousarray(np.broadcast_to(fade, (height, width)))))
    return picture


def swapped_profile() -> bytes:
    """An sRGB profile with red and green exchanged: valid, and visible when it is applied."""
    icc = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    entries = {bytes(icc[at : at + 4]): at for at in range(132, 132 + 12 * int.from_bytes(icc[128:132], "big"), 12)}
    red, green = entries[b"rXYZ"], entries[b"gXYZ"]
    icc[red + 4 : red + 12], icc[green + 4 : green + 12] = icc[green + 4 : green + 12], icc[red + 4 : red + 12]
    return bytes(icc)


def write_pictures(folder: Path, only: Iterable[str] | None = None) -> list[str]:
    """Writes all pictures, or some, and returns their names, in order."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [name for name in PICTURES if only is None or name in set(only)]
    for name in names:
        picture, options = PICTURES[name]()
        picture.save(folder / name, **options)
    return names


Made = tuple[Image.Image, dict[str, Any]]


def _rgb(width: int, height: int, seed: int) -> Callable[[], Made]:
    return lambda: (scene(width, height, seed), {})


SIZES = ((384, 384), (512, 512), (1024, 1536), (1000, 333), (301, 203), (37, 900), (2400, 1500), (640, 511), (8, 5))
PICTURES: dict[str, Callable[[], Made]] = {
    **{f"rgb-{size[0]}x{size[1]}.png": _rgb(*size, seed) for seed, size in enumerate(SIZES)},
    "alpha.png": lambda: (with_alpha(600, 700, 20), {}),
    "alpha-profile.png": lambda: (with_alpha(600, 700, 21), {"icc_profile": swapped_profile()}),
    "profile.png": lambda: (scene(700, 560, 22), {"icc_profile": swapped_profile()}),
    "grey.png": lambda: (scene(500, 560, 23).convert("L"), {}),
    "bilevel.png": lambda: (scene(530, 400, 24).convert("1"), {}),
    "palette.png": lambda: (scene(540, 570, 25).convert("P"), {}),
    "cmyk.tif": lambda: (scene(540, 571, 26).convert("CMYK"), {}),
    "keyed.png": lambda: (scene(555, 520, 27), {"transparency": (0, 0, 0)}),
    "profile-grey.png": lambda: (scene(520, 600, 28).convert("L"), {"icc_profile": swapped_profile()}),
    "alpha-small.webp": lambda: (with_alpha(250, 210, 29), {"lossless": True}),
    "pixel.png": lambda: (scene(1, 1, 30), {}),
    "palette-profile.png": lambda: (
        scene(540, 572, 31).convert("P"),
        {"icc_profile": swapped_profile(), "transparency": 3},
    ),
    "grey-alpha.png": lambda: (with_alpha(400, 300, 32).convert("LA"), {}),
    "palette-transparent.png": lambda: (scene(540, 572, 31).convert("P"), {"transparency": 3}),
    "grey-keyed.png": lambda: (scene(400, 410, 33).convert("L"), {"transparency": 40}),
    "thin.png": lambda: (scene(3000, 2, 34), {}),
}


def random_tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Values for a tensor of any of the four published files, by its name: sane enough that nothing saturates."""
    random = np.random.RandomState(zlib.crc32(name.encode()))
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, dtype=np.int64)
    values = random.random_sample(shape).astype(np.float32) * 2 - 1
    if name.endswith(("latent", "gamma_p", "gamma_m", "alpha", "pos_embed")):
        return values
    if len(shape) > 1:
        return values * np.float32(np.sqrt(3 / np.prod(shape[1:])))
    if name.endswith(("running_var", "stddev")) or (name.endswith("weight") and "linear" not in name):
        scale = {"own.norm.q_norm.stddev": 0.05, "own.norm.ap_norm.stddev": 0.3}.get(name, 1.0)
        return np.asarray((1 + values / 2) * scale, dtype=np.float32)
    return values * np.float32(0.2)
