"""Reads TOML with whatever this Python has: its own reader from 3.11 on, else tomli, else the copy inside pip."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import Any

READERS = ("tomllib", "tomli", "pip._vendor.tomli")
HOW = "is TOML, which this Python cannot read. Install tomli, or use Python 3.11 or later"


class NoToml(Exception):
    """This Python has no TOML reader; `HOW` says what to do."""


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a text. Raises ValueError, which names the line, for text that is not TOML, and NoToml."""
    for module in READERS:
        with suppress(ImportError):
            loads = import_module(module).loads
            break
    else:
        raise NoToml(HOW)
    return loads(text)
