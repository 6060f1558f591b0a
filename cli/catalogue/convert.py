"""`keepers convert`: turns published files of other programs into files that the models here can read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ...core.errors import KeepersError
from ...models.furry.format import CUTS, check_cuts
from ...models.furry.furry import file_name, name_of
from ...models.own_files import NAME
from ...models.realism.realism import FOLDER
from .. import exit_codes
from ..console import console
from ..machine import ModelFolders
from ..options import examples, in_panel

if TYPE_CHECKING:
    from ...models.furry.convert import Converted
    from ...models.furry.format import Layout

_form = in_panel("The furry model")
_detector = in_panel("The realism detector")
_output = in_panel("Output")


@examples(
    "keepers convert furry model.zip",
    "keepers convert realism resnet18.pth --net resnet18 --classes real,ai",
    "keepers convert realism convbasic.pth --net basic --classes dalle,real --name study",
)
def convert(
    model: Annotated[Literal["furry", "realism"], typer.Argument(help="The model that the file is for.")],
    path: Annotated[
        Path, typer.Argument(help="furry: the downloaded zip, or the SavedModel folder in it. realism: the state dict.")
    ],
    *,
    output: Annotated[Path | None, _output(help="The file to write (default: in the first model folder).")] = None,
    name: Annotated[str, _output(help="What to call it (default: as published, else as the file).")] = "",
    pixels: Annotated[
        Literal["auto", "normalised", "raw"],
        _form(help="What the net expects; auto: raw for MobileNet, as its author says, else normalised."),
    ] = "auto",
    cuts: Annotated[
        tuple[float, float], _form(help="The ratings from which an image is questionable, and explicit.")
    ] = CUTS,
    net: Annotated[
        Literal["resnet18", "basic"] | None,
        _detector(help="The study's net: its ResNet-18 (TransferLearning), or its small one (ConvBasic)."),
    ] = None,
    classes: Annotated[
        str,
        _detector(help="What the outputs mean, in their order: the study numbered the class named first 0."),
    ] = "",
    size: Annotated[
        int, _detector(help="Pixels that the net sees (default: 224, or what ConvBasic was made for).")
    ] = 0,
    force: Annotated[bool, _output("--force", help="Replace an existing file.")] = False,
    machine: ModelFolders,
) -> None:
    """Convert published files of furry and realism models into ones that load here.

    A furry model's zip needs no TensorFlow; of a realism detector's state dict no pickle is executed.
    """
    if model == "realism":
        if net is None or not classes:
            raise KeepersError("A realism detector needs --net and --classes, as --net resnet18 --classes real,ai.")
        _convert_detector(
            path, output or _detector_place(machine, name or _plain(path.stem)), net, classes, size, force
        )
        return
    if net is not None or classes or size:
        raise KeepersError("--net, --classes and --size are for realism alone.")
    from ...models.furry.convert import ConvertOptions
    from ...models.furry.convert import convert as convert_furry

    try:
        options = ConvertOptions({"auto": None, "normalised": True, "raw": False}[pixels], check_cuts(cuts))
    except ValueError as error:
        raise KeepersError(f"--cuts: {error}.") from error
    folder = machine.store().folders[0]

    def target(layout: Layout) -> Path:
        return _free(output or folder / file_name(name or name_of(layout)), force)

    _tell(convert_furry(path, target, options))


def _free(place: Path, force: bool) -> Path:
    if place.exists() and not force:
        raise KeepersError(f"{place} already exists; --force replaces it.")
    return place


def _plain(stem: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-")[:64]


def _detector_place(machine: ModelFolders, name: str) -> Path:
    if not NAME.fullmatch(name):
        raise KeepersError(f"{name!r} cannot be a name: letters, digits, - and _ can, 64 at most.")
    return machine.store().folders[0] / FOLDER / f"{name}.safetensors"


def _convert_detector(
    path: Path, target: Path, net: Literal["resnet18", "basic"], classes: str, size: int, force: bool
) -> None:
    from ...models.realism.convert import convert as convert_realism

    names = [part.strip() for part in classes.split(",")]
    made = convert_realism(path, _free(target, force), net, names, size)
    console.print(f"[green]converted[/] {exit_codes.escaped(str(made.path))}")
    view = made.described.view
    console.print(f"{net}, the middle {view.size} pixels in grey; {made.tensors:,} tensors")
    console.print(f"outputs: {exit_codes.escaped(', '.join(made.described.classes))}")
    if made.path.parent.name == FOLDER:
        console.print(f"Ask it as [bold]realism:{exit_codes.escaped(made.path.stem)}[/].")


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
