"""Containers: files that hold many images, and folders that are data sets of such files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ...core.pictures.walk import Search

PACKED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst", ".tar.lz4")
_PATTERNS = tuple(f"*{ending}" for ending in (".parquet", ".tar", *PACKED))

PACKED_FLAW = "the tar is compressed, so no picture in it can be read on its own; unpack it to a plain .tar first"


def container(name: str) -> str:
    """ "parquet", "tar" or "packed" (a compressed tar) by a file's name; empty for any other."""
    name = name.lower()
    if name.endswith(PACKED):
        return "packed"
    return "tar" if name.endswith(".tar") else "parquet" if name.endswith(".parquet") else ""


def is_data_set(entries: Iterable[tuple[str, bool]]) -> bool:
    """Whether a folder holds only containers, or only partitions (`column=value`) of them.

    Each entry is a name and whether it is a folder. Names that begin with a dot or an underscore (_SUCCESS, _metadata)
    are not part of a data set and do not count.
    """
    found = False
    for name, is_folder in entries:
        if not name.startswith((".", "_")):
            found = "=" in name if is_folder else bool(container(name))
            if not found:
                return False
    return found


def for_containers(search: Search) -> Search:
    """A search for the containers of a data set. The original search still applies to the images inside them."""
    return replace(search, include=_PATTERNS, exclude=(*search.exclude, ".*", "_*"), recursive=True)
