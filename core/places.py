"""Where a user's own files live, by the conventions of the system."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def data_folder() -> Path:
    """The folder for the store and trained models. It is not a cache, because labels cannot be recovered."""
    return _base(("LOCALAPPDATA", "AppData/Local"), ("XDG_DATA_HOME", ".local/share")) / "keepers"


def config_folder() -> Path:
    """The folder for settings."""
    return _base(("APPDATA", "AppData/Roaming"), ("XDG_CONFIG_HOME", ".config")) / "keepers"


def cache_folder() -> Path:
    """The folder for what can be downloaded again. On Windows it is the same as `data_folder`."""
    return _base(("LOCALAPPDATA", "AppData/Local"), ("XDG_CACHE_HOME", ".cache")) / "keepers"


def trained_folder() -> Path:
    """The folder for models that the user trained, the last of the default model folders."""
    return data_folder() / "models"


def _base(windows: tuple[str, str], others: tuple[str, str]) -> Path:
    """The folder that a variable names, else the usual one below the home folder."""
    variable, usual = windows if sys.platform == "win32" else others
    named = os.environ.get(variable)
    return Path(named) if named else Path.home() / usual
