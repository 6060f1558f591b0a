"""Tars in the manner of WebDataset: where each picture lies, found by the headers alone."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

from ..core.walk import Search, excluded, wanted
from .item import Item

BLOCK = tarfile.BLOCKSIZE


def tar_items(tar: Item, file: BinaryIO, search: Search) -> Iterator[Item]:
    """The pictures in a tar, in its order; what no picture can be read from is told by an item with a code.

    Nothing is extracted, so names that lead elsewhere do no harm.
    Raises StorageTrouble and OSError.
    """
    names: set[str] = set()
    try:
        with tarfile.open(fileobj=file, mode="r:") as opened:
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
        yield replace(tar, code="corrupt", flaw=f"this is not a tar, or a damaged one ({error})")


def _members(opened: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members one after the other, without keeping them all as the library does."""
    while (member := opened.next()) is not None:
        vars(opened)["members"].clear()
        yield member


def _item(tar: Item, member: tarfile.TarInfo) -> Item | None:
    """What a member is to a scan; None for a folder."""
    name = member.name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    item = replace(tar, member=name, offset=member.offset_data, length=member.size)
    if member.isdir():
        return None
    if member.islnk() or member.issym():
        return replace(item, length=0, code="not_followed", flaw="this is a link inside the tar")
    if member.issparse() or not member.isreg():
        return replace(item, length=0, code="not_a_file", flaw="this is not a regular file inside the tar")
    if member.offset_data + member.size > tar.size:
        return replace(item, code="truncated", flaw="the tar ends in the middle of this file")
    return item


def _taken(name: str, search: Search) -> bool:
    base = name.rpartition("/")[2]
    return wanted(base, search) and not any(excluded(part, search) for part in name.split("/"))


def _unique(item: Item, names: set[str]) -> str:
    """The name, with its place where another of that name came before: each is a picture of its own."""
    name = item.member if item.member not in names else f"{item.member} (at byte {item.offset})"
    names.add(name)
    return name


def _end(tar: Item, opened: tarfile.TarFile, file: BinaryIO) -> Iterator[Item]:
    """Nothing where the tar ends as it should; the library takes a damaged header for the end, too."""
    file.seek(opened.offset)
    block = file.read(BLOCK)
    if block != bytes(BLOCK):
        cut = len(block) < BLOCK
        flaw = f"the tar is {'cut off' if cut else 'damaged'} at byte {opened.offset}; what came before was read"
        yield replace(tar, code="truncated" if cut else "corrupt", flaw=flaw)
