"""What `keepers tune` shows: a table, and a page with the images that change sides."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from ...collection.mark_store import MarkStore
from ...collection.marks import UserMark
from ...train.taste.evidence import NAMES, Evidence, Measurement
from ..console import console
from ..pages.page import write_page
from ..pages.panels import Panel, lines, table
from ..pages.rows import Header, Row, ShownModel
from .mark_places import shown_places

if TYPE_CHECKING:
    from numpy.typing import NDArray

WORDS = {"mcc": "MCC", "informedness": "informedness", "precision": "precision of keep", "recall": "recall of keep"}


@dataclass(frozen=True)
class Column:
    """One of the judges that are compared."""

    name: str
    evidence: Evidence


def with_interval(measured: Measurement) -> str:
    """A number with its interval."""
    return f"{measured.value:.2f} ({measured.low:.2f} to {measured.high:.2f})"


def show(columns: Sequence[Column]) -> None:
    """Print the comparison."""
    shown = Table("on held-out images", *(column.name for column in columns))
    for name in NAMES:
        shown.add_row(WORDS[name], *(with_interval(getattr(column.evidence, name)) for column in columns))
    console.print(shown)
    console.print("Intervals hold with 95 % confidence.")


@dataclass(frozen=True)
class Turned:
    """The marked images with the verdicts of two judges; `before` may be missing."""

    marks: Sequence[UserMark]
    after: NDArray[np.float64]
    """[n] probabilities, each from a judge that had not learned from the image."""
    before: NDArray[np.float64] | None = None

    def changed(self) -> list[int]:
        """The images that change sides or, without a `before`, those where the judge contradicts the mark."""
        keep = np.array([mark.mark == "keep" for mark in self.marks])
        other = keep if self.before is None else self.before > 0.5
        rows = np.flatnonzero((self.after > 0.5) != other)
        return [int(row) for row in rows[np.argsort(-np.abs(self.after[rows] - 0.5), kind="stable")]]

    def counts(self) -> tuple[int, int]:
        """Of the images that change sides: how many then agree with their mark, and how many contradict it."""
        right = sum((self.after[row] > 0.5) == (self.marks[row].mark == "keep") for row in self.changed())
        return int(right), len(self.changed()) - int(right)


def write_sheet(path: Path, model: str, known: MarkStore, turned: Turned, columns: Sequence[Column]) -> int:
    """Write the page; returns how many images are on it. Raises WriteFailed."""
    from ... import __version__

    changed, title = turned.changed(), f"{model} on your labels"
    contents = [turned.marks[row].content for row in changed]
    places, images = shown_places(known, contents, path.parent), known.images(contents)
    thumbnails = known.store.thumbnails(contents)
    rows: list[Row] = []
    for row in changed:
        mark = turned.marks[row]
        image = images.get(mark.content)
        rows.append(
            Row(
                *places[mark.content],
                verdict="accept" if turned.after[row] > 0.5 else "reject",
                reason=_reason(turned, row),
                thumbnail=thumbnails.get(mark.content, ""),
                width=image.width if image else 0,
                height=image.height if image else 0,
                scores={model: {"keep": float(turned.after[row])}},
                prompt=image.positive if image else "",
            )
        )
    header = Header(title, "", [ShownModel(model, title)], version=__version__, date=time.strftime("%Y-%m-%dT%H:%M:%S"))
    write_page(path, header, rows, [_panel(columns), _curve(turned)])
    return len(rows)


def _reason(turned: Turned, row: int) -> str:
    said = turned.marks[row].mark
    now = "keep" if turned.after[row] > 0.5 else "reject"
    before = ""
    if turned.before is not None:
        was = "keep" if turned.before[row] > 0.5 else "reject"
        before = f"was {was} ({turned.before[row]:.2f}), "
    return (
        f"{before}now {now} ({turned.after[row]:.2f}); you said {said}{'' if said == now else ' - it contradicts you'}"
    )


def _panel(columns: Sequence[Column]) -> Panel:
    rows = [[WORDS[name], *(with_interval(getattr(column.evidence, name)) for column in columns)] for name in NAMES]
    return table("On held-out images", ["", *(column.name for column in columns)], rows, note="95 % intervals.")


def _curve(turned: Turned) -> Panel:
    """Precision and recall of keep over the threshold."""
    keep = np.array([mark.mark == "keep" for mark in turned.marks])
    at = np.linspace(0.02, 0.98, 49)
    said = turned.after[None] >= at[:, None]
    hits, called = (said & keep).sum(1), said.sum(1)
    precision = [float(h / c) if c else None for h, c in zip(hits, called, strict=True)]
    recall = [float(h / keep.sum()) for h in hits]
    series = {"precision of keep": precision, "recall of keep": recall}
    return lines("Threshold", [float(one) for one in at], series, x_label="keep from", y_label="share")
