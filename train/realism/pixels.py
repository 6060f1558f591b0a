"""Decodes every picture once: the pixels for training are in a memory-mapped file, not held in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.errors import KeepersError, WriteFailed
from ...core.files import atomic_write
from .collect import Collected, Sample, collect, listed

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from ...models.realism.view import Window

LIST, PIXELS = "images.json", "pixels.bin"


@dataclass(frozen=True)
class DecodedPictures:
    """The images of a training, with their pixels."""

    collected: Collected
    pixels: NDArray[np.uint8]
    """[N, 1 or 3, side, side], mapped from a file; `side` is the size of the window plus twice the margin."""
    margin: int


def decoded_pictures(
    folders: Mapping[str, Sequence[Path]],
    window: Window,
    margin: int,
    work: Path,
    *,
    force: bool,
    progress: Callable[[int, int], None],
    threads: int,
) -> DecodedPictures:
    """Reads all images, or reuses what an earlier call left in `work` if no file has changed since.

    Raises KeepersError as `collect` does, and WriteFailed for a full disk.
    """
    key = _key(folders, window, margin, force)
    side = window.size + 2 * margin
    planes = 1 if window.grey else 3
    known = _known(work, key)
    if known is None:
        known = _read(folders, window, margin, work, key, force, progress, threads)
    pixels = np.memmap(work / PIXELS, dtype=np.uint8, mode="r", shape=(len(known.samples), planes, side, side))
    return DecodedPictures(known, pixels, margin)


def _read(
    folders: Mapping[str, Sequence[Path]],
    window: Window,
    margin: int,
    work: Path,
    key: dict[str, Any],
    force: bool,
    progress: Callable[[int, int], None],
    threads: int,
) -> Collected:
    work.mkdir(parents=True, exist_ok=True)

    def keep(image: Image) -> NDArray[np.uint8]:
        return window.pixels(image, margin)

    try:
        with (work / PIXELS).open("wb") as file:
            found = collect(
                folders,
                force=force,
                keep=keep,
                take=lambda pixels: file.write(pixels.tobytes()),
                progress=progress,
                threads=threads,
            )
    except OSError as error:
        raise WriteFailed(work / PIXELS, error) from error
    atomic_write(work / LIST, json.dumps({"key": key, **_as_json(found)}).encode())
    return found


def _key(folders: Mapping[str, Sequence[Path]], window: Window, margin: int, force: bool) -> dict[str, Any]:
    """What the stored pixels depend on: every file's path, size and modification time, and how pixels are cut."""
    files, _ = listed(folders)
    stamps = [[str(found.path), found.size, found.mtime_ns, label] for found, label in files]
    view = {"size": window.size, "grey": window.grey, "margin": margin}
    return {"classes": list(folders), "view": view, "force": force, "files": stamps}


def _known(work: Path, key: dict[str, Any]) -> Collected | None:
    try:
        stored = json.loads((work / LIST).read_text(encoding="utf-8"))
        if stored["key"] != json.loads(json.dumps(key)):
            return None
        found = _from_json(stored)
        side = key["view"]["size"] + 2 * key["view"]["margin"]
        size = len(found.samples) * side * side * (1 if key["view"]["grey"] else 3)
        return found if (work / PIXELS).stat().st_size == size else None
    except (OSError, ValueError, KeyError, TypeError, KeepersError):
        return None


def _as_json(found: Collected) -> dict[str, Any]:
    return {
        "samples": [{**asdict(sample), "path": str(sample.path)} for sample in found.samples],
        "unread": [[str(path), reason] for path, reason in found.unread],
        "repeated": found.repeated,
        "shared": [[str(a), str(b)] for a, b in found.shared],
    }


def _from_json(stored: dict[str, Any]) -> Collected:
    return Collected(
        tuple(stored["key"]["classes"]),
        tuple(Sample(**{**entry, "path": Path(entry["path"])}) for entry in stored["samples"]),
        tuple((Path(path), reason) for path, reason in stored["unread"]),
        stored["repeated"],
        tuple((Path(a), Path(b)) for a, b in stored["shared"]),
    )
