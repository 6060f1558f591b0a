"""Lists what a scan reads, wherever it is stored: each input once, in an order that never changes."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import groupby, islice
from pathlib import Path

import pyarrow as pa

from ...core.errors import UnreadableImage
from ...core.pictures.walk import Search, walk_repeating
from .address import is_remote, without_secrets
from .containers import PACKED_FLAW, container, for_containers, is_data_set
from .error import SourceError as SourceError
from .file import PIECE, open_source
from .image_column import image_column
from .item import SourceItem, path_of, uri_of
from .lists import Named, beside, read_list
from .local import local_item, local_items
from .parquet import cell_items, named_files
from .parquet_file import damage, is_damage, open_parquet
from .remote import look, walk_remote
from .seen import Seen
from .storage import Place, Storage, advise
from .tar import tar_items
from .trouble import Patience, StorageTrouble, local_trouble_text

AT_ONCE, WINDOW = 16, 256
"""Threads that look up files named one by one, and how many of those are looked up ahead."""

TARS = 8
"""Remote tars that are listed at the same time."""

_READ_ALREADY = "this table names itself among the images, or was read already under another name"


def list_items(
    sources: Sequence[str],
    search: Search | None = None,
    *,
    column: str = "",
    patience: Patience | None = None,
    apart: str = "",
) -> Iterator[SourceItem]:
    """The inputs in the sources, each once, in the order of the sources and, within each, of the names.

    A source is a file or folder on this machine, an address (`s3://`, `gs://`, whatever Arrow or fsspec opens), a list
    (`@FILE`), a Parquet file, a tar, or a folder of these. `column` names the image column in Parquet; `apart` is the
    address of a remote folder that is never listed, like `search.skip` on this machine.
    Memory is bounded by the largest folder and by a few tars, not by the number of inputs.
    Raises SourceError for a source that cannot be listed at all; anything else wrong becomes an item with a code.
    """
    alone = len(sources) == 1 and not sources[0].startswith("@")
    listing = _Listing(search or Search(), column, Storage(patience, apart), may_repeat=not alone)
    try:
        yield from listing.expand(Named(source) for source in sources)
    finally:
        listing.seen.close()


class _Listing:
    """One listing: what it looks for, where, and what it has seen."""

    def __init__(self, search: Search, column: str, storage: Storage, *, may_repeat: bool) -> None:
        self.search = search
        self.column = column
        self.storage = storage
        self.seen = Seen()
        self._may_repeat = may_repeat
        self._tables: set[str] = set()

    def _is_new(self, item: SourceItem) -> bool:
        """For files, not for what is in them. A single folder has each file only once, unless a table names it."""
        return not (self._may_repeat or _container(item)) or self.seen.is_new(item)

    def expand(self, sources: Iterable[Named | SourceItem]) -> Iterator[SourceItem]:
        """All items of sources. Sources are consumed one by one, so there may be any number of them."""
        for kind, group in groupby(sources, key=partial(_kind, skip=self.search.skip)):
            if kind == "item":
                yield from (one for one in group if isinstance(one, SourceItem))
                continue
            named = (one for one in group if isinstance(one, Named))
            if kind == "local":
                yield from filter(self._is_new, local_items((_path(one.source) for one in named), self.search))
            elif kind == "remote":
                yield from self._remote(named)
            else:
                for one in named:
                    yield from self._list(one) if kind == "list" else self._local_container(_path(one.source))

    def _list(self, named: Named) -> Iterator[SourceItem]:
        source = named.source.removeprefix("@")
        uri = source if is_remote(source) else uri_of(_path(source))
        yield from self.expand(read_list(uri, self.storage))

    def _local_container(self, path: Path) -> Iterator[SourceItem]:
        """The items of a tar or Parquet file on this machine, or of a folder of these."""
        search = for_containers(self.search) if path.is_dir() else self.search
        for entry in walk_repeating([path], search):
            item = local_item(entry)
            if self._is_new(item):
                yield from self._inside(item)

    def _remote(self, group: Iterator[Named]) -> Iterator[SourceItem]:
        """Several tars are listed at a time, because each header in them costs a request; their order is kept."""
        waiting: deque[Future[list[SourceItem]] | Iterator[SourceItem]] = deque()
        with ThreadPoolExecutor(TARS) as pool:
            for item in filter(self._is_new, self._remote_files(group)):
                is_tar = not item.code and _container(item) == "tar"
                waiting.append(pool.submit(lambda tar: list(self._inside(tar)), item) if is_tar else self._inside(item))
                while waiting and (len(waiting) > TARS or _is_ready(waiting[0])):
                    yield from _come(waiting.popleft())
            while waiting:
                yield from _come(waiting.popleft())

    def _remote_files(self, group: Iterator[Named]) -> Iterator[SourceItem]:
        """Files named one by one are looked up together; their order is kept."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            while window := list(islice(group, WINDOW)):
                placed = [(named, self._place(named)) for named in window]
                for named, place, found in pool.map(lambda one: (*one, self._look(one[1])), placed):
                    yield from self._found(named, place, found)

    def _place(self, named: Named) -> Place:
        try:
            return self.storage.place(named.source)
        except SourceError as error:
            raise _told(named, error.detail) from error

    def _look(self, place: Place) -> SourceItem | StorageTrouble | None:
        try:
            return look(place, self.storage)
        except StorageTrouble as trouble:
            return trouble

    def _found(self, named: Named, place: Place, found: SourceItem | StorageTrouble | None) -> Iterator[SourceItem]:
        if found is None:
            yield from walk_remote(place, self.search, self.storage)
        elif isinstance(found, SourceItem):
            yield found
        elif found.kind == "missing" or (named.place and found.kind in ("denied", "no_bucket")):
            yield SourceItem(place.uri(place.path), code=found.code, flaw=found.detail)
        else:
            raise _told(named, advise(named.source, found)) from found

    def _inside(self, item: SourceItem) -> Iterator[SourceItem]:
        """The items of a container; any other file is an item itself."""
        kind = "" if item.code else _container(item)
        if not kind:
            yield item
        elif kind == "packed":
            yield replace(item, code="format_not_allowed", flaw=PACKED_FLAW)
        else:
            try:
                yield from self._tar(item) if kind == "tar" else self._parquet(item)
            except StorageTrouble as trouble:
                yield replace(item, code=trouble.code, flaw=trouble.detail)
            except UnreadableImage as error:
                yield replace(item, code=error.code, flaw=error.detail)
            except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
                if isinstance(error, OSError) and not is_damage(error):
                    yield replace(item, code="io", flaw=local_trouble_text(error))
                else:
                    yield replace(item, code="corrupt", flaw=damage(error))

    def _tar(self, item: SourceItem) -> Iterator[SourceItem]:
        with open_source(item.uri, self.storage) as file:
            yield from tar_items(item, file, self.search)

    def _parquet(self, item: SourceItem) -> Iterator[SourceItem]:
        with open_source(item.uri, self.storage) as file:
            opened = open_parquet(file, piece=PIECE)
            column = image_column(item.uri, opened.schema_arrow, self.column)
            if column.holds_bytes:
                yield from cell_items(item, opened, column)
                return
            table = _identity(item.uri)
            if table in self._tables:
                yield replace(item, code="format_not_allowed", flaw=_READ_ALREADY)
                return
            self._tables.add(table)
            self._may_repeat = True
            yield from self.expand(self._named_in(item, named_files(item, opened, column)))

    def _named_in(self, table: SourceItem, cells: Iterator[str | SourceItem]) -> Iterator[Named | SourceItem]:
        for row, named in enumerate(cells):
            if isinstance(named, SourceItem):
                yield named
            else:
                yield Named(beside(table.uri, named, self.storage), f"{table.uri}, row {row}")


