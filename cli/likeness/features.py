"""Feature vectors of image files, for commands that compare images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.progress import track

from ...core.errors import KeepersError, NotExplainable, UnreadableImage
from ...core.pictures.open import open_image
from ...core.pictures.walk import Found, Search, walk
from .. import exit_codes
from ..console import console
from ..looking import tell_passed_by
from ..machine import Machine
from ..options import Fields

if TYPE_CHECKING:
    from PIL.Image import Image

    from ...core.judging.classifier import Classifier, Prepared
    from ...core.prediction import Floats

Model = Annotated[str, typer.Option("--model", help="The model whose features are compared: furry, jtp, wd, …")]

OneModel = Annotated[Machine, Fields("device", "precision", "folders", "download")]


@dataclass
class Features:
    """The features of the images that could be read, and why others could not be."""

    paths: list[Path] = field(default_factory=list[Path])
    rows: list[Floats] = field(default_factory=list)
    unread: list[UnreadableImage] = field(default_factory=list[UnreadableImage])
    search: Search = field(default_factory=Search)
    """How files were looked for, with what was left out."""

    @property
    def matrix(self) -> Floats:
        """[N, F]"""
        return np.stack(self.rows) if self.rows else np.zeros((0, 1), dtype=np.float32)


def collect(
    classifier: Classifier,
    paths: Sequence[Path],
    batch: int,
    seen: Callable[[Path, Image], None] = lambda _path, _image: None,
    search: Search | None = None,
) -> Features:
    """The features of all images in files and folders; `seen` is shown each picture once."""
    if not classifier.has_features:
        raise NotExplainable(f"{classifier.spec.id} has no feature vectors; furry, jtp and wd have.")
    found = Features(search=search or Search())
    files = _files(paths, found)
    for some in _batches(track(files, "reading", console=console, transient=True), batch):
        ready: list[tuple[Path, Prepared]] = []
        for path in some:
            try:
                image = open_image(path)
                ready.append((path, classifier.prepare(image)))
                seen(path, image)
            except UnreadableImage as error:  # noqa: PERF203  one bad file must not stop the others
                found.unread.append(error)
        if ready:
            found.rows.extend(classifier.features([prepared for _, prepared in ready]))
            found.paths.extend(path for path, _ in ready)
    return found


def feature_of(classifier: Classifier, path: Path) -> Floats:
    """[F]: the features of one image. Raises UnreadableImage, and NotExplainable for a model without features."""
    found = collect(classifier, [path], 1)
    if found.unread:
        raise found.unread[0]
    return found.rows[0]


def tell_unread(found: Features) -> None:
    """Print what could not be read, and what was left out."""
    tell_passed_by(found.search)
    for error in found.unread:
        console.print(f"[red]not read[/] {exit_codes.escaped(str(error))}")


def _files(paths: Sequence[Path], found: Features) -> list[Path]:
    files: list[Path] = []
    for entry in walk(paths, found.search):
        if isinstance(entry, Found):
            files.append(entry.path)
        else:
            found.unread.append(UnreadableImage(entry.path, entry.code, entry.reason))
    if not files and not found.unread:
        raise KeepersError("There are no images in " + ", ".join(str(path) for path in paths) + ".")
    return files


def _batches(files: Iterable[Path], size: int) -> Iterator[list[Path]]:
    some: list[Path] = []
    for file in files:
        some.append(file)
        if len(some) == size:
            yield some
            some = []
    if some:
        yield some
