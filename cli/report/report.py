"""`keepers report`: the HTML page of images that were scanned already, from the store or from a scan's output."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ...collection.store import Store
from ...core.errors import KeepersError
from ...core.gates.gate import Gate
from ...core.judging.judge import Judge
from ..console import console
from ..exit_codes import OK, UNJUDGED, escaped
from ..gates import GateOptions
from ..known_output import named_output, needing_arrow
from ..looking import Looking, tell_passed_by
from ..machine import Machine
from ..options import Fields, examples, in_panel
from ..pages.page import write_page
from ..store import Db, store_path
from .gathered import Gathered, Wish

if TYPE_CHECKING:
    from ...cluster.output.output import Output

_shown = in_panel("What is shown")
_page = in_panel("Output")

LIMIT = 10_000
"""Images that a browser shows with ease."""


@examples(
    "keepers report",
    "keepers report ~/outputs --gate \"accept: signals.label == 'ok'\" --verdict reject -o rejected.html",
)
def report(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            help="Images and folders; or the output of a scan with --engine ray. Default: all in the store."
        ),
    ] = None,
    *,
    output: Annotated[Path, _page("--output", "-o", help="The page that is written.")] = Path("report.html"),
    gate: GateOptions,
    limit: Annotated[int, _shown(min=0, help="Show this many images, of each verdict its share; 0: all.")] = LIMIT,
    verdict: Annotated[
        Literal["accept", "review", "reject", "error"] | None,
        _shown(help="Show only images with this verdict.", show_default=False),
    ] = None,
    pictures: Annotated[
        bool, _page("--pictures/--no-pictures", help="Make thumbnails of images that have none yet.")
    ] = True,
    looking: Looking,
    db: Db = None,
    machine: Annotated[Machine, Fields("folders", "weights")],
) -> None:
    """Write the HTML page of images that were scanned already, without scanning.

    Without a gate, each image has the verdict that was given last. With one, it is decided anew from the stored
    numbers; an image that they do not decide goes to review. What could not be judged is counted apart.
    """
    found = named_output(paths)
    judge = machine.judge()
    chosen = gate.named(judge.store)
    wish = Wish(output.parent, limit, verdict, pictures, looking.search())
    with ExitStack() as stack:
        place = store_path(db)
        store = stack.enter_context(Store(place)) if place.is_file() else None
        gathered = _gathered(found, paths or [], chosen, judge, store, wish)
    size = write_page(output, gathered.header(), gathered.rows)
    _tell(gathered)
    tell_passed_by(wish.search)
    console.print(f"report: {escaped(str(output))} ({size / 1e6:.1f} MB)", soft_wrap=True)
    raise typer.Exit(OK if gathered.complete else UNJUDGED)


def _gathered(
    found: Output | None, paths: list[str], gate: Gate | None, judge: Judge, store: Store | None, wish: Wish
) -> Gathered:
    if found is not None:
        with needing_arrow():
            from .output import from_output

        return from_output(found, gate, judge, store, wish)
    if store is None:
        raise KeepersError("There is no store of results yet: scan first, or name one with --db.")
    from .store import from_store

    return from_store(store, [Path(path) for path in paths], gate, judge, wish)


def _tell(gathered: Gathered) -> None:
    """What became of all images."""
    console.print(f"[bold]{sum(gathered.totals.values()):,} images[/]")
    for verdict, count in gathered.totals.items():
        console.print(f"  {verdict:<6}  {count:>8,}")
    gathered.not_judged.show()
    for what, count in gathered.counts.items():
        console.print(f"  {count:,} {what}: left out")
    for what in gathered.missing:
        console.print(f"[magenta]passed over[/] {escaped(what.path)}: {escaped(what.reason)}", soft_wrap=True)
    if gathered.note:
        console.print(escaped(gathered.note))
