"""Which files go with an image: its captions and what else programs write beside it under its name.

Both `a.txt` and `a.png.txt` belong to `a.png`. Images with the same stem share `a.txt`: while another of them lies
beside it, an image that moves takes a copy.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ...core.captions.recipe import IMAGE_ENDINGS

ENDINGS = (".txt", ".caption", ".caption.txt", ".tags", ".tags.txt", ".json", ".yaml", ".yml", ".xmp")
"""What follows the stem or the whole name of an image."""


@dataclass(frozen=True)
class Sidecar:
    """A file that goes with an image."""

    path: Path
    ending: str
    whole: bool
    """Whether the ending follows the image's whole name, as in `a.png.txt`, not its stem."""

    def beside(self, image: Path) -> Path:
        """The same file's place beside an image of another name."""
        return _named(image, self.ending, self.whole)


def sidecars(image: Path, endings: Sequence[str] = ENDINGS) -> list[Sidecar]:
    """The files that lie beside an image and go with it; the image itself need not be there."""
    return [found for found in _around(image, endings) if found.path.is_file()]


def occupied(image: Path, endings: Sequence[str] = ENDINGS) -> list[Path]:
    """The names around an image's that are taken by anything at all, and that its sidecars would have."""
    return [found.path for found in _around(image, endings)]


def is_shared(sidecar: Path, image: Path, endings: Sequence[str] = ENDINGS) -> bool:
    """Whether another image in the same folder has this sidecar too."""
    return any(not _is_it(other, image) for other in _images(sidecar, endings))


def _named(image: Path, ending: str, whole: bool) -> Path:
    return image.with_name((image.name if whole else image.stem) + ending)


def _around(image: Path, endings: Sequence[str]) -> Iterator[Sidecar]:
    given = [image]
    heads = [(str(image.with_name(image.stem)), False), (str(image), True)]
    for ending in _cased(tuple(endings)):
        for head, whole in heads if image.suffix else heads[1:]:
            # Texts, not paths: nearly all of these names are free. On a disk that ignores case, two may be one file.
            if os.path.lexists(head + ending) and not any(_is_it(Path(head + ending), other) for other in given):
                given.append(Path(head + ending))
                yield Sidecar(given[-1], ending, whole)


@cache
def _cased(endings: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(cased for ending in endings for cased in (ending, ending.upper())))


def _images(sidecar: Path, endings: Sequence[str]) -> Iterator[Path]:
    """The images that a file belongs to."""
    for ending in endings:
        head = str(sidecar)[: -len(ending)]
        if sidecar.name[: -len(ending)] and sidecar.name.lower().endswith(ending.lower()):
            whole = [head] if Path(head).suffix.lower() in IMAGE_ENDINGS else []
            yield from (Path(name) for name in (*whole, *(head + each for each in _IMAGES)) if os.path.isfile(name))  # noqa: PTH113


_IMAGES = tuple(cased for ending in sorted(IMAGE_ENDINGS) for cased in (ending, ending.upper(), ending.title()))


def _is_it(one: Path, other: Path) -> bool:
    """Whether two names in a folder are one name, on a disk that may ignore case."""
    if one == other:
        return True
    return one.name.casefold() == other.name.casefold() and other.exists() and one.samefile(other)
