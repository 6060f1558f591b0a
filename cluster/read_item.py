"""Reading the bytes of one input, wherever they lie."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import UnreadableImage
from ..core.open_image import read_image_file
from .item import Item, path_of

CHANGED = "the file changed since it was listed; scan again when it is finished"


class Reader:
    """Reads items; one a process, used by any number of threads."""

    def read(self, item: Item) -> bytes:
        """The image's bytes as they are stored.

        Raises UnreadableImage.
        """
        if item.code:
            raise UnreadableImage(item.name, item.code, item.flaw)
        path = path_of(item.uri)
        if path is None:
            raise UnreadableImage(item.name, "io", "it is not on this machine")
        return _read_file(path, item)


def _read_file(path: Path, item: Item) -> bytes:
    data = read_image_file(path)
    if len(data) != item.size or (item.mtime_ns and path.stat().st_mtime_ns != item.mtime_ns):
        raise UnreadableImage(path, "changed", CHANGED)
    return data
