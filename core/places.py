"""Where a user's own results live, by the conventions of the system."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def data_folder() -> Path:
    """The folder for the store and trained models. It is not a cache, because labels cannot be recovered."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    else:
        base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "keepers"


def config_folder() -> Path:
    """The folder for what the user sets once."""
    if sys.platform == "win32":
        base = os.environ.get("APPDATA") or str(Path.home() / "AppData" / "Roaming")
    else:
        base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "keepers"


def trained_folder() -> Path:
    """The folder for models that the user trained, the last of the default model folders."""
    return data_folder() / "models"
