"""Remote folders, listed one at a time, so that a scan sees the same order as on a disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pyarrow import fs

from ...core.pictures.walk import MOST_COUNTED, Search, excluded, is_hidden, is_sorting_log, wanted
from .address import without_secrets
from .containers import for_containers, is_data_set
from .error import SourceError
from .file import SECOND
from .item import SourceItem
from .storage import Place, Storage, advise
from .trouble import StorageTrouble

_UNREACHABLE = "names with an empty part, or a part of dots alone, cannot be requested; rename what lies here"


def look(place: Place, storage: Storage) -> SourceItem | None:
    """The file at a place, or None for a folder.

    Raises StorageTrouble; "missing" if there is neither.
    """
    try:
        info = storage.patience.ask(lambda: place.files.get_file_info(place.path))
    except StorageTrouble as trouble:
        if trouble.kind == "denied":
            _list(place.root or place.folder, place, storage)  # gives the reason, unlike the error for a file
        raise
    if info.type == fs.FileType.File:
        return _remote_item(place, info)
    if info.type == fs.FileType.NotFound:
        _list(place.path, place, storage)  # distinguishes a missing bucket from a missing file
        raise StorageTrouble("missing", "there is no such file or folder")
    return None


def walk_remote(place: Place, search: Search, storage: Storage) -> Iterator[SourceItem]:
    """The files in and below a folder, ordered by name; for a data set, its containers.

    Raises SourceError if the folder itself cannot be listed, or if the whole storage fails on the way.
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
    """A folder that may not be listed becomes an item with a code, as on a disk; other trouble affects all storage."""
    try:
        entries = _list(path, place, storage)
    except StorageTrouble as trouble:
        if trouble.kind not in ("denied", "missing"):
            raise
        yield SourceItem(place.uri(path), code=trouble.code, flaw=trouble.detail)
        return
    if not search.hidden and any(is_sorting_log(info.base_name) for info in entries):
        if search.passed_by is not None:
            search.passed_by.folder(_count(path, place, search, storage), "sorted")
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
        elif not search.hidden and is_hidden(name):
            _pass_by(info, place, search, storage)
        elif not name.isascii() and name.encode("utf-8", "replace").decode() != name:
            shown = info.path.encode("utf-8", "backslashreplace").decode()
            yield SourceItem(place.uri(shown), code="not_a_file", flaw="its name is not Unicode; rename it")
        elif info.type == fs.FileType.Directory:
            if search.recursive:
                yield from _folder(info.path, place, search, storage)
        elif wanted(name, search):
            yield _remote_item(place, info)


def _pass_by(info: Any, place: Place, search: Search, storage: Storage) -> None:
    """Counts what a hidden file or folder would have given. A folder that cannot be listed counts as empty."""
    if search.passed_by is None:
        return
    if info.type != fs.FileType.Directory:
        if wanted(info.base_name, search):
            search.passed_by.file()
    elif search.recursive:
        search.passed_by.folder(_count(info.path, place, search, storage))


def _count(path: str, place: Place, search: Search, storage: Storage) -> int:
    """How many files of a folder would be wanted; of very large folders at least so many."""
    waiting, count, looked = [path], 0, 0
    while waiting and looked < MOST_COUNTED:
        try:
            entries = _list(waiting.pop(), place, storage)
        except StorageTrouble:
            continue
        looked += 1 + len(entries)
        count += sum(info.type == fs.FileType.File and wanted(info.base_name, search) for info in entries)
        waiting += [info.path for info in entries if info.type == fs.FileType.Directory]
    return count


def _remote_item(place: Place, info: Any) -> SourceItem:
    """A file as storage lists it. Times are cut to the second: S3 reports no more about a single object."""
    mtime = (info.mtime_ns or 0) // SECOND * SECOND
    return SourceItem(place.uri(info.path), size=info.size or 0, mtime_ns=mtime)
