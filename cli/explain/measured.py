"""`keepers explain --model signals`: what was measured in a picture, beside the limits that decide."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.table import Table

from ...core.errors import KeepersError
from ...core.files import atomic_write
from ...core.pictures.open import open_image
from ...models.signals.signals import LABELS, LIMITS, measure, name_failure
from ..console import console
from ..exit_codes import escaped
from ..pages.thumbnail import thumbnail

if TYPE_CHECKING:
    from PIL.Image import Image


HEAD = ("measured", "value", "unit", "failed if", "named")


@dataclass(frozen=True)
class Measured:
    """One number of a picture."""

    value: str
    """Its label."""
    number: float
    unit: str
    failure: str
    """What the picture has failed in if the number is beyond its limit."""
    limit: str
    """The values that fail, in words."""
    failed: bool


def explain_signals(path: Path, sheet: Path | None, as_json: bool) -> None:
    """Show the numbers of one image on the terminal, as JSON or on a page. Raises UnreadableImage, WriteFailed."""
    if path.is_dir():
        raise KeepersError("signals is explained for one image; keepers scan FOLDER --report shows a folder.")
    picture = open_image(path)
    values = measure(picture)
    answer, notes = name_failure(values)[0], picture.info["keepers_notes"]
    found = [
        Measured(
            limit.value,
            float(values[LABELS.index(limit.value)]),
            LABELS.ranges[LABELS.index(limit.value)].unit,
            limit.failure,
            limit.text(),
            limit.failed(float(values[LABELS.index(limit.value)])),
        )
        for limit in LIMITS
    ]
    if sheet:
        atomic_write(sheet, _page(path, picture, answer, found, notes).encode())
        console.print(f"The page is {escaped(str(sheet))}", soft_wrap=True)
    if as_json:
        told = [vars(one) for one in found]
        typer.echo(json.dumps({"path": str(path), "label": answer, "measured": told, "notes": list(notes)}, indent=2))
        return
    _show(path, answer, found)
    for note in notes:
        console.print(f"[dim]Note: {escaped(note)}.[/]")


def _show(path: Path, answer: str, found: list[Measured]) -> None:
    table = Table(box=None)
    for name in HEAD:
        table.add_column(name, justify="right" if name == "value" else "left")
    for one in found:
        style = "bold red" if one.failed else ""
        table.add_row(one.value, f"{one.number:.4g}", one.unit, one.limit, one.failure, style=style)
    console.print(f"{escaped(path.name)}: [bold]{answer}[/]")
    console.print(table)
    console.print("[dim]The first that failed names the picture. Near-duplicates are told by a scan.[/]")


def _page(path: Path, picture: Image, answer: str, found: list[Measured], notes: tuple[str, ...]) -> str:
    rows = "".join(
        _row("td", (one.value, f"{one.number:.4g}", one.unit, one.limit, one.failure), one.failed) for one in found
    )
    name = html.escape(path.name.encode(errors="replace").decode())
    remarks = "".join(f"<p>Note: {html.escape(note)}.</p>" for note in notes)
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{name}</title><style>{_STYLE}</style>"
        f"<h1>{name}: {html.escape(answer)}</h1><img src='{thumbnail(picture)}' alt=''>"
        f"<table>{_row('th', HEAD)}{rows}</table>{remarks}"
    )


def _row(kind: str, cells: tuple[str, ...], failed: bool = False) -> str:
    inner = "".join(f"<{kind}>{html.escape(cell)}</{kind}>" for cell in cells)
    return f"<tr{' class=failed' if failed else ''}>{inner}</tr>"


_STYLE = (
    "body{font:16px system-ui;margin:2rem;color-scheme:light dark}td,th{padding:.2rem .8rem;text-align:left}"
    ".failed{font-weight:bold;color:#c22}"
)
