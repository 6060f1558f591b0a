"""Thumbnails for a page, of images that have none yet."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from rich.progress import track

from ...core.errors import KeepersError
from ...core.pictures.open import open_image
from ..console import console
from .thumbnail import thumbnail


def made_pictures(wanted: Mapping[int, Callable[[], bytes]]) -> dict[int, str]:
    """By the same keys, a data URI for every image that can be read; the functions return an image file's bytes."""
    with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="keepers-thumbnail") as pool:
        coming = pool.map(_picture, wanted.values())
        shown = track(
            coming, "small pictures", len(wanted), console=console, transient=True, disable=not console.is_terminal
        )
        return {key: made for key, made in zip(wanted, shown, strict=True) if made}


def _picture(read: Callable[[], bytes]) -> str:
    """Empty for an image that is gone, changed or broken: the page then has no thumbnail."""
    try:
        return thumbnail(open_image(read()))
    except (KeepersError, OSError):
        return ""
