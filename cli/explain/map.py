"""`keepers explain` for detectors: where in an image, or in all images of a folder, the answer was found."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import typer
from rich.progress import track

from ...core.errors import KeepersError, NotExplainable, UnreadableImage
from ...core.files import atomic_write
from ...core.heatmaps.heatmap import Heatmap, Method, can_explain, heatmaps, overlay
from ...core.pictures.open import open_image
from ...core.pictures.walk import Found, Search, walk
from .. import exit_codes
from ..console import console
from ..looking import tell_passed_by
from ..pages.page import write_page
from ..pages.rows import Header, Row, ShownModel, Unread, link
from ..pages.thumbnail import thumbnail

if TYPE_CHECKING:
    from PIL.Image import Image

    from ...core.judging.classifier import Classifier

BATCH = 8


@dataclass(frozen=True)
class MapOptions:
    """What to show, and where to write it."""

    label: str = ""
    method: Method = "grad-cam"
    heatmap: Path | None = None
    """A PNG of the image under its map."""
    raw: Path | None = None
    """The map as a numpy array [height, width]."""
    sheet: Path | None = None
    """A page with all images under their maps."""
    as_json: bool = False
    search: Search = field(default_factory=Search)
    """How a folder is looked through."""


def explain_map(classifier: Classifier, path: Path, options: MapOptions) -> None:
    """Explain one image, or all of a folder. Raises NotExplainable, UnreadableImage, KeepersError."""
    if not can_explain(classifier):
        raise NotExplainable(f"{classifier.spec.id} can be explained neither by its decision nor by a heatmap.")
    if path.is_dir():
        _explain_folder(classifier, path, options)
    else:
        _explain_image(classifier, path, options)


def _explain_image(classifier: Classifier, path: Path, options: MapOptions) -> None:
    picture = open_image(path)
    (found,) = heatmaps(classifier, [picture], options.label, options.method)
    if options.sheet:
        _write_sheet(classifier, options.sheet, [_row(path, picture, found, options.sheet.parent)], [])
    if options.heatmap:
        write_png(options.heatmap, overlay(picture, found))
        console.print(f"The map for {found.label} is {exit_codes.escaped(str(options.heatmap))}.", soft_wrap=True)
    if options.raw:
        write_array(options.raw, found)
    if options.as_json:
        typer.echo(json.dumps(facts(path, found), indent=2))
    else:
        _show(path, found)


def _explain_folder(classifier: Classifier, folder: Path, options: MapOptions) -> None:
    if options.heatmap or options.raw:
        raise KeepersError("--heatmap and --raw are for one image; --plot writes a sheet of a folder.")
    if not options.sheet and not options.as_json:
        raise KeepersError("A folder is explained on a sheet: name its file with --plot.")
    rows: list[Row] = []
    told: list[dict[str, Any]] = []
    unread: list[UnreadableImage] = []
    target = options.sheet.parent if options.sheet else folder
    for path, picture, found in _found(classifier, folder, options, unread):
        rows.append(_row(path, picture, found, target))
        told.append(facts(path, found))
    tell_passed_by(options.search)
    if not rows and not unread:
        raise KeepersError(f"There are no images in {folder}.")
    for error in unread:
        console.print(f"[red]not read[/] {exit_codes.escaped(str(error))}")
    if options.sheet:
        _write_sheet(classifier, options.sheet, rows, unread)
        console.print(f"The sheet is {exit_codes.escaped(str(options.sheet))}.", soft_wrap=True)
    if options.as_json:
        typer.echo(json.dumps(told, indent=2))
    if unread:
        raise typer.Exit(exit_codes.UNJUDGED)


def _found(
    classifier: Classifier, folder: Path, options: MapOptions, unread: list[UnreadableImage]
) -> Iterator[tuple[Path, Image, Heatmap]]:
    files = [one.path for one in walk([folder], options.search) if isinstance(one, Found)]
    starts = range(0, len(files), BATCH)
    for start in track(starts, "explaining", console=console, transient=True):
        pairs: list[tuple[Path, Image]] = []
        for path in files[start : start + BATCH]:
            try:
                pairs.append((path, open_image(path)))
            except UnreadableImage as error:  # noqa: PERF203  one bad file must not stop the others
                unread.append(error)
        maps = heatmaps(classifier, [picture for _, picture in pairs], options.label, options.method)
        yield from ((path, picture, found) for (path, picture), found in zip(pairs, maps, strict=True))


def write_png(path: Path, picture: Image) -> None:
    """Raises WriteFailed."""
    atomic_write(path, lambda file: picture.save(file, "PNG"))


def write_array(path: Path, found: Heatmap) -> None:
    """The map over the whole picture as float32 [height, width]. Raises WriteFailed."""
    buffer = io.BytesIO()
    np.save(buffer, found.over(), allow_pickle=False)
    atomic_write(path, buffer.getvalue())


def facts(path: Path, found: Heatmap) -> dict[str, Any]:
    """The explanation as JSON values."""
    values = {
        name: float(value) for name, value in zip(found.prediction.labels.names, found.prediction.values, strict=True)
    }
    return {
        "path": str(path),
        "model": found.prediction.model,
        "answer": found.prediction.label,
        "values": values,
        "map_of": found.label,
        "method": found.method,
        "seen": [round(end) for end in found.region],
        "peak": list(found.peak),
        "map": [[round(float(value), 4) for value in row] for row in found.values],
    }


def _show(path: Path, found: Heatmap) -> None:
    prediction = found.prediction
    pairs = zip(prediction.labels.names, prediction.values, strict=True)
    values = ", ".join(f"{exit_codes.escaped(name)} {value:.4f}" for name, value in pairs)
    console.print(f"{exit_codes.escaped(path.name)}: [bold]{exit_codes.escaped(prediction.label)}[/] ({values})")
    left, top, right, bottom = (round(end) for end in found.region)
    if found.values.max() <= 0:
        console.print(f"Nothing in the image speaks for {exit_codes.escaped(found.label)}.")
        return
    console.print(
        f"What speaks most for {exit_codes.escaped(found.label)} is around x {found.peak[0]}, y {found.peak[1]}; "
        f"it saw x {left} to {right}, y {top} to {bottom} of {found.size[0]} x {found.size[1]} pixels."
    )


def _row(path: Path, picture: Image, found: Heatmap, folder: Path) -> Row:
    prediction = found.prediction
    values = {name: float(value) for name, value in zip(prediction.labels.names, prediction.values, strict=True)}
    return Row(
        path=str(path),
        href=link(path, folder),
        verdict="accept",
        reason=f"{prediction.label}; the map shows what speaks for {found.label}",
        thumbnail=thumbnail(overlay(picture, found)),
        width=picture.width,
        height=picture.height,
        scores={prediction.model: values},
        labels={prediction.model: prediction.label},
    )


def _write_sheet(classifier: Classifier, path: Path, rows: Sequence[Row], unread: Sequence[UnreadableImage]) -> None:
    from ... import __version__

    header = Header(
        title=f"Where {classifier.spec.id} found its answers",
        models=[ShownModel(classifier.spec.id, classifier.spec.title, classifier.fingerprint)],
        version=__version__,
        date=time.strftime("%Y-%m-%dT%H:%M:%S"),
        unread=[Unread(error.path, error.code, error.detail) for error in unread],
    )
    write_page(path, header, rows)
