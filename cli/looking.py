"""The option of every command that looks through folders: whether hidden files are taken; and what was left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from ..core.pictures.walk import PassedBy, Search
from .console import console
from .options import in_panel

_folders = in_panel("Folders")


@dataclass(frozen=True)
class Looking:
    """What a command takes in the folders that it is given."""

    hidden: Annotated[
        bool,
        _folders("--hidden", help="Also take hidden files and folders (.thumbnails, @eaDir) and what --sort moved."),
    ] = False

    def search(
        self,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        *,
        recursive: bool = True,
        follow: bool = False,
        skip: Sequence[Path] = (),
    ) -> Search:
        """A search that counts what it leaves out, for `tell_passed_by`."""
        return Search(include, exclude, recursive, follow, skip, self.hidden, PassedBy())


def tell_passed_by(search: Search) -> None:
    """Print what a walk left out because it is hidden, if there was anything."""
    if search.passed_by:
        console.print(f"{search.passed_by}; --hidden takes them", style="dim")
