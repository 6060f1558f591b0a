"""Folders as the usual LoRA trainers read them: images in `10_name` are repeated ten times per epoch."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ..errors import RecipeError
from ..files import content_hash, copy_whole
from ..paths import inside, numbered


def training_folder(root: Path, repeats: int, name: str) -> Path:
    """The folder `repeats_name` inside `root`, not created yet. Raises RecipeError, OutsideFolder."""
    if repeats < 1:
        raise RecipeError(f"Images cannot be repeated {repeats} times; it must be at least once.")
    if not name.strip():
        raise RecipeError("The training folder needs a name: the trigger word, or trigger and class.")
    if set(name) & set("/\\"):
        raise RecipeError(f"The name {name!r} of the training folder must not contain slashes.")
    return inside(root, f"{repeats}_{name}")


def place_image(folder: Path, image: Path, extension: str, note: Callable[[Path, str], None]) -> Path:
    """Copies an image into a folder, under a name whose caption file is free too; returns the copy.

    An identical copy is used as it is. Another image of that name is never replaced; the copy gets a number instead.
    `note` is called with the copy's path and sha256 before the copy is made.
    Raises WriteFailed, UnreadableImage, OutsideFolder.
    """
    content = content_hash(image)
    for target in numbered(inside(folder, image.name, native=True)):
        if target.is_file() and content_hash(target) == content:
            return target
        if not _taken(target, extension):
            note(target, content)
            with suppress(FileExistsError):
                copy_whole(image, target)
                return target
    raise AssertionError("numbered() has no end")


def _taken(target: Path, extension: str) -> bool:
    """Whether the name is taken, or its caption file, or that file belongs to another image."""
    if os.path.lexists(target) or os.path.lexists(target.with_name(target.stem + extension)):
        return True
    try:
        names = os.listdir(target.parent)  # noqa: PTH208  names are enough
    except FileNotFoundError:
        return False
    return any(Path(name).stem == target.stem for name in names)
