"""`keepers config`: the defaults in force, and where each comes from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from ...core.places import data_folder
from ...core.settings import READERS, Settings, read_settings, settings_file, variable
from ...core.weights.store import default_folders
from ..console import console
from ..exit_codes import escaped
from ..options import examples

BUILT_IN = "built in"


@dataclass(frozen=True)
class Shown:
    """One default."""

    key: str
    value: str | int | Sequence[str]
    source: str


@examples("keepers config", "KEEPERS_DEVICE=cpu keepers config --json")
def config(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show the defaults that you set, and where each comes from.

    The file is TOML: models, db, device, precision, preset and batch, each with its value. Environment variables
    (KEEPERS_MODELS and so on) override the file, and options on the command line override both.
    """
    path, found = settings_file(), shown(read_settings())
    if as_json:
        settings = {one.key: {"value": one.value, "from": one.source} for one in found}
        typer.echo(json.dumps({"file": str(path), "exists": path.is_file(), "settings": settings}, indent=2))
        return
    table = Table("setting", Column("value", overflow="fold"), Column("from", overflow="fold"), "variable")
    for one in found:
        value = one.value if isinstance(one.value, str | int) else "\n".join(one.value)
        table.add_row(one.key, escaped(str(value)), escaped(one.source), variable(one.key))
    console.print(table)
    console.print(f"File: {escaped(str(path))}{'' if path.is_file() else ' (not there)'}", soft_wrap=True)


def shown(settings: Settings) -> list[Shown]:
    """Every default, including those that were not set."""
    folders: tuple[Path, ...] = tuple(dict.fromkeys((*settings.models, *default_folders())))
    values: dict[str, str | int | Sequence[str]] = {
        "models": [str(folder) for folder in folders],
        "db": str(settings.db or data_folder() / "keepers.db"),
        "device": settings.device or "auto",
        "precision": settings.precision or "auto",
        "preset": settings.preset or "signals",
        "batch": settings.batch or 8,
    }
    return [Shown(key, values[key], settings.sources.get(key, BUILT_IN)) for key in READERS]
