"""One input of a scan that spans machines: where an image's bytes are, and what tells it from all others."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

LOCAL = "file://"


@dataclass(frozen=True)
class SourceItem:
    """An image to be read: a file or an object of its own, or a part of a container (a tar, a Parquet file)."""

    uri: str
    """Valid Unicode. A file of this machine as its absolute path (see `uri_of`), else the address with its scheme."""
    member: str = ""
    """What it is inside its container: the name in a tar, the row number in a Parquet file; empty for a whole file."""
    offset: int = 0
    """Where its bytes begin in a tar; the row group in a Parquet file."""
    length: int = 0
    """Of its own bytes; 0 where that is known only when it is read."""
    size: int = 0
    """Of the file or container in bytes."""
    mtime_ns: int = 0
    """Of the file or container; 0 where the file system tells none."""
    column: str = ""
    """The column of a Parquet file that holds the image."""
    code: str = ""
    """As `UnreadableImage.code`, for an input that was named but cannot be looked at: it is still accounted for."""
    flaw: str = ""
    """Why not, as one line for the user."""

    @cached_property
    def key(self) -> bytes:
        """16 bytes: eight for the place, and eight that stay the same as long as size and time of last change do."""
        place = f"{self.uri}\0{self.member}"
        state = f"{place}\0{self.size}\0{self.mtime_ns}"
        return b"".join(hashlib.blake2b(text.encode(), digest_size=8).digest() for text in (place, state))

    @property
    def name(self) -> str:
        """What users read."""
        return f"{self.uri}#{self.member}" if self.member else self.uri


def uri_of(path: Path) -> str:
    """A file of this machine: its absolute path, or a file address where the path has bytes that are no UTF-8."""
    text = str(path.absolute())
    try:
        text.encode()
    except UnicodeEncodeError:
        return LOCAL + quote(os.fsencode(text))
    return text


def path_of(uri: str) -> Path | None:
    """The path that `uri_of` stood for; None for an address elsewhere."""
    if uri.startswith(LOCAL):
        return Path(os.fsdecode(unquote_to_bytes(uri.removeprefix(LOCAL))))
    return None if "://" in uri else Path(uri)
