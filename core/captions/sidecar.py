"""Caption files next to their images: `a.png` has its caption in `a.txt`."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from ..errors import SidecarError
from ..files import atomic_write, open_regular
from ..metadata.beside import generation_beside
from ..paths import inside
from .recipe import IMAGE_ENDINGS, CaptionRecipe
from .text import normal

GENERATION_DATA = "it says how the image was made and is no caption; write captions with another ending"
_LARGEST = 1024 * 1024
_BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


@dataclass(frozen=True)
class Change:
    """What is to happen to one caption file."""

    path: Path
    before: bytes | None
    """What is in it now; None if there is no file."""
    after: str
    """The text it is to have."""
    kept: str = ""
    """Why the file stays as it is; empty if it is to be written."""
    generation: bool = False
    """Whether the file says how the image was made, so that it is no caption and stays as it is."""

    @property
    def old(self) -> str:
        """The text before; empty if there was no file."""
        return "" if self.before is None else decode(self.path, self.before)

    @property
    def written(self) -> bytes:
        """The bytes the file is to have: UTF-8 without a byte order mark."""
        return self.after.encode("utf-8", "replace")


def sidecar_path(image: Path, extension: str) -> Path:
    """The caption file of an image: the same stem with another ending."""
    return image.with_name(image.stem + extension)


def plan_sidecar(image: Path, caption: str, recipe: CaptionRecipe) -> Change:
    """What the recipe does to the caption file of an image; nothing is written. Raises SidecarError, OutsideFolder."""
    path = sidecar_path(image, recipe.extension)
    before = read_bytes(path)
    if not caption and (recipe.empty == "skip" or before is not None):
        # An empty caption never overwrites somebody else's.
        return Change(path, before, caption, "the caption is empty")
    if before is None:
        return Change(path, None, caption)
    if generation_beside(decode(path, before)):
        return Change(path, before, decode(path, before), GENERATION_DATA, generation=True)
    if recipe.existing == "skip":
        return Change(path, before, decode(path, before), "there is a caption already")
    after = combine(decode(path, before), caption, recipe)
    return Change(path, before, after, "it says so already" if after.encode("utf-8", "replace") == before else "")


def combine(old: str, new: str, recipe: CaptionRecipe) -> str:
    """An existing caption and a new one, combined as the recipe's `existing` says; "skip" keeps the old one."""
    first = old.strip()
    match recipe.existing:
        case "skip":
            return old
        case "overwrite":
            return new
        case "append":
            return _join([first, new], recipe)
        case "prepend":
            return _join([new, first], recipe)
        case "merge":
            return merge(first, new, recipe)


def merge(old: str, new: str, recipe: CaptionRecipe) -> str:
    """The parts of both, the old ones first; parts with the same normal form appear once."""
    seen: set[str] = set()
    parts: list[str] = []
    for part in [*parts_of(old, recipe), *parts_of(new, recipe)]:
        if normal(part) not in seen:
            seen.add(normal(part))
            parts.append(part)
    return recipe.joint.join(parts) + (recipe.joint.rstrip() if recipe.trailing and parts else "")


def parts_of(text: str, recipe: CaptionRecipe) -> list[str]:
    """The tags of a caption as the recipe would have written it, separated by lines and by its separator."""
    mark = recipe.joint.strip()
    if not mark and "," in text:
        mark = ","  # somebody else's caption, where ours are separated by blanks
    if not mark and "\n" not in recipe.joint:
        return text.split()
    pieces = (piece for line in text.splitlines() for piece in (line.split(mark) if mark else [line]))
    return [part for part in (piece.strip() for piece in pieces) if part]


def write_sidecar(change: Change) -> None:
    """Carries out a change, unless somebody has written the file since. Raises SidecarError, WriteFailed."""
    if change.kept:
        return
    if read_bytes(change.path) != change.before:
        raise SidecarError(change.path, "somebody wrote this caption in the meantime; it was left as it is")
    try:
        atomic_write(change.path, change.written, exclusive=change.before is None)
    except FileExistsError:
        raise SidecarError(change.path, "somebody wrote this caption in the meantime; it was left as it is") from None


def read_sidecar(path: Path) -> str | None:
    """The text of a caption file; None if there is none. Raises SidecarError."""
    data = read_bytes(path)
    return None if data is None else decode(path, data)


def read_caption(path: Path) -> str | None:
    """The caption in a file; None if there is no file, or if it says how the image was made. Raises SidecarError."""
    text = read_sidecar(path)
    return None if text is None or generation_beside(text) else text


def read_bytes(path: Path) -> bytes | None:
    """The content of a caption file; None if there is none. Raises SidecarError, OutsideFolder."""
    inside(path.parent, path.name, native=True)
    if path.is_symlink():
        raise SidecarError(path, "this is a link, not a caption file; replace it with a file")
    try:
        with open_regular(path) as file:
            data = file.read(_LARGEST + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SidecarError(path, f"it cannot be read: {error.strerror or error}") from error
    if len(data) > _LARGEST:
        raise SidecarError(path, f"it is larger than {_LARGEST >> 20} MiB; that is no caption")
    return data


def decode(path: Path, data: bytes) -> str:
    """The text of a caption file, in UTF-8 or what its byte order mark says. Raises SidecarError."""
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise SidecarError(path, "it is not UTF-8 text; save it as UTF-8 first") from error


def digest(data: bytes) -> str:
    """The sha256 of a file's content, in hex."""
    return sha256(data).hexdigest()


def collisions(images: Iterable[Path], extension: str) -> Mapping[Path, tuple[Path, ...]]:
    """The images that would share their caption file with other images, each with those others.

    All images in the same folder count, named or not: `a.txt` belongs to `a.jpg` as much as to `a.png`.
    """
    given = list(images)
    claims: dict[str, set[Path]] = defaultdict(set)
    for image in [*given, *_neighbours({image.parent for image in given})]:
        claims[_place(sidecar_path(image, extension))].add(image)
    found: dict[Path, tuple[Path, ...]] = {}
    for image in given:
        others = claims[_place(sidecar_path(image, extension))] - {image}
        if others:
            found[image] = tuple(sorted(others))
    return found


def _neighbours(folders: Iterable[Path]) -> Iterable[Path]:
    for folder in folders:
        with suppress(OSError):  # writing there will report a folder that cannot be listed
            yield from (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_ENDINGS)


def _place(path: Path) -> str:
    return os.path.normcase(path)


def _join(texts: list[str], recipe: CaptionRecipe) -> str:
    mark = recipe.joint.rstrip()
    bare = [text.removesuffix(mark) if mark else text for text in texts]
    text = recipe.joint.join(text for text in bare if text)
    return text + (mark if recipe.trailing and text else "")
