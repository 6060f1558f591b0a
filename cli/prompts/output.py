"""The prompts of a scan's output, grouped by its own verdicts, by another gate, or by a model's answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ...cluster.output.gate import OutputGate
from ...cluster.output.output import Output
from ...cluster.output.parts import image_rows, pieces
from ...cluster.output.schema import ImageRow
from ...cluster.sources.item import path_of
from ...core.errors import KeepersError
from ...core.gates.gate import Gate
from ...core.judging.judge import Judge
from .groups import NOT_JUDGED, Grouped, GroupRule, fooled_gate, prompt_of, require_class

COLUMNS = ("uri", "member", "prompt", "verdict", "unjudged", "error")


def from_output(
    output: Output, judge: Judge, fooled: tuple[str, str], gate: Gate | None, table: Mapping[Path, str]
) -> tuple[GroupRule, Grouped]:
    """What separates the images, and every image as it is read. Raises KeepersError, GateError, OutputError."""
    settings = output.require_settings()
    model, truth = fooled
    if model and gate:
        raise KeepersError("Say one thing that separates the images: --model with --truth, or a gate, or neither.")
    chosen = fooled_gate(model, truth) if model else gate
    anew = OutputGate(chosen, output.where, settings, judge) if chosen else None
    if anew:
        if model and (labels := anew.labels(model)):
            require_class(truth, labels.names)
        anew.check()
    asked = GroupRule(chosen or Gate.parse(settings.gate), model, truth)
    return asked, _rows(output, asked, anew, {path.resolve(): text for path, text in table.items()})


def _rows(output: Output, asked: GroupRule, anew: OutputGate | None, table: Mapping[Path, str]) -> Grouped:
    """Every image, with bounded memory."""
    columns = dict.fromkeys((*COLUMNS, *(anew.columns if anew else ())))
    for _, found in pieces(output, list(columns)):
        for row in image_rows(found, anew.models if anew else ()):
            path = None if row.item.member else path_of(row.item.uri)
            if path is not None and (not path.name or "\0" in path.name):  # not a file's path, so none is beside it
                path = None
            yield _group(asked, anew, row), prompt_of(path, row.image.positive, table)


def _group(asked: GroupRule, anew: OutputGate | None, row: ImageRow) -> str:
    if row.error:
        return NOT_JUDGED
    verdict = anew.verdict(row) if anew and not asked.model else row.verdict
    return asked.group(verdict, anew.answers(row) if anew else {})
