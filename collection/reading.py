"""Reads a scan's files: ahead of the judge, in windows that are bounded in number and in pixels."""

from __future__ import annotations

import hashlib
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..core.errors import UnreadableImage
from ..core.metadata.read import read_generation
from ..core.pictures.open import PIXEL_LIMIT, image_header, open_image, read_image_file
from ..core.pictures.walk import Found
from .store import SeenImage, SeenVerdict

if TYPE_CHECKING:
    from PIL.Image import Image

WINDOW = 16
"""The least number of images judged together; it is two batches if that is more. The next are decoded meanwhile."""

WINDOW_PIXELS = 64_000_000
"""A window ends earlier when its pictures are large: two windows are decoded at a time, and memory stays bounded."""

GIVE_UP = 20
"""This many read errors in a row mean that the disk or the network share is gone."""


@dataclass
class Loaded:
    """A file on its way to the judge. Its bytes are dropped as soon as the picture is decoded."""

    found: Found
    content: str = ""
    data: bytes = b""
    """Empty if the content is known: the bytes are then read when the picture is opened."""
    image: SeenImage = field(default_factory=lambda: SeenImage(""))
    pixels: int = 0
    """Of a picture that may have to be decoded."""
    known: SeenVerdict | None = None
    thumbnail: str = ""
    code: str = ""
    flaw: str = ""
    called: str = ""

    @property
    def name(self) -> str:
        """The path under which it is scanned, wherever it is now."""
        return self.called or str(self.found.path)


def window_of(batch: int) -> int:
    """How many images are judged together if a net takes batches of this size."""
    return max(WINDOW, 2 * batch)


def seen_image(content: str, data: bytes) -> SeenImage:
    """What a file's header and metadata say about its image; no pixel is decoded."""
    header = image_header(data)
    image = SeenImage(content, header.width, header.height, quality=header.quality)
    return image.saying(read_generation(data))


def load(found: Found) -> Loaded:
    """A file's bytes, and what they say without being decoded; a file that cannot be read has its flaw."""
    try:
        data = read_image_file(found.path)
    except UnreadableImage as error:
        return Loaded(found, code=error.code, flaw=str(error))
    content = hashlib.sha256(data).hexdigest()
    image = seen_image(content, data)
    return Loaded(found, content, data, image, image.width * image.height)


def opened(loaded: Loaded, pixel_limit: int = PIXEL_LIMIT, thumbnail: Callable[[Image], str] | None = None) -> Image:
    """The decoded picture; what is worth knowing about it goes into the notes. Raises UnreadableImage."""
    path = loaded.found.path
    data = loaded.data or read_image_file(path)
    if not loaded.data and hashlib.sha256(data).hexdigest() != loaded.content:
        raise UnreadableImage(path, "changed", "the file changed while it was scanned; scan it again")
    picture = open_image(data, name=str(path), pixel_limit=pixel_limit)
    loaded.data = b""  # the picture is decoded; its file's bytes can go
    said = (*loaded.image.notes, *picture.info.get("keepers_notes", ()))
    loaded.image = replace(loaded.image, notes=tuple(dict.fromkeys(said)))
    if thumbnail:
        loaded.thumbnail = thumbnail(picture)
    return picture


def read_ahead(
    files: Iterable[Found], work: Callable[[Found], Loaded], pool: ThreadPoolExecutor, window: int
) -> Iterator[Loaded]:
    """The files in order, read ahead by one window. Raises UnreadableImage when nothing can be read any more."""
    ahead: deque[Future[Loaded]] = deque()
    waiting = iter(files)
    failed_in_a_row = 0
    while True:
        for found in itertools.islice(waiting, window - len(ahead)):
            ahead.append(pool.submit(work, found))
        if not ahead:
            return
        loaded = ahead.popleft().result()
        failed_in_a_row = failed_in_a_row + 1 if loaded.code == "io" else 0
        if failed_in_a_row >= GIVE_UP:
            detail = f"{GIVE_UP} files in a row could not be read, so the scan stops: is the disk or share still there?"
            raise UnreadableImage(loaded.found.path, "io", detail)
        yield loaded


def windows(loads: Iterable[Loaded], most: int) -> Iterator[list[Loaded]]:
    """The files in windows of at most so many, and of about `WINDOW_PIXELS`."""
    window: list[Loaded] = []
    pixels = 0
    for loaded in loads:
        window.append(loaded)
        pixels += loaded.pixels
        if len(window) >= most or pixels >= WINDOW_PIXELS:
            yield window
            window, pixels = [], 0
    if window:
        yield window
