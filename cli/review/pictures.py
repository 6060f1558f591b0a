"""The pictures of a review, reduced for a browser, and kept while they may be requested again."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from PIL import Image, ImageOps

from ...core.pictures.open import open_image

Size = Literal["small", "large"]
EDGES: dict[Size, int] = {"small": 200, "large": 1600}
QUALITY: dict[Size, int] = {"small": 78, "large": 92}
BUDGET = 192 << 20
"""Bytes of finished pictures that are kept."""
AT_ONCE = 3
"""Pictures that are decoded at once: each may take hundreds of megabytes."""
BEHIND = (128, 128, 128)
"""The colour behind transparency."""


class Pictures:
    """JPEGs of the files in a list, by position; no other file is ever opened. Safe to use from many threads."""

    def __init__(self, paths: Sequence[Path], budget: int = BUDGET) -> None:
        self._paths = list(paths)
        self._budget = budget
        self._kept: OrderedDict[tuple[int, Size], bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self._decoding = threading.Semaphore(AT_ONCE)

    def __len__(self) -> int:
        return len(self._paths)

    def jpeg(self, index: int, size: Size) -> bytes:
        """The picture within a square of EDGES pixels. Raises UnreadableImage, also for a file that is gone."""
        key = (index, size)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        with self._decoding:
            data = _shrunk(self._paths[index], size)
        with self._lock:
            self._bytes += len(data) - len(self._kept.pop(key, b""))
            self._kept[key] = data
            while self._bytes > self._budget and len(self._kept) > 1:
                _, dropped = self._kept.popitem(last=False)
                self._bytes -= len(dropped)
        return data


def _shrunk(path: Path, size: Size) -> bytes:
    picture = ImageOps.exif_transpose(open_image(path))
    edge = EDGES[size]
    picture = _flat(picture)
    way = Image.Resampling.LANCZOS if size == "large" else Image.Resampling.BOX
    picture.thumbnail((edge, edge), way, reducing_gap=2.0)
    into = io.BytesIO()
    picture.save(into, "JPEG", quality=QUALITY[size])
    return into.getvalue()


def _flat(picture: Image.Image) -> Image.Image:
    """The picture in RGB, with grey behind transparency."""
    if "A" in picture.getbands() or "transparency" in picture.info:
        full = picture.convert("RGBA")
        behind = Image.new("RGBA", full.size, (*BEHIND, 255))
        return Image.alpha_composite(behind, full).convert("RGB")
    return picture.convert("RGB")
