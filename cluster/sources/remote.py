"""Folders beyond this machine, listed folder by folder, so that a scan meets the same order as on a disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pyarrow import fs

from ...core.pictures.walk import Search, excluded, wanted
from .address import without_secrets
from .containers import for_containers, is_data_set
from .error import SourceError
from .file import remote_item
from .item import SourceItem
from .storage import Place, Storage, advise
from .trouble import StorageTrouble

_UNREACHABLE = "names with an empty part, or a part of dots alone, cannot be asked for; rename what lies here"


def look(place: Place, storage: Storage) -> SourceItem | None:
    """A file, or None for a folder.

    Raises StorageTrouble; "missing" where there is neither.
    """
    try:
        info = storage.patience.ask(lambda: place.files.get_file_info(place.path))
    except StorageTrouble as trouble:
        if trouble.kind == "denied":
            _list(place.root or place.folder, place, storage)  # its answer says why, which that for a file does not
        raise
    if info.type == fs.FileType.File:
        return remote_item(place, info)
    if info.type == fs.FileType.NotFound:
        _list(place.path, place, storage)  # tells a missing bucket from a missing file
        raise StorageTrouble("missing", "there is no such file or folder")
    return None


def walk_remote(place: Place, search: Search, storage: Storage) -> Iterator[SourceItem]:
    """The files of a folder and those below it, in the order of their names; of a data set, its containers.

    Raises SourceError where the folder itself, or in the middle the whole storage, cannot be listed.
    """
    uri = without_secrets(place.uri(place.path))
    try:
        entries = _list(place.path, place, storage)
        if is_data_set((info.base_name, info.type == fs.FileType.Directory) for info in entries):
            search = for_containers(search)
        yield from _entries(entries, place.path, place, search, storage)
    except StorageTrouble as trouble:
        raise SourceError(uri, advise(uri, trouble)) from trouble


def _list(path: str, place: Place, storage: Storage) -> Sequence[Any]:
    listed = storage.patience.ask(lambda: place.files.get_file_info(fs.FileSelector(path)))
    found = (info for info in listed if not storage.is_apart(place, info.path))
    return sorted(found, key=lambda info: (info.base_name, info.path))


def _folder(path: str, place: Place, search: Search, storage: Storage) -> Iterator[SourceItem]:
    """A folder that may not be listed is told, as on a disk; other trouble concerns all of the storage."""
    try:
        entries = _list(path, place, storage)
    except StorageTrouble as trouble:
        if trouble.kind not in ("denied", "missing"):
            raise
        yield SourceItem(place.uri(path), code=trouble.code, flaw=trouble.detail)
        return
    yield from _entries(entries, path, place, search, storage)


def _entries(
    entries: Sequence[Any], folder: str, place: Place, search: Search, storage: Storage
) -> Iterator[SourceItem]:
    for info in entries:
        name: str = info.base_name
        if info.path.rstrip("/") == folder or name in ("", ".", ".."):
            yield SourceItem(place.uri(info.path.rstrip("/") + "/"), code="not_a_file", flaw=_UNREACHABLE)
        elif excluded(name, search):
            continue
        elif not name.isascii() and name.encode("utf-8", "replace").decode() != name:
            shown = info.path.encode("utf-8", "backslashreplace").decode()
            yield SourceItem(place.uri(shown), code="not_a_file", flaw="its name is not Unicode; rename it")
        elif info.type == fs.FileType.Directory:
            if search.recursive:
                yield from _folder(info.path, place, search, storage)
        elif wanted(name, search):
            yield remote_item(place, info)