def _identity(uri: str) -> str:
    """One name for a table, whichever of its names it was given by."""
    path = path_of(uri)
    return uri if path is None else os.path.realpath(path)


def _container(item: SourceItem) -> str:
    return container(item.uri.partition("?")[0] if is_remote(item.uri) else item.uri)


def _is_ready(found: Future[list[SourceItem]] | Iterator[SourceItem]) -> bool:
    return not isinstance(found, Future) or found.done()


def _come(found: Future[list[SourceItem]] | Iterator[SourceItem]) -> Iterable[SourceItem]:
    return found.result() if isinstance(found, Future) else found


def _kind(named: Named | SourceItem, skip: Sequence[Path]) -> str:
    """How to list a source: item, list, remote, container, or local for any other path."""
    if isinstance(named, SourceItem):
        return "item"
    if not named.source:
        raise SourceError(named.place, "a source without a name; name a file, a folder or an address")
    if named.source.startswith("@") and not named.place:
        return "list"
    if is_remote(named.source):
        return "remote"
    path = _path(named.source)
    try:
        if path.is_dir():
            return "container" if _is_data_set(path, skip) else "local"
        return "container" if container(path.name) and path.is_file() else "local"
    except OSError:  # no permission, a name too long: the walk reports it
        return "local"


def _is_data_set(folder: Path, skip: Sequence[Path]) -> bool:
    """Whether a folder is a data set, leaving out the folders that are never entered."""
    apart = {os.path.realpath(path) for path in skip}
    try:
        with os.scandir(folder) as entries:
            left = (entry for entry in entries if not entry.is_dir() or os.path.realpath(entry.path) not in apart)
            return is_data_set((entry.name, entry.is_dir()) for entry in left)
    except OSError:
        return False


def _path(source: str) -> Path:
    return (path_of(source) or Path(source)).absolute()


def _told(named: Named, detail: str) -> SourceError:
    shown = without_secrets(named.source) if is_remote(named.source) else named.source
    return SourceError(named.place or shown, f"{shown}: {detail}" if named.place else detail)
