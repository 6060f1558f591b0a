"""`keepers convert`: turns published files of other programs into files that the models here can read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ...core.errors import KeepersError
from ...models.furry.format import CUTS, check_cuts
from ...models.furry.furry import file_name, name_of
from .. import exit_codes
from ..console import console
from ..machine import ModelFolders
from ..options import examples, in_panel

if TYPE_CHECKING:
    from ...models.furry.convert import Converted
    from ...models.furry.format import Layout

_form = in_panel("The model")
_output = in_panel("Output")


@examples(
    "keepers convert furry model.zip",
    "keepers convert furry model.zip --name mine --force",
)
def convert(
    model: Annotated[Literal["furry"], typer.Argument(help="The model that the file is for.")],
    path: Annotated[Path, typer.Argument(help="The downloaded zip, or the SavedModel folder in it.")],
    *,
    output: Annotated[Path | None, _output(help="The file to write (default: in the first model folder).")] = None,
    name: Annotated[str, _output(help="What to call it (default: as published, else as the zip).")] = "",
    pixels: Annotated[
        Literal["auto", "normalised", "raw"],
        _form(help="What the net expects; auto: raw for MobileNet, as its author says, else normalised."),
    ] = "auto",
    cuts: Annotated[
        tuple[float, float], _form(help="The ratings from which an image is questionable, and explicit.")
    ] = CUTS,
    force: Annotated[bool, _output("--force", help="Replace an existing file.")] = False,
    machine: ModelFolders,
) -> None:
    """Convert a furry model's zip into one safetensors file; TensorFlow is not needed."""
    from ...models.furry.convert import ConvertOptions
    from ...models.furry.convert import convert as convert_furry

    del model  # the only kind so far; the word on the command line names it
    try:
        options = ConvertOptions({"auto": None, "normalised": True, "raw": False}[pixels], check_cuts(cuts))
    except ValueError as error:
        raise KeepersError(f"--cuts: {error}.") from error
    folder = machine.store().folders[0]

    def target(layout: Layout) -> Path:
        place = output or folder / file_name(name or name_of(layout))
        if place.exists() and not force:
            raise KeepersError(f"{place} already exists; --force replaces it.")
        return place

    _tell(convert_furry(path, target, options))


def _tell(made: Converted) -> None:
    layout = made.layout
    console.print(f"[green]converted[/] {exit_codes.escaped(str(made.path))}")
    console.print(
        f"{layout.backbone}, {layout.size} pixels, {'normalised' if layout.normalised else 'raw'}; "
        f"{made.tensors:,} tensors, {len(made.skipped):,} training variables left out"
    )
    widths = ", ".join(f"{group} {len(tags)}" for group, tags in layout.tags.items())
    console.print(f"outputs: {exit_codes.escaped(widths)}")
    console.print(f"sha256 of the source: {layout.source_sha256}")
