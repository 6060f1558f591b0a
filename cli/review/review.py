"""`keepers review`: mark each image as keep or reject, on a page that only this machine can open."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ...collection.mark_store import MarkStore
from ...collection.marks import count
from ...collection.scan import Scan, Scanned, ScanOptions
from ...collection.store import Store
from ...core.errors import KeepersError
from ...core.gates.gate import Gate
from ...core.judging.judge import Judge
from ...core.pictures.walk import Found, Search, walk
from ..console import console
from ..exit_codes import OK, UNJUDGED, escaped
from ..gates import GateOptions
from ..looking import Looking, tell_passed_by
from ..machine import AllowMissing, Machine, require_models
from ..not_judged import NotJudged
from ..options import examples, in_panel
from ..store import Db, open_store
from .items import ReviewImage, items, page_data, score_names
from .pictures import Pictures
from .server import Review, ReviewServer

_page = in_panel("The page")
_input = in_panel("What to look at")

PATIENCE = 5.0
"""Seconds that a mark waits for another program that writes to the store. Then the page says so and tries again."""


@examples(
    "keepers review ~/outputs",
    "keepers review ~/outputs --preset faramir --order uncertain --blind",
)
def review(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders with the images to look at.")],
    *,
    gate: GateOptions,
    order: Annotated[
        str, _page(help="date, uncertain (nearest to the gate's thresholds first), or a score: faramir.accept.")
    ] = "date",
    blind: Annotated[bool, _page("--blind", help="Begin with verdicts, scores and prompts hidden.")] = False,
    port: Annotated[int, _page(min=0, max=65535, help="0 takes any that is free.")] = 0,
    browser: Annotated[bool, _page(help="Open the page.")] = True,
    recursive: Annotated[bool, _input(help="Search folders in folders.")] = True,
    looking: Looking,
    db: Db = None,
    machine: Machine,
    allow_missing: AllowMissing = False,
) -> None:
    """Look at images one by one and keep or reject them by keyboard; keepers tune learns from it.

    Images that the gate has not judged are scored first. Only this machine can reach the page. Each label is stored at
    once; stop with Ctrl-C and go on another day.
    """
    judge = machine.judge()
    chosen = gate.chosen(judge.store)
    judge.check(chosen)
    require_models(judge, chosen.models, allow_missing=allow_missing)
    with open_store(db) as store:
        results, complete = _scored(judge, chosen, store, paths, looking.search(recursive=recursive))
        found = items(results, chosen)
        judge.release()
        if not found:
            raise KeepersError("There is no image to look at in what was named.")
        _check_order(order, found, chosen)
        _serve(store, found, chosen, order, blind, port, browser, paths)
    raise typer.Exit(OK if complete else UNJUDGED)


def _scored(
    judge: Judge, gate: Gate, store: Store, paths: Sequence[Path], search: Search
) -> tuple[list[Scanned], bool]:
    """The images of the paths with their verdicts, from the store where it has them; and whether all were judged."""
    entries = list(walk(paths, search))
    files = [entry for entry in entries if isinstance(entry, Found)]
    tell_passed_by(search)
    scan = Scan(judge, gate, store, ScanOptions(details=True))
    results = list(scan.run(scan.plan(files)))
    unread = len(entries) - len(files) + sum(bool(result.error) for result in results)
    if unread:
        console.print(f"[yellow]{unread} files cannot be read and are left out; keepers scan lists them[/]")
    not_judged = NotJudged()
    for result in results:
        if not result.error:
            not_judged.add(result.verdict)
    if not_judged:
        console.print(f"{len(results):,} images")
    not_judged.show()
    return results, not (unread or not_judged)


def _check_order(order: str, found: Sequence[ReviewImage], gate: Gate) -> None:
    names = score_names(found, gate)
    if order not in ("date", "uncertain", *names):
        raise KeepersError(f"--order takes date, uncertain or one of: {', '.join(names[:12]) or 'no score is known'}.")


def _has_screen() -> bool:
    """Whether there is a display. Without one, some systems would open a text browser in this terminal."""
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _serve(
    store: Store,
    found: Sequence[ReviewImage],
    gate: Gate,
    order: str,
    blind: bool,
    port: int,
    browser: bool,
    paths: Sequence[Path],
) -> None:
    """Serve until Ctrl-C. Raises KeepersError if the port is taken."""
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    data = page_data(found, gate, f"{paths[0].resolve().name}{more}")
    store.wait_at_most(PATIENCE)
    labels = MarkStore(store)
    contents, pictures = [item.content for item in found], Pictures([item.path for item in found])
    review = Review(labels, contents, pictures, {**data, "order": order, "blind": blind})
    try:
        server = ReviewServer(review, port)
    except OSError as error:
        raise KeepersError(f"The port {port} cannot be used ({error.strerror or error}); leave --port out.") from error
    with server:
        console.print(f"{len(found)} images: [bold]{server.address}[/]", soft_wrap=True)
        console.print("Only this machine can open it, and only with this address. Ctrl-C ends the review.")
        if browser and _has_screen():
            webbrowser.open(server.address)
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            console.print("")
    known = count(labels.current(contents).values())
    told = f"{known.all} of {len(found)} labelled: {known.keep} keeps, {known.reject} rejects."
    console.print(f"{told} {escaped(known.missing())}")
