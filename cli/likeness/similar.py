"""`keepers similar`: the images most like one, or the groups of near-duplicates in folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ...collection.similarity import groups_alike, most_similar
from ...core.errors import KeepersError
from .. import exit_codes
from ..console import console
from ..looking import Looking
from ..options import examples, in_panel
from .features import Features, Model, OneModel, collect, feature_of, tell_unread

_likeness = in_panel("Likeness")
_output = in_panel("Output")


@examples(
    "keepers similar image.png ~/outputs",
    "keepers similar ~/outputs --threshold 0.98 --json",
)
def similar(
    paths: Annotated[list[Path], typer.Argument(help="An image and folders to search, or only folders.")],
    *,
    model: Model = "furry",
    top: Annotated[int, _output(min=1, help="Show this many images.")] = 20,
    threshold: Annotated[float, _likeness(min=-1, max=1, help="The cosine that joins two images to a group.")] = 0.97,
    as_json: Annotated[bool, _output("--json", help="Print JSON.")] = False,
    looking: Looking,
    machine: OneModel,
) -> None:
    """Find the images most like IMAGE in folders; with folders alone, the groups of near-duplicates in them.

    Images are compared by the cosine of a model's feature vectors: 1 is the same content.
    """
    image, places = _asked(paths)
    classifier = machine.judge().classifier(model)
    query = feature_of(classifier, image) if image else None
    found = collect(classifier, places, machine.batch, search=looking.search())
    if query is not None:
        near = most_similar(query, found.matrix, top) if found.paths else []
        _show_near([(found.paths[row], cosine) for row, cosine in near], as_json)
    else:
        _show_groups([[found.paths[row] for row in rows] for rows in groups_alike(found.matrix, threshold)], as_json)
    tell_unread(found)
    raise typer.Exit(_code(found))


def _asked(paths: list[Path]) -> tuple[Path | None, list[Path]]:
    """The image to compare, if the first path is a file, and where to search."""
    for path in paths:
        if not path.exists():
            raise KeepersError(f"{path} is not there.")
    if paths[0].is_dir():
        return None, paths
    if len(paths) == 1:
        raise KeepersError(f"Also say which folder to search: keepers similar {paths[0]} FOLDER")
    return paths[0], paths[1:]


def _show_near(near: list[tuple[Path, float]], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([{"path": str(path), "cosine": round(cosine, 6)} for path, cosine in near], indent=2))
        return
    table = Table("cosine", "image")
    for path, cosine in near:
        table.add_row(f"{cosine:.4f}", exit_codes.escaped(str(path)))
    console.print(table)


def _show_groups(groups: list[list[Path]], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([[str(path) for path in group] for group in groups], indent=2))
        return
    for number, group in enumerate(groups, 1):
        console.print(f"[bold]group {number}[/], {len(group)} images")
        for path in group:
            console.print(f"  {exit_codes.escaped(str(path))}")
    console.print(f"{len(groups):,} groups of near-duplicates")


def _code(found: Features) -> int:
    return exit_codes.UNJUDGED if found.unread else exit_codes.OK
