"""Whether two names hold the same file or the same content, so that one of them can go."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ...core.errors import UnreadableImage
from ...core.files import content_hash


def is_one(source: Path, other: Path) -> bool:
    """Whether two names belong to one file; a symbolic link does not count."""
    with suppress(OSError):
        return not other.is_symlink() and source.samefile(other)
    return False


def is_same(source: Path, other: Path) -> bool:
    """Whether another regular file has the same content; one that cannot be read has not."""
    with suppress(OSError, UnreadableImage):
        if other.is_symlink() or not other.is_file():
            return False
        if is_one(source, other):
            return True
        return source.stat().st_size == other.stat().st_size and content_hash(source) == content_hash(other)
    return False


def is_twin(one: Path, other: Path, content: bool = True) -> bool:
    """Whether two names hold the same file, so that one of them can go; with `content`, a copy counts too.

    Raises OSError and UnreadableImage.
    """
    if one.is_symlink() or not one.is_file():
        return False
    if one.samefile(other):
        return one.stat().st_nlink > 1  # else it is one name, reached by two paths
    return content and content_hash(one) == content_hash(other)
