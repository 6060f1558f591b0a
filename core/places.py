"""Where a user's own results live, by the customs of the system."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def data_folder() -> Path:
    """The folder for the store and for what the user trained; not a cache, since labels cannot be had again."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    else:
        base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "keepers"


def trained_folder() -> Path:
    """The model folder for what the user trained; it is the last of the default model folders."""
    return data_folder() / "models"
