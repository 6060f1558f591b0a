"""What `keepers prompts` shows: tables on the terminal, and a page with plots."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from .. import exit_codes
from ..console import console
from ..pages.page import write_page
from ..pages.panels import Panel, bars, lines, table, text
from ..pages.rows import Header

if TYPE_CHECKING:
    from .groups import Findings

SHOWN = 30
"""Words of each kind on the page."""
CLEAR = 0.05


def show(found: Findings, top: int) -> None:
    """Print everything."""
    one, two = found.names
    first, second = (group.size for group in found.groups)
    console.print(f"{one} {first:,}, {two} {second:,} prompts. {exit_codes.escaped(found.tagger)}")
    if found.without or found.neither:
        console.print(f"Left out: {found.without:,} images without a prompt, {found.neither:,} in neither group.")
    if found.not_judged:
        console.print(f"{found.not_judged:,} images could not be read or judged, and are in no number.")
    listed = Table(
        "", f"mean {one}", f"mean {two}", f"variance {one}", f"variance {two}", "p", "p corrected", "study's p"
    )
    for count in found.counts:
        numbers = [f"{value:.2f}" for value in (*count.means, *count.variances)]
        listed.add_row(count.name, *numbers, f"{count.p:.4f}", _marked(count.corrected), f"{count.study:.4f}")
    console.print(listed)
    for kind, compared in found.found.items():
        if compared:
            words_table = Table(kind, one, two, "z", "p corrected", title=f"{kind}, the most distinctive first")
            for word in compared[:top]:
                name = exit_codes.escaped(word.word)
                words_table.add_row(name, *map(str, word.counts), f"{word.score:+.2f}", _marked(word.corrected))
            console.print(words_table)


def _marked(p: float) -> str:
    return f"[bold]{p:.4f}[/]" if p < CLEAR else f"{p:.4f}"


def write_report(path: Path, found: Findings) -> int:
    """Write the page and give its size in bytes. Raises WriteFailed."""
    from ... import __version__

    one, two = found.names
    counts = {f"{name} prompts": group.size for name, group in zip(found.names, found.groups, strict=True)}
    header = Header(
        title=f"Prompts: {one} against {two}",
        counts={
            **counts,
            "without a prompt": found.without,
            "in neither group": found.neither,
            "not judged": found.not_judged,
        },
        version=__version__,
        date=time.strftime("%Y-%m-%dT%H:%M:%S"),
    )
    panels = [_counts_panel(found), _lengths_panel(found), *_word_panels(found), text("Method", *_method(found))]
    return write_page(path, header, [], panels)


def _counts_panel(found: Findings) -> Panel:
    one, two = found.names
    names = ["", f"mean {one}", f"mean {two}", f"variance {one}", f"variance {two}", "p", "p corrected", "study's p"]
    rows: list[list[str | float | int | None]] = []
    for count in found.counts:
        numbers = (*count.means, *count.variances, count.p, count.corrected, count.study)
        rows.append([count.name, *(round(value, 4) for value in numbers)])
    note = "p: how often chance alone does as much; corrected for all counts together (Holm)."
    return table("Counts", names, rows, note=note)


def _lengths_panel(found: Findings) -> Panel:
    lengths = [group.numbers["words"] for group in found.groups]
    edges = np.linspace(0, max(int(values.max()) for values in lengths) + 1, 25)
    centres = ((edges[:-1] + edges[1:]) / 2).tolist()
    series = {
        name: (100 * np.histogram(values, edges)[0] / len(values)).tolist()
        for name, values in zip(found.names, lengths, strict=True)
    }
    return lines("Length", centres, series, x_label="words in the prompt", y_label="% of the prompts")


def _word_panels(found: Findings) -> list[Panel]:
    one, two = found.names
    panels: list[Panel] = []
    for kind, compared in found.found.items():
        if compared:
            shown = compared[:SHOWN]
            note = f"Above 0: more in {one}; below: more in {two}. Beyond about 2 without correction."
            panels.append(bars(f"Telling {kind}", [w.word for w in shown], {"z": [w.score for w in shown]}, note=note))
            rows: list[list[str | float | int | None]] = [
                [w.word, *w.counts, round(w.score, 3), round(w.p, 5), round(w.corrected, 5)] for w in compared[:500]
            ]
            panels.append(table(f"All {kind}", [kind, one, two, "z", "p", "p corrected"], rows))
    return panels


def _method(found: Findings) -> list[str]:
    counts = (
        "Counts: two groups of these sizes are drawn from all prompts, again and again; p is how often their means are "
        "as far apart. The study's p (Pondoc, O'Brien and Guman 2023) draws only the first group, and counts how often "
        "its mean is as far from that of all prompts: with few prompts in the first group the two are alike."
    )
    telling = (
        "Words: log-odds with an informative prior (Monroe, Colaresi and Quinn 2008), each word once a prompt; "
        "corrected for all words together (Benjamini and Hochberg): of those with at most 0.05, at most 5 % are chance."
    )
    return [found.tagger, counts, telling]
