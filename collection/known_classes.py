"""The known classes of images and the texts that belong to them, from folders named by class or from tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..core.errors import KeepersError, one_line
from ..core.pictures.walk import Found, Search, is_hidden, walk

FILE_COLUMNS = ("file", "path", "image", "filename", "file_name", "name")
MOST_TABLE = 256 << 20


def by_folder(folders: Mapping[str, Sequence[Path]], search: Search | None = None) -> dict[Path, str]:
    """The class of every image file in the folders of each class. Raises KeepersError for a class without images."""
    found: dict[Path, str] = {}
    for name, paths in folders.items():
        files = [one.path for one in walk(paths, search) if isinstance(one, Found)]
        if not files:
            listed = ", ".join(one_line(str(path)) for path in paths)
            raise KeepersError(f"There are no images of class {name!r} in {listed}.")
        for path in files:
            if found.setdefault(path, name) != name:
                raise KeepersError(f"{one_line(str(path))} is in the folders of {found[path]!r} and of {name!r}.")
    return found


def subfolders(folder: Path) -> dict[str, list[Path]]:
    """The folders in a folder, by name. Raises KeepersError if there are fewer than two."""
    try:
        found = {path.name: [path] for path in sorted(folder.iterdir()) if path.is_dir() and not is_hidden(path.name)}
    except OSError as error:
        raise KeepersError(f"{one_line(str(folder))} cannot be listed ({error}).") from error
    if len(found) < 2:
        raise KeepersError(
            f"{one_line(str(folder))} should hold one folder for each class, named after it; it holds {len(found)}."
        )
    return found


def by_table(path: Path, columns: Sequence[str]) -> dict[Path, str]:
    """One text for each file, from a CSV with a header: its file column, and the first of `columns` that it has.

    Relative paths start at the table's folder. Raises KeepersError for a file that is not a table or lacks a column.
    """
    rows = csv.DictReader(io.StringIO(_text(path), newline=""))
    known = {name.strip().lower(): name for name in rows.fieldnames or () if name}
    file = next((known[name] for name in FILE_COLUMNS if name in known), None)
    value = next((known[name] for name in columns if name in known), None)
    if file is None or value is None:
        raise KeepersError(
            f"{one_line(str(path))} needs a first line that names a column {FILE_COLUMNS[0]!r} and a column "
            f"{' or '.join(map(repr, columns))}; it has {', '.join(map(repr, known)) or 'none'}."
        )
    try:
        found = {path.parent / row[file]: row[value] or "" for row in rows if row.get(file)}
    except csv.Error as error:
        raise KeepersError(f"{one_line(str(path))}, line {rows.line_num}, is not CSV ({error}).") from error
    if not found:
        raise KeepersError(f"{one_line(str(path))} has no rows.")
    return found


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_TABLE:
            raise KeepersError(f"{one_line(str(path))} is too large for a table.")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise KeepersError(f"{one_line(str(path))} cannot be read as a table ({error}).") from error
