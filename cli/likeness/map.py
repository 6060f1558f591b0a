"""`keepers map`: a folder as a picture on which similar images lie close together."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...collection.similarity import onto_plane
from ...core.errors import KeepersError
from .. import exit_codes
from ..console import console
from ..looking import Looking
from ..options import examples, in_panel
from ..pages.page import write_page
from ..pages.panels import scatter
from ..pages.rows import Header, Row, ShownModel, Unread, link
from ..pages.thumbnail import thumbnail
from .features import Features, Model, OneModel, collect, tell_unread

if TYPE_CHECKING:
    from PIL.Image import Image

    from ...core.judging.classifier import Classifier
    from ..pages.panels import Panel

_output = in_panel("Output")


@examples(
    "keepers map ~/outputs",
    "keepers map ~/outputs --model jtp --report map.html",
)
def map_(
    paths: Annotated[list[Path], typer.Argument(help="Folders and images.")],
    *,
    report: Annotated[Path, _output(help="The page to write.")] = Path("map.html"),
    model: Model = "furry",
    looking: Looking,
    machine: OneModel,
) -> None:
    """Draw a map of images: a model's features, brought to the two directions in which they differ most (PCA)."""
    started = time.monotonic()
    classifier = machine.judge().classifier(model)
    shown: dict[Path, Row] = {}

    def seen(path: Path, image: Image) -> None:
        shown[path] = _row(path, image, report.parent)

    found = collect(classifier, paths, machine.batch, seen, looking.search())
    tell_unread(found)
    if len(found.paths) < 3:
        raise KeepersError(f"A map needs at least 3 images; {len(found.paths)} could be read.")
    rows = [shown[path] for path in found.paths]
    size = write_page(report, _header(found, classifier, time.monotonic() - started), rows, [_panel(found, paths)])
    console.print(f"map: {exit_codes.escaped(str(report))} ({len(rows):,} images, {size / 1e6:.1f} MB)")
    raise typer.Exit(exit_codes.UNJUDGED if found.unread else exit_codes.OK)


def _row(path: Path, image: Image, folder: Path) -> Row:
    width, height = image.size
    return Row(
        path=str(path),
        href=link(path, folder),
        verdict="accept",
        thumbnail=thumbnail(image),
        width=width,
        height=height,
        time=path.stat().st_mtime,
    )


def _panel(found: Features, paths: list[Path]) -> Panel:
    """The points, coloured by the folder of their images."""
    points, (first, second) = onto_plane(found.matrix)
    names = [_folder(path, paths) for path in found.paths]
    return scatter(
        "Map",
        [float(x) for x in points[:, 0]],
        [float(y) for y in points[:, 1]],
        list(range(len(found.paths))),
        groups=names if len(set(names)) > 1 else (),
        x_label=f"1st direction, {first:.0%} of the variance",
        y_label=f"2nd direction, {second:.0%} of the variance",
        note="Images that the model finds similar lie close together. A click opens the image.",
    )


def _folder(path: Path, paths: list[Path]) -> str:
    """The folder of an image, relative to the one that was named."""
    for root in paths:
        if root.is_dir() and path.is_relative_to(root):
            return path.parent.relative_to(root).as_posix()
    return str(path.parent)


def _header(found: Features, classifier: Classifier, duration: float) -> Header:
    from ... import __version__

    asked = ShownModel(classifier.spec.id, classifier.spec.title, classifier.fingerprint)
    return Header(
        title=f"Map of {len(found.paths):,} images",
        models=[asked],
        duration=duration,
        version=__version__,
        date=time.strftime("%Y-%m-%dT%H:%M:%S"),
        unread=[Unread(error.path, error.code, error.detail) for error in found.unread],
    )
