"""Tars as WebDataset writes them: where each picture is, read from the headers alone."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, BinaryIO, cast

from ...core.errors import one_line
from ...core.pictures.walk import Search, excluded, is_hidden, wanted
from .item import SourceItem
from .trouble import StorageTrouble

BLOCK = tarfile.BLOCKSIZE
_ENDLESS = re.compile(rb"\d{1000}")
"""tarfile in older Pythons takes time quadratic in the length of such a run."""
HEADER = 1 << 20
"""The most bytes of a header with long names and the like: tarfile reads it whole, whatever size it claims."""


def tar_items(tar: SourceItem, file: BinaryIO, search: Search) -> Iterator[SourceItem]:
    """The pictures in a tar, in its order. Anything that cannot be read as a picture becomes an item with a code.

    Nothing is extracted, so names that point elsewhere do no harm.
    Raises StorageTrouble and OSError.
    """
    names: set[str] = set()
    try:
        with _opened(file) as opened:
            for member in _members(opened):
                item = _item(tar, member)
                if item is None:
                    continue
                taken = _taken(item.member, search)
                if taken:
                    yield replace(item, member=_unique(item, names))
                if item.code == "truncated":
                    if not taken:
                        yield replace(tar, code=item.code, flaw=f"the tar is cut off at byte {tar.size}")
                    return
            yield from _end(tar, opened, file)
    except tarfile.TarError as error:
        yield replace(tar, code="corrupt", flaw=f"this is not a tar, or it is damaged ({one_line(str(error))[:160]})")


class _Headers:
    """A tar that can only be read in pieces as small as headers."""

    def __init__(self, file: BinaryIO) -> None:
        self.seek, self.tell, self._file = file.seek, file.tell, file

    def read(self, size: int) -> bytes:
        """A piece. Raises tarfile.ReadError for more than a header can hold."""
        if not 0 <= size <= HEADER:
            raise tarfile.ReadError(f"a header claims to have {size} bytes")
        found = self._file.read(size)
        if _ENDLESS.search(found):
            raise tarfile.ReadError("a header has an endless number")
        return found


def _opened(file: BinaryIO) -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=cast(Any, _Headers(file)), mode="r:")
    except Exception as error:
        raise _damage(error) from error


def _members(opened: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members one by one, without keeping them all as tarfile does."""
    end = 0
    while True:
        try:
            member = opened.next()
        except Exception as error:
            raise _damage(error) from error
        if member is None:
            return
        if member.size < 0 or opened.offset <= end:
            raise tarfile.ReadError(f"the file at byte {member.offset} claims to end before it begins")
        end = opened.offset
        vars(opened)["members"].clear()
        yield member


def _damage(error: Exception) -> Exception:
    """tarfile raises almost anything for headers that make no sense; trouble with storage is passed on as it is."""
    if isinstance(error, (tarfile.TarError, StorageTrouble, OSError)):
        return error
    return tarfile.ReadError(f"a header makes no sense: {type(error).__name__}: {error}")


def _item(tar: SourceItem, member: tarfile.TarInfo) -> SourceItem | None:
    """A member as an item; None for a folder."""
    name = member.name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    item = replace(tar, member=name, offset=member.offset_data, length=member.size)
    if member.isdir():
        return None
    if member.islnk() or member.issym():
        return replace(item, length=0, code="not_followed", flaw="this is a link inside the tar")
    if member.issparse() or not member.isreg():
        return replace(item, length=0, code="not_a_file", flaw="this is not a regular file inside the tar")
    if member.offset_data + member.size > tar.size:
        return replace(item, length=0, code="truncated", flaw="the tar ends in the middle of this file")
    return item


def _taken(name: str, search: Search) -> bool:
    parts = name.split("/")
    if not wanted(parts[-1], search) or any(excluded(part, search) for part in parts):
        return False
    if search.hidden or not any(map(is_hidden, parts)):
        return True
    if search.passed_by is not None:
        search.passed_by.file()
    return False


def _unique(item: SourceItem, names: set[str]) -> str:
    """The name, with its position if an earlier member has the same name: each is a picture of its own."""
    name = item.member
    while name in names:
        name = f"{name} (at byte {item.offset})"
    names.add(name)
    return name


def _end(tar: SourceItem, opened: tarfile.TarFile, file: BinaryIO) -> Iterator[SourceItem]:
    """An item with a code unless the tar ends properly: tarfile also takes a damaged header for the end."""
    file.seek(opened.offset)
    block = file.read(BLOCK)
    if block != bytes(BLOCK):
        cut = len(block) < BLOCK
        flaw = f"the tar is {'cut off' if cut else 'damaged'} at byte {opened.offset}; what came before was read"
        yield replace(tar, code="truncated" if cut else "corrupt", flaw=flaw)
