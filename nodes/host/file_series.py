"""Names for saved images: inside the output folder, never reused, with one number for image and caption."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import folder_paths

from ...core.errors import OutsideFolder
from ...core.files import atomic_write
from ...core.paths import inside

_PLACEHOLDER = re.compile(r"%[^%/\\]*%")
SUBFOLDER = {"accept": "", "review": "review", "reject": "rejected"}


@dataclass
class Series:
    """The files of one run, numbered as ComfyUI does: `prefix_00001_.png` …; review and rejected in subfolders."""

    folder: Path
    stem: str
    number: int

    @classmethod
    def start(cls, prefix: str, width: int, height: int) -> Series:
        """The series of a prefix, after the highest number in use in its folder or the subfolders.

        ComfyUI fills in its own %placeholders%. Raises OutsideFolder; no folder is created then.
        """
        output = folder_paths.get_output_directory()
        prefix = prefix.replace("\\", "/")
        inside(Path(output), _PLACEHOLDER.sub("0", prefix))
        folder, stem, _, _, filled = folder_paths.get_save_image_path(prefix, output, width, height)
        inside(Path(output), _PLACEHOLDER.sub("0", filled))
        if not stem:
            raise OutsideFolder(prefix, output, "it names no file")
        found = cls(Path(folder).resolve(), stem, 1)
        found.number = 1 + max(map(found._highest, SUBFOLDER.values()), default=0)
        return found

    def write(self, image: bytes, caption: str | None, outcome: str, place: int, endings: tuple[str, str]) -> Path:
        """Save an image and its caption under the next free number; raises WriteFailed, and nothing is overwritten.

        `endings` are those of the image and of the caption file; `place` fills in %batch_num%.
        """
        folder = self.folder / SUBFOLDER[outcome]
        while True:
            stem = f"{self.stem.replace('%batch_num%', str(place))}_{self.number:05}_"
            self.number += 1
            path, text = folder / (stem + endings[0]), folder / (stem + endings[1])
            if caption is not None and os.path.lexists(text):
                continue
            try:
                atomic_write(path, image, exclusive=True)
            except FileExistsError:
                continue
            if caption is not None:
                atomic_write(text, caption.encode("utf-8", "replace"), exclusive=True)
            return path

    def _highest(self, sub: str) -> int:
        name = re.escape(self.stem).replace("%batch_num%", r"\d+")
        pattern = re.compile(rf"{name}_(\d+)_?\.[^.]+", re.IGNORECASE if os.name == "nt" else 0)
        return max(_numbers(self.folder / sub, pattern), default=0)


def shown(path: Path, *, output: Path | None = None) -> dict[str, str]:
    """A saved file, in the form in which ComfyUI's frontend requests it."""
    folder = (output or Path(folder_paths.get_output_directory())).resolve()
    return {"filename": path.name, "subfolder": path.parent.relative_to(folder).as_posix().strip("."), "type": "output"}


def _numbers(folder: Path, pattern: re.Pattern[str]) -> Iterable[int]:
    try:
        names = [entry.name for entry in os.scandir(folder)]
    except OSError:
        return []
    return [int(found[1]) for name in names if (found := pattern.fullmatch(name))]
