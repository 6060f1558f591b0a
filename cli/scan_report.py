"""From the results of a scan to the rows of the report."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..core.gate import Gate
from ..core.judge import Judge
from ..core.near_duplicates import EARLIER
from ..core.prediction import Prediction, Range
from ..core.scan import Scanned
from .report_page import write_page
from .report_rows import Asked, Header, Row, Unread, link
from .scan_view import ScanView
from .scores import shown_by_model, words


class Report:
    """Collects rows while a scan runs, and writes the page at its end."""

    def __init__(self, path: Path, title: str) -> None:
        self.path = path
        self.title = title
        self._rows: list[Row] = []
        self._ranges: dict[str, dict[str, Range]] = {}

    def add(self, result: Scanned) -> None:
        """Take one result."""
        self._rows.append(row(result, self.path.parent))
        for model, values in shown_by_model(result.answers).items():
            answer = result.answers[model]
            known = self._ranges.setdefault(model, {})
            if isinstance(answer, Prediction):
                fresh = (label for label in values if label not in known)
                known.update({label: answer.labels.range(answer.labels.index(label)) for label in fresh})

    def write(self, gate: Gate, judge: Judge, fingerprints: Mapping[str, str], view: ScanView) -> int:
        """Write the page; gives its size in bytes."""
        from .. import __version__

        asked = [self._asked(model, judge, fingerprints.get(model, "")) for model in self._models(gate)]
        header = Header(
            title=self.title,
            gate=str(gate),
            models=asked,
            duration=view.seconds,
            version=__version__,
            date=time.strftime("%Y-%m-%dT%H:%M:%S"),
            unread=[Unread(*entry) for entry in view.unread],
        )
        return write_page(self.path, header, self._rows)

    def _models(self, gate: Gate) -> Sequence[str]:
        return list(dict.fromkeys((*gate.models, *self._ranges)))

    def _asked(self, model: str, judge: Judge, fingerprint: str) -> Asked:
        spec = judge.registry.spec(model, judge.store)
        return Asked(model, spec.title, fingerprint, self._ranges.get(model, {}))


def row(result: Scanned, folder: Path) -> Row:
    """One result as the report shows it; `folder` is where the report lies."""
    image = result.image
    told = [note for answer in result.answers.values() if isinstance(answer, Prediction) for note in answer.notes]
    return Row(
        path=str(result.path),
        href=link(result.path, folder),
        verdict="error" if result.error else result.verdict.outcome,
        reason=result.verdict.reason,
        thumbnail=result.thumbnail,
        width=image.width,
        height=image.height,
        scores=shown_by_model(result.answers),
        labels=words(result.answers),
        prompt=image.positive,
        negative=image.negative,
        seed=image.seed,
        generator=image.model,
        notes="; ".join([*image.notes, *told]),
        duplicate_of=next((note.partition(EARLIER)[2] for note in told if EARLIER in note), ""),
        time=result.mtime,
    )
