"""A stub of modules.images: saving with the host's folders, numbers, callbacks and text files, and grids."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from modules import script_callbacks, shared
from PIL import Image, PngImagePlugin


def image_grid(pictures: list[Any], batch_size: int = 1) -> Any:
    """All pictures in a row; enough to count them by its width."""
    grid = Image.new("RGB", (sum(one.width for one in pictures), pictures[0].height))
    left = 0
    for one in pictures:
        grid.paste(one, (left, 0))
        left += one.width
    return grid


def _next_number(folder: Path) -> int:
    numbers = [int(m[1]) for path in folder.iterdir() if (m := re.match(r"(?:grid-)?(\d{4,5})", path.name))]
    return max(numbers, default=-1) + 1


def save_image(
    image: Any,
    path: str,
    basename: str,
    seed: Any = None,
    prompt: Any = None,
    extension: str = "png",
    info: str | None = None,
    short_filename: bool = False,
    grid: bool = False,
    p: Any = None,
    suffix: str = "",
    pnginfo_section_name: str = "parameters",
    existing_info: dict[str, str] | None = None,
    forced_filename: str | None = None,
) -> tuple[str, str | None]:
    """As the host's, in the order of the host's steps."""
    folder = Path(path)
    if shared.opts.save_to_dirs:
        folder = folder / "2026-01-31"
    folder.mkdir(parents=True, exist_ok=True)
    number = f"{_next_number(folder):05}" if not basename else f"{basename}-{_next_number(folder):04}"
    name = forced_filename or (f"{number}-{seed}{suffix}" if not short_filename else f"{number}{suffix}")
    pnginfo = existing_info or {}
    if info is not None:
        pnginfo[pnginfo_section_name] = info
    params = script_callbacks.ImageSaveParams(image, p, str(folder / f"{name}.{extension}"), pnginfo)
    script_callbacks.call("before_image_saved", params)
    image, full = params.image, params.filename
    text = PngImagePlugin.PngInfo()
    if shared.opts.enable_pnginfo:
        for key, value in params.pnginfo.items():
            text.add_text(key, str(value))
    stem, ending = os.path.splitext(full)  # noqa: PTH122 - as the host does it
    temporary = f"{stem}.tmp"
    if ending == ".png":
        image.save(temporary, format="PNG", pnginfo=text)
    else:
        image.convert("RGB").save(temporary, format="JPEG")
    Path(temporary).replace(full)
    image.already_saved_as = full
    beside = None
    if shared.opts.save_txt and info is not None:
        beside = f"{stem}.txt"
        Path(beside).write_text(f"{info}\n", encoding="utf8")
    script_callbacks.call("image_saved", params)
    return full, beside
