"""Options that are given as NAME=PATH."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..core.errors import KeepersError


def named_paths(pairs: Sequence[str] | None) -> dict[str, Path]:
    """NAME=PATH options as a mapping. Raises KeepersError."""
    found: dict[str, Path] = {}
    for pair in pairs or ():
        name, equals, path = pair.partition("=")
        if not equals or not name or not path:
            raise KeepersError(f"--weights takes NAME=PATH, not {pair!r}.")
        found[name] = Path(path)
    return found


def named_folders(pairs: Sequence[str] | None) -> dict[str, list[Path]]:
    """NAME=FOLDER options by class, in the order given. Raises KeepersError."""
    found: dict[str, list[Path]] = {}
    for pair in pairs or ():
        name, equals, path = pair.partition("=")
        if not equals or not name.strip() or not path:
            raise KeepersError(f"--class takes NAME=FOLDER, not {pair!r}.")
        found.setdefault(name.strip(), []).append(Path(path))
    return found
