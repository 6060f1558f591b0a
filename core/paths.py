"""Paths that stay where they belong: every path that Keepers writes to comes from here."""

from __future__ import annotations

import itertools
import os
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from .errors import OutsideFolder

_COMPONENT_BYTES = 255
_PATH_BYTES = 4095
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [f"{port}{n}" for port in ("com", "lpt") for n in "0123456789¹²³"]
)
_SHELL = re.compile(r"^~|\$[A-Za-z_{(]|%(?:00|2e|2f|5c)", re.IGNORECASE)
"""What a shell, a launcher or a web server would expand."""
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_FORBIDDEN = frozenset('<>:"|?*/\\')


def inside(folder: Path, name: str, *, native: bool = False) -> Path:
    """The path of `name` inside `folder`, with all links resolved; nothing is created.

    `name` may have sub-folders, separated by "/" or "\\", to mean the same on every system. It is refused if it
    would leave the folder (absolute, drive, share, "..", a link that points out), if another system or a shell would
    read it differently (device names, streams, "~", "$HOME", control characters, a dot or space at an end), or if it
    is too long. `native` is for the name of a file that this system already holds, such as one that is sorted: its
    spelling is then accepted as it is, and only containment is checked.

    Raises OutsideFolder.
    """
    parts = _native_parts(name) if native else _portable_parts(name)
    check = _long if native else _component_fault
    fault = _fault(parts) or next((found for part in parts if (found := check(part))), "")
    if fault:
        raise OutsideFolder(name, folder, fault)
    root, target = _resolve(folder, parts, name)
    if target == root or not target.is_relative_to(root):
        raise OutsideFolder(name, folder, "a link in it points out")
    if len(os.fsencode(target)) > _PATH_BYTES:
        raise OutsideFolder(name, folder, "the path is too long")
    return target


def numbered(path: Path, spare: int = 0) -> Iterator[Path]:
    """`path` itself, then "stem-1.suffix", "stem-2.suffix" and so on without end, within the length limit of names.

    `spare` is how many bytes longer than these the names beside them are to be.
    """
    yield path
    for count in itertools.count(1):
        tail = f"-{count}{path.suffix}"
        room = _COMPONENT_BYTES - spare - len(os.fsencode(tail))
        stem = path.stem
        while len(os.fsencode(stem)) > room:
            stem = stem[:-1]
        yield path.with_name(stem + tail)


def unique(path: Path, beside: Sequence[str] = ()) -> Path:
    """The first of `numbered(path)` that is free, together with the same stem under the suffixes `beside` (".txt").

    Nothing is reserved: another process may take the name at once. Who writes the file takes it with `under_free_name`.
    """
    return next(_free(path, beside))


def under_free_name(path: Path, make: Callable[[Path], object]) -> Path:
    """Make something under the name that `unique` gives, or the next one where another process was quicker.

    `make` must raise FileExistsError where its name is taken, as `files.atomic_write(..., exclusive=True)` does; two
    processes then never get the same name. Raises whatever else `make` raises.
    """
    for name in _free(path, ()):
        with suppress(FileExistsError):
            make(name)
            return name
    raise AssertionError("numbered() has no end")


def _free(path: Path, beside: Sequence[str]) -> Iterator[Path]:
    for name in numbered(path):
        if not any(map(os.path.lexists, [name, *(name.with_suffix(suffix) for suffix in beside)])):
            yield name


def _portable_parts(name: str) -> list[str]:
    if name[:1] in ("/", "\\"):
        return ["/"]
    return [part for part in re.split(r"[/\\]", name) if part not in ("", ".")]


def _native_parts(name: str) -> list[str]:
    path = Path(name)
    return ["/"] if path.anchor else list(path.parts)


def _fault(parts: list[str]) -> str:
    if not parts:
        return "it names nothing"
    if parts == ["/"]:
        return "it is absolute"
    if ".." in parts:
        return "it goes up with '..'"
    return "it has a zero byte" if any("\0" in part for part in parts) else ""


def _component_fault(part: str) -> str:
    if any(map(_invisible, part)):
        return "it has a control character"
    if part[1:2] == ":":
        return "it names a drive"
    if any(c in _FORBIDDEN for c in part):
        return 'it has one of < > : " | ? *'
    if _SHELL.search(part):
        return "another program would expand it"
    if part[-1] in ". " or part[0] == " ":
        return "a part of it ends in a dot or a space, or begins with a space"
    if _is_device(part):
        return "it is the name of a device"
    return _long(part)


def _long(part: str) -> str:
    try:
        return "a part of it is too long" if len(os.fsencode(part)) > _COMPONENT_BYTES else ""
    except UnicodeEncodeError:
        return "it has characters that no file name can have"


def _invisible(char: str) -> bool:
    return char in _BIDI or unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")


def _is_device(part: str) -> bool:
    return part.split(".", 1)[0].rstrip(" ").casefold() in _DEVICES


def _resolve(folder: Path, parts: list[str], name: str) -> tuple[Path, Path]:
    try:
        root = Path(folder).resolve()
        return root, root.joinpath(*parts).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: links in a circle, before Python 3.13
        raise OutsideFolder(name, folder, f"it cannot be followed: {error}") from error
