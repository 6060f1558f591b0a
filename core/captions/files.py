"""Puts captions where the recipe wants them, with a journal that lets the run be taken back."""

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

What = Literal["new", "changed", "kept", "empty", "missing"]


@dataclass(frozen=True)
class Written:
    """What became of one caption."""

    what: What
    """"kept": a caption was there; "empty": there was nothing to say; "missing": the image lacks a required tag."""
    change: Change
    image: Path
    """The image that the caption stands beside: the copy, where copies are made."""
    not_embedded: str = ""
    """Why the image's metadata did not take the caption, which was to be put there."""


@dataclass
class CaptionFiles:
    """Writes captions of one run."""

    recipe: CaptionRecipe
    folder: Path | None = None
    """Copy images and captions here; None writes next to the images."""
    dry: bool = False
    """Only tell what would be done."""
    run: str = field(default_factory=new_run)
    _copied: set[Path] = field(default_factory=set[Path])

    def put(self, image: Path, caption: Caption) -> Written:
        """Writes one caption. Raises SidecarError, WriteFailed, OutsideFolder, UnreadableImage.

        An image that cannot take the caption into its metadata is no error: the caption file has it.
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
        """Puts a caption into an image; why not, where it cannot be."""
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
            # A copy is taken back as a whole, so what counts is its content with the caption in it.
            with suppress(BrokenContainer, OverflowError):  # embed tells of these
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
        return "kept"
    return "new" if change.before is None else "changed"
