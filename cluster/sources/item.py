"""One input of a scan on a cluster: where an image's bytes are, and what identifies it."""

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
    """An image to read: a file or object of its own, or part of a container (a tar, a Parquet file)."""

    uri: str
    """Valid Unicode. The absolute path of a file on this machine (see `uri_of`), else the address with its scheme."""
    member: str = ""
    """Its name in a tar, or its row number in a Parquet file; empty for a whole file."""
    offset: int = 0
    """Where its bytes begin in a tar; its row group in a Parquet file."""
    length: int = 0
    """In bytes; 0 where it is known only once the image is read."""
    size: int = 0
    """Of the file or container, in bytes."""
    mtime_ns: int = 0
    """Of the file or container; 0 where the file system reports none."""
    column: str = ""
    """The column of a Parquet file that holds the image."""
    code: str = ""
    """As `UnreadableImage.code`, for an input that was named but cannot be read: it still counts as an input."""
    flaw: str = ""
    """Why it cannot be read, as one line for the user."""

    @cached_property
    def key(self) -> bytes:
        """16 bytes: eight identify the place, and eight change with the size or the modification time."""
        place = f"{self.uri}\0{self.member}"
        state = f"{place}\0{self.size}\0{self.mtime_ns}"
        return b"".join(hashlib.blake2b(text.encode(), digest_size=8).digest() for text in (place, state))

    @property
    def name(self) -> str:
        """The name that users see."""
        return f"{self.uri}#{self.member}" if self.member else self.uri


def uri_of(path: Path) -> str:
    """The absolute path of a file on this machine, or a file address where the path is not valid UTF-8."""
    text = str(path.absolute())
    try:
        text.encode()
    except UnicodeEncodeError:
        return LOCAL + quote(os.fsencode(text))
    return text


def path_of(uri: str) -> Path | None:
    """The inverse of `uri_of`; None for an address elsewhere."""
    if uri.startswith(LOCAL):
        return Path(os.fsdecode(unquote_to_bytes(uri.removeprefix(LOCAL))))
    return None if "://" in uri else Path(uri)
