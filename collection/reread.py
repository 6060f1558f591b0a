"""What the store says of images; metadata that an older reader had read is read again from the files, once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ..core.errors import StoreError, UnreadableImage
from ..core.metadata.generation import READER
from ..core.metadata.read import read_generation
from .store import SeenImage, Store, path_of

_READERS_NOTES = re.compile(
    r"ComfyUI|samplers in a row|settings that A1111 writes|EXIF ignored|metadata|text", re.ASCII
)
"""Notes of older readers. All other notes of an image are about its picture, and stay."""


def known_images(store: Store, contents: Iterable[str]) -> dict[str, SeenImage]:
    """What is known of images, by content, as `Store.images`.

    The metadata is as the present reader reads it, if a file with that content is still there unchanged; otherwise it
    is as it was read. Raises StoreError.
    """
    found = store.images(contents)
    anew = dict(_read_again(store, {content: image for content, image in found.items() if image.reader < READER}))
    if anew:
        with suppress(StoreError):  # what cannot be kept is read again next time
            store.add(images=anew.values())
    return {**found, **anew}


def _read_again(store: Store, old: dict[str, SeenImage]) -> Iterator[tuple[str, SeenImage]]:
    sql = "SELECT content, path, size, mtime_ns FROM file WHERE content IN ({}) ORDER BY path"
    done: set[str] = set()
    for content, key, size, mtime in store.in_chunks(sql, old):
        path = path_of(key)
        if content not in done and _is_still(path, size, mtime):
            with suppress(UnreadableImage):
                yield content, _with_metadata(old[content], path)
                done.add(content)


def _is_still(path: Path, size: int, mtime_ns: int) -> bool:
    try:
        now = path.stat()
    except (OSError, ValueError):
        return False
    return (now.st_size, now.st_mtime_ns) == (size, mtime_ns)


def _with_metadata(image: SeenImage, path: Path) -> SeenImage:
    said = read_generation(path)
    others = (note for note in image.notes if not _READERS_NOTES.search(note))
    return replace(image.saying(said), notes=tuple(dict.fromkeys((*said.notes, *others))))
