"""The HTML page that a scan writes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from ...collection.scan import Scanned
from ...core.gates.gate import Gate
from ...core.judging.judge import Judge
from ..pages.page import write_page
from ..pages.results import Ranges, row
from ..pages.rows import Header, Row, Unread
from .view import ScanView


class Report:
    """Collects rows while a scan runs, and writes the page at its end."""

    def __init__(self, path: Path, title: str) -> None:
        self.path = path
        self.title = title
        self._rows: list[Row] = []
        self._ranges = Ranges()

    def add(self, result: Scanned) -> None:
        """Add one result."""
        self._rows.append(row(result, self.path.parent))
        self._ranges.take(self._rows[-1], result.answers)

    def write(self, gate: Gate, judge: Judge, fingerprints: Mapping[str, str], view: ScanView) -> int:
        """Write the page; returns its size in bytes."""
        from ... import __version__

        header = Header(
            title=self.title,
            gate=str(gate),
            models=self._ranges.asked(judge, {model: fingerprints.get(model, "") for model in gate.models}),
            duration=view.seconds,
            version=__version__,
            date=time.strftime("%Y-%m-%dT%H:%M:%S"),
            counts={**view.not_judged.counts, **view.noted.counts},
            unread=[Unread(*entry) for entry in view.unread],
        )
        return write_page(self.path, header, self._rows)
