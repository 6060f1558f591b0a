"""Defaults that a user sets once in a file, or for a while by environment variables, which override the file.

models = ["/mnt/models"]
device = "cuda:1"
preset = "coherent"
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from .errors import SettingsError, UnknownName, one_line
from .places import config_folder
from .toml import HOW, NoToml, parse_toml

LARGEST = 1 << 20
"""Bytes; a larger file is refused."""
PRECISIONS = ("auto", "exact", "fast")
MOST_IMAGES = 512
"""The largest batch."""


@dataclass(frozen=True)
class Settings:
    """What the user set; an empty value was not set."""

    models: tuple[Path, ...] = ()
    """Folders with weight files."""
    db: Path | None = None
    device: str = ""
    precision: str = ""
    preset: str = ""
    """The gate of commands that are given no other."""
    batch: int = 0
    """Images that go through a net at once."""
    sources: Mapping[str, str] = field(default_factory=dict[str, str])
    """Where each value comes from: the name of a variable, or the path of the file."""


def settings_file() -> Path:
    """The file, whether it exists or not."""
    return config_folder() / "config.toml"


def variable(key: str) -> str:
    """The environment variable of a setting."""
    return f"KEEPERS_{key.upper()}"


def read_settings() -> Settings:
    """The file's values, overridden by those of the environment.

    Raises SettingsError for a file that cannot be read and for invalid values, UnknownName for unknown keys.
    """
    path = settings_file()
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for key, value in _in_file(path).items():
        if key not in READERS:
            raise UnknownName("setting", key, READERS, where=one_line(str(path)))
        values[key] = _checked(key, value, f"{one_line(str(path))}: {key}", path.parent)
        sources[key] = str(path)
    for key in READERS:
        text = os.environ.get(variable(key), "")
        if text.strip():
            values[key] = _checked(key, _from_text(key, text), variable(key), Path())
            sources[key] = variable(key)
    return Settings(**values, sources=sources)


def _in_file(path: Path) -> dict[str, Any]:
    """The file's tables; empty if there is no file."""
    name = one_line(str(path))
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingsError(f"{name} cannot be read: {error.strerror or error}.") from error
    if len(data) > LARGEST:
        raise SettingsError(f"{name} is larger than 1 MiB, too large for settings.")
    try:
        return parse_toml(data.decode("utf-8-sig"))
    except NoToml as error:
        raise SettingsError(f"{name} {HOW}.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{name} is not UTF-8 text.") from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{name} cannot be read: {one_line(str(error))}") from error


def _checked(key: str, value: object, where: str, folder: Path) -> object:
    try:
        return READERS[key](value, folder)
    except ValueError as error:
        raise SettingsError(f"{where} is {value!r}; it must be {error}.") from error


def _from_text(key: str, text: str) -> object:
    """The value of a variable in the form it has in the file."""
    if key == "models":
        return [part for part in text.split(os.pathsep) if part.strip()]
    return int(text) if key == "batch" and text.strip().isdecimal() else text.strip()


def _text(value: object, _folder: Path) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text")
    return value


def _precision(value: object, _folder: Path) -> str:
    if value not in PRECISIONS:
        raise ValueError(f"one of {', '.join(PRECISIONS)}")
    return str(value)


def _batch(value: object, _folder: Path) -> int:
    if type(value) is not int or not 1 <= value <= MOST_IMAGES:
        raise ValueError(f"a whole number from 1 to {MOST_IMAGES}")
    return value


def _path(value: object, folder: Path) -> Path:
    """Relative paths in the file start at its folder."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError("the path of a file")
    return folder / _home(value)


def _folders(value: object, folder: Path) -> tuple[Path, ...]:
    parts = cast("list[Any]", value) if isinstance(value, list) else [value]
    if not all(isinstance(part, str) and part.strip() and "\0" not in part for part in parts):
        raise ValueError("the path of a folder, or a list of such paths")
    return tuple(folder / _home(str(part)) for part in parts)


def _home(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # "~nobody": no such user
        raise ValueError("a path, with ~ only for your own folder") from None


READERS: Mapping[str, Callable[[object, Path], object]] = {
    "models": _folders,
    "db": _path,
    "device": _text,
    "precision": _precision,
    "preset": _text,
    "batch": _batch,
}
"""The settings, each with the function that checks its value."""
