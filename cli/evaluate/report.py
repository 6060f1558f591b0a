"""What `keepers evaluate` shows: tables on the terminal, and a page."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from ...collection.statistics.curves import calibration, choose, sweep
from .. import exit_codes
from ..console import console
from ..pages.confusion import POINTS, matrix_panel, numbers_panel
from ..pages.page import write_page
from ..pages.panels import Panel, lines
from ..pages.results import row
from ..pages.rows import Header, Row

if TYPE_CHECKING:
    from ...collection.scan import Scanned
    from .evaluated import Curve, Evaluated


LISTED = 10
"""Images that could not be judged that are named; the rest is counted."""


def show(found: Evaluated) -> None:
    """Print everything."""
    matrix = found.matrix
    low, high = matrix.interval()
    console.print(f"[bold]{exit_codes.escaped(found.what)}[/] on {matrix.total:,} images")
    console.print(_matrix_table(found))
    intervals = {
        name: matrix.bootstrap(lambda drawn, name=name: getattr(drawn, name)) for name in ("mcc", "informedness")
    }
    console.print(f"accuracy      {matrix.accuracy:.1%}  (95 % interval {low:.1%} to {high:.1%})")
    console.print(f"MCC           {matrix.mcc:.3f}  ({intervals['mcc'].low:.3f} to {intervals['mcc'].high:.3f})")
    both = intervals["informedness"]
    console.print(f"informedness  {matrix.informedness:.3f}  ({both.low:.3f} to {both.high:.3f})")
    for curve in found.curves:
        _show_curve(curve)
    for result in found.unjudged[:LISTED]:
        why = "; ".join(one.short for one in result.verdict.unjudged) or result.verdict.reason
        console.print(f"[yellow]not judged[/] {exit_codes.escaped(f'{result.path}: {why}')}", soft_wrap=True)
    for one in found.unread:
        told = f"[red]not read[/] {exit_codes.escaped(str(one.path))}: {exit_codes.escaped(one.reason)}"
        console.print(told, soft_wrap=True)
    if found.unjudged:
        console.print(f"{len(found.unjudged):,} images could not be judged, and are in no number.")


def _matrix_table(found: Evaluated) -> Table:
    matrix = found.matrix
    table = Table("truly", *(f"→ {exit_codes.escaped(name)}" for name in matrix.classes), "precision", "recall", "F1")
    each = zip(matrix.classes, matrix.counts, matrix.precision, matrix.recall, matrix.f1, strict=True)
    for name, counts, *values in each:
        numbers = ["–" if np.isnan(value) else f"{value:.3f}" for value in values]
        table.add_row(exit_codes.escaped(name), *(f"{count:,}" for count in counts), *numbers)
    return table


def _show_curve(curve: Curve) -> None:
    found = sweep(curve.truths, curve.scores)
    if not found.positives or not found.negatives:
        return
    chosen = choose(found, curve.measure, curve.target)
    name = f"{curve.score} for {curve.positive}"
    reached = "reaches" if chosen.reached else "comes nearest to"
    console.print(
        f"{exit_codes.escaped(name)}: ROC area {found.area:.3f}; threshold {chosen.threshold:.4g} {reached} "
        f"{curve.measure} {curve.target:g}: {curve.measure} {chosen.value:.3f}, precision {chosen.precision:.3f}, "
        f"recall {chosen.recall:.3f}",
        soft_wrap=True,
    )


def write_report(path: Path, found: Evaluated) -> int:
    """Write the page and give its size in bytes. Raises WriteFailed."""
    from ... import __version__

    by_class = {curve.positive: sweep(curve.truths, curve.scores) for curve in found.curves}
    areas = [by_class[name].area if name in by_class else float("nan") for name in found.matrix.classes]
    header = Header(
        title=found.what,
        counts={"images": found.matrix.total, "not judged": len(found.unjudged), "not read": len(found.unread)},
        version=__version__,
        date=time.strftime("%Y-%m-%dT%H:%M:%S"),
    )
    panels = [matrix_panel(found.matrix), numbers_panel(found.matrix, areas), *_curve_panels(found)]
    rows = [
        _row(result, found.truths[result.path], answer, path.parent)
        for result, answer in zip(found.results, found.answers, strict=True)
    ]
    return write_page(path, header, rows, panels)


def _curve_panels(found: Evaluated) -> list[Panel]:
    x = np.linspace(0, 1, POINTS).tolist()
    roc: dict[str, list[float]] = {"chance": x}
    honest: dict[str, list[float | None]] = {}
    centres: list[float] = []
    for curve in found.curves:
        swept = sweep(curve.truths, curve.scores)
        if swept.positives and swept.negatives:
            roc[f"{curve.positive} ({swept.area:.3f})"] = np.interp(x, swept.false_alarms, swept.recall).tolist()
        if curve.scores and min(curve.scores) >= 0 and max(curve.scores) <= 1:
            bins = calibration(curve.truths, curve.scores)
            centres = ((bins.edges[:-1] + bins.edges[1:]) / 2).tolist()
            honest[curve.positive] = [None if np.isnan(value) else float(value) for value in bins.found]
    panels = [lines("ROC", x, roc, x_label="false alarms", y_label="found")] if len(roc) > 1 else []
    if honest:
        series = {"perfect": list(centres), **honest}
        panels.append(lines("Calibration", centres, series, x_label="score", y_label="share of the class"))
    return panels


def _row(result: Scanned, truth: str, answer: str, folder: Path) -> Row:
    """As in a scan's report, but right answers count as accepted, and the reason names the truth and the answer."""
    shown = row(result, folder)
    if not answer:
        return shown
    reason = f"is {truth}" if truth == answer else f"is {truth}, answered {answer}"
    return replace(shown, verdict="accept" if truth == answer else "reject", reason=reason)
