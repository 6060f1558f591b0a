"""The widgets and outputs of the node kinds that matter to prompts: a table made from their definitions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from .graph import Output

_FILE = Path(__file__).with_name("signatures.json")


class Signature(NamedTuple):
    """What the definition of a node kind says; empty for a kind that is not in the table."""

    widgets: tuple[str, ...] = ()
    """The names of its widgets, in the order in which a workflow keeps their values; "" for one that is not read."""
    types: str = ""
    """A letter for each widget: n for a number, s for a text, b for yes or no, ? if that is unknown."""
    outputs: tuple[Output, ...] = ()


def signature(kind: str) -> Signature:
    """The signature of a kind."""
    return signatures().get(kind, Signature())


@cache
def signatures() -> Mapping[str, Signature]:
    """All signatures, by kind."""
    entries = json.loads(_FILE.read_text(encoding="utf-8"))
    return {kind: _signature(*entry) for kind, entry in entries.items()}


def _signature(widgets: list[str], types: str, outputs: list[str]) -> Signature:
    return Signature(tuple(widgets), types, tuple(map(_output, outputs)))


def _output(text: str) -> Output:
    """An output as the table writes it: its type, and its name after a colon if it has another."""
    kind, _, name = text.partition(":")
    return Output(kind, name or kind)
