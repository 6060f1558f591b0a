"""Text files that name images, one path or address per line."""

from __future__ import annotations

import io
import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ...core.errors import UnreadableImage
from .address import without_secrets
from .error import SourceError
from .file import open_source
from .item import path_of, uri_of
from .storage import Storage
from .trouble import StorageTrouble, local_trouble_text


class Named(NamedTuple):
    """A source, and where it was named."""

    source: str
    place: str = ""
    """The list or table that names it, with the line or row; empty if the user named it."""


def read_list(uri: str, storage: Storage) -> Iterator[Named]:
    """The paths and addresses of a list, one per line. Blank lines and lines that begin with # are skipped.

    Raises SourceError.
    """
    try:
        with open_source(uri, storage, ahead=1 << 20) as file:
            lines = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline=None)
            for number, line in enumerate(lines, 1):
                text = line.rstrip("\r\n")
                if "\0" in text:
                    raise SourceError(uri, f"line {number} holds a zero byte: a list is plain text; save it as UTF-8")
                if text.strip() and not text.lstrip().startswith("#"):
                    yield Named(beside(uri, text, storage), f"{uri}, line {number}")
    except (OSError, StorageTrouble, UnreadableImage) as error:
        detail = error.detail if not isinstance(error, OSError) else local_trouble_text(error)
        raise SourceError(without_secrets(uri), f"the list cannot be read: {detail}") from error


def beside(uri: str, named: str, storage: Storage) -> str:
    """A path or address named in a file, resolved against the folder of that file."""
    here = path_of(uri)
    if "://" in named or (here is None and Path(named).is_absolute()):
        return named
    if here is not None:
        return uri_of(here.parent / named)
    place = storage.place(uri)
    below = place.folder.removeprefix(place.root)
    lead = "/" if below.startswith("/") or place.root else ""
    inside = posixpath.normpath(posixpath.join("/", below, named)).lstrip("/")
    return place.uri(f"{place.root}{lead}{inside}")
