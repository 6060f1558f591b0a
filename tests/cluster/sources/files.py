"""What tests of sources share: files to be listed, and errors that must cross processes."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from keepers.cluster.sources.item import SourceItem, path_of
from keepers.cluster.sources.read_item import ItemReader
from keepers.core.errors import UnreadableImage


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode("utf-8", "surrogateescape"))


def below(folder: Path, items: list[SourceItem]) -> list[str]:
    return [f"{os.path.relpath(path_of(i.uri) or i.uri, folder)}{'#' if i.member else ''}{i.member}" for i in items]


def refusal(item: SourceItem, reader: ItemReader | None = None) -> UnreadableImage:
    with pytest.raises(UnreadableImage) as caught:
        (reader or ItemReader()).read(item)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.path, again.code, again.detail) == (caught.value.path, caught.value.code, caught.value.detail)
    return caught.value
