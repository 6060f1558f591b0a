"""The store of results that a command works with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from ..collection.store import Store
from ..core.places import data_folder
from ..core.settings import read_settings
from .options import in_panel

_option = in_panel("Store")

Db = Annotated[
    Path | None,
    _option("--db", help="The store of results. Default: one for this user.", show_default=False),
]
NoDb = Annotated[bool, _option("--no-db", help="Use and remember nothing.")]


def open_store(db: Path | None) -> Store:
    """The store that the option names, else the user's own. Raises StoreError, SettingsError."""
    return Store(store_path(db))


def store_path(db: Path | None) -> Path:
    """The path of the store: from the option, else the user's settings, else the default. Raises SettingsError."""
    return db or read_settings().db or data_folder() / "keepers.db"
