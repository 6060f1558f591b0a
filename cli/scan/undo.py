"""`keepers undo`: take back what `scan --sort` did."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...collection.sorting.journal import journals
from ...collection.sorting.undo import undo as take_back
from ...core.errors import KeepersError
from .. import exit_codes
from ..console import console
from ..exit_codes import escaped
from ..options import examples


@examples(
    "keepers undo sorted",
    "keepers undo sorted --all",
)
def undo(
    folder: Annotated[Path, typer.Argument(help="The folder given to --sort, or one of the logs in it.")],
    everything: Annotated[
        bool, typer.Option("--all", help="Take back all runs that left a log, not only the latest.")
    ] = False,
) -> None:
    """Take back the sorting of files: moved ones go home, copies and links that nobody changed are removed."""
    logs = [folder] if folder.is_file() else journals(folder)
    if not logs:
        raise KeepersError(f"{folder} holds no log of `keepers scan --sort`, so there is nothing to take back.")
    left = 0
    for log in reversed(logs) if everything else logs[-1:]:
        done = take_back(log)
        console.print(
            f"{escaped(log.name)}: {len(done.restored)} moved back, {len(done.removed)} copies or links removed"
        )
        for path, reason in done.left:
            console.print(f"  left {escaped(str(path))}: {escaped(reason)}", soft_wrap=True)
        left += len(done.left)
    if left:
        raise typer.Exit(exit_codes.UNJUDGED)
