"""Puts captions where the recipe wants them, and keeps a journal so that the run can be undone."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from ..errors import KeepersError
from ..metadata.containers import BrokenContainer
from ..metadata.record import Record
from ..metadata.write import embed, embedded, read_record
from .journal import new_run, record
from .recipe import CaptionRecipe
from .sidecar import Change, digest, plan_sidecar, write_sidecar
from .training_folder import place_image
from .writer import Caption

What = Literal["new", "changed", "kept", "generation", "empty", "missing"]


@dataclass(frozen=True)
class Written:
    """What happened to one caption."""

    what: What
    """"kept": there was a caption already; "generation": the file says how the image was made, and stays as it is;
    "empty": there was nothing to say; "missing": a required tag is missing."""
    change: Change
    image: Path
    """The image beside the caption: the copy, if copies are made."""
    not_embedded: str = ""
    """Why the caption could not be put into the image's metadata; empty if it was or need not be."""


@dataclass
class CaptionFiles:
    """Writes the captions of one run."""

    recipe: CaptionRecipe
    folder: Path | None = None
    """Images are copied here and captioned here; None writes captions next to the images."""
    dry: bool = False
    """Only report what would be done."""
    run: str = field(default_factory=new_run)
    _copied: set[Path] = field(default_factory=set[Path])

    def put(self, image: Path, caption: Caption) -> Written:
        """Writes one caption. Raises SidecarError, WriteFailed, OutsideFolder, UnreadableImage.

        An image whose metadata cannot hold the caption is not an error: the caption file has it.
        """
        target = image
        if self.folder is not None:
            target = self.folder / image.name if self.dry else self._place(image)
        change = plan_sidecar(target, caption.text, self.recipe)
        if caption.missing:
            change = replace(change, kept=caption.notes[-1])
        if not change.kept and not self.dry:
            record(self.run, change.path, change.before, digest(change.written))
            write_sidecar(change)
        wanted = self.recipe.embed and caption.text and not self.dry
        return Written(_what(change, caption), change, target, self._embed(target, change.after) if wanted else "")

    def _place(self, image: Path) -> Path:
        assert self.folder is not None
        return place_image(self.folder, image, self.recipe.extension, self._note_copy)

    def _note_copy(self, path: Path, content: str) -> None:
        record(self.run, path, None, content)
        self._copied.add(path)

    def _embed(self, image: Path, text: str) -> str:
        """Puts a caption into an image; returns why not if it cannot be done."""
        try:
            self._put_inside(image, text)
        except KeepersError as error:
            return str(error).removeprefix(f"{image}: ")
        return ""

    def _put_inside(self, image: Path, text: str) -> None:
        found = read_record(image) or Record()
        if found.caption == text:
            return
        changed = replace(found, caption=text)
        if image in self._copied:
            # An undo removes the whole copy, so its content with the caption in it is what counts.
            with suppress(BrokenContainer, OverflowError):  # embed reports these
                record(self.run, image, None, digest(embedded(image.read_bytes(), changed)))
        else:
            record(self.run, image, found.caption.encode() or None, digest(text.encode()), embedded=True)
        embed(image, changed, keep_mtime=True)


def _what(change: Change, caption: Caption) -> What:
    if caption.missing:
        return "missing"
    if not caption.text:
        return "empty"
    if change.kept:
        return "generation" if change.generation else "kept"
    return "new" if change.before is None else "changed"
