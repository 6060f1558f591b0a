"""Pictures of two classes that look alike: soft coloured blobs, and in one class a faint texture in one place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SPOT = 48
"""Side of the textured square."""
EDGE = 20
"""Pixels at the border that never have texture."""


def picture(seed: int, *, textured: bool, side: int = 160) -> tuple[Image.Image, tuple[int, int]]:
    """A picture, and the middle of the place where the texture is, or would be."""
    random = np.random.default_rng([seed, int(textured)])
    coarse = random.integers(0, 256, (6, 6, 3), dtype=np.uint8)
    base = np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC), dtype=np.float32)
    base = base + random.normal(0, 3, base.shape)
    x, y = random.integers(EDGE, side - EDGE - SPOT + 1, 2)
    if textured:
        rows, columns = np.mgrid[0:SPOT, 0:SPOT]
        wave = 14 * np.where((rows + columns) % 4 < 2, 1.0, -1.0)
        base[y : y + SPOT, x : x + SPOT] += wave[:, :, None]
    return Image.fromarray(np.clip(base, 0, 255).astype(np.uint8)), (int(x) + SPOT // 2, int(y) + SPOT // 2)


def write_set(folder: Path, count: int, *, side: int = 160, random_labels: bool = False) -> dict[str, list[Path]]:
    """Two folders, "plain" and "textured", of `count` pictures each, as PNG."""
    chance = np.random.default_rng(7)
    folders = {"plain": [folder / "plain"], "textured": [folder / "textured"]}
    for name, (path,) in folders.items():
        path.mkdir(parents=True)
        for number in range(count):
            textured = bool(chance.integers(2)) if random_labels else name == "textured"
            seed = number + (0 if name == "plain" else 100_000)
            picture(seed, textured=textured, side=side)[0].save(path / f"{name}_{chr(97 + number % 26)}{number}x.png")
    return folders
