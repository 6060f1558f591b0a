"""`keepers evaluate`: how right a model or a gate is on images whose class is known."""

from __future__ import annotations

import json as json_format
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import track

from ...collection.known_classes import by_folder, by_table, subfolders
from ...collection.scan import Scan, Scanned, ScanOptions
from ...collection.statistics.curves import MEASURES, Measure
from ...collection.store import Store
from ...core.errors import KeepersError
from ...core.files import atomic_write
from ...core.gates.gate import Gate
from ...core.pictures.walk import Found, PassedOver, walk
from ...core.places import data_folder
from .. import exit_codes
from ..console import console
from ..gates import GateText, PresetName, chosen_gate
from ..machine import Batch, Device, Download, Machine, Models, Precision, Weights, named_paths
from ..pages.thumbnail import thumbnail
from .evaluated import OUTCOMES, of_gate, of_model, of_score
from .report import show, write_report

if TYPE_CHECKING:
    from ...core.judging.judge import Judge


def evaluate(
    folder: Annotated[Path | None, typer.Argument(help="A folder with one folder for each class, named by it.")] = None,
    classes: Annotated[
        list[str] | None, typer.Option("--class", help="NAME=FOLDER: a class and its images; repeatable.")
    ] = None,
    table: Annotated[
        Path | None, typer.Option("--table", help="A CSV with the columns file and class.", show_default=False)
    ] = None,
    model: Annotated[str, typer.Option("--model", "-m", help="Check this model's answers.")] = "",
    gate: GateText = "",
    preset: PresetName = "",
    expect: Annotated[
        list[str] | None,
        typer.Option(help="CLASS=OUTCOME: what the gate should say (accept, review, reject); repeatable."),
    ] = None,
    score: Annotated[str, typer.Option(help="Check one value, as faramir.accept, against --positive.")] = "",
    positive: Annotated[list[str] | None, typer.Option(help="Classes that --score should be high for.")] = None,
    target: Annotated[
        str, typer.Option(help=f"MEASURE=VALUE that the threshold shall serve: {', '.join(MEASURES)}.")
    ] = "informedness=1",
    json: Annotated[Path | None, typer.Option(help="Write all numbers as JSON.", show_default=False)] = None,
    report: Annotated[Path | None, typer.Option(help="Write a page.", show_default=False)] = None,
    db: Annotated[Path | None, typer.Option(help="The store of results.", show_default=False)] = None,
    no_db: Annotated[bool, typer.Option("--no-db", help="Use and remember nothing.")] = False,
    device: Device = "auto",
    precision: Precision = "auto",
    batch: Batch = 8,
    folders: Models = None,
    weights: Weights = None,
    download: Download = False,
) -> None:
    """Compare answers with what is known: confusion matrix, precision, recall, MCC, informedness, thresholds.

    Classes are folders' names, --class options, or a table's column. Images that could not be judged are told and left
    out of all numbers.
    """
    truths = known_classes(folder, classes, table)
    measure, value = parse_target(target)
    machine = Machine(device, precision, batch, folders or (), named_paths(weights), download)
    judge = machine.judge()
    asked = _Asked.of(model, gate, preset, score, judge)
    with ExitStack() as stack:
        store = None if no_db else stack.enter_context(Store(db or data_folder() / "keepers.db"))
        options = ScanOptions(everything=True, details=True, thumbnail=thumbnail if report else None)
        results = scanned(Scan(judge, asked.gate, store, options), truths)
    if asked.value:
        found = of_score(asked.model, asked.value, truths, results, positive or (), measure, value)
    elif asked.model:
        found = of_model(asked.model, truths, results, measure, value)
    else:
        found = of_gate(str(asked.gate), truths, results, expected(expect, set(truths.values())))
    show(found)
    if json:
        atomic_write(json, json_format.dumps(found.facts(), indent=2, ensure_ascii=False).encode())
    if report:
        write_report(report, found)
        console.print(f"report: {exit_codes.escaped(str(report))}", soft_wrap=True)
    raise typer.Exit(exit_codes.UNJUDGED if found.unjudged else exit_codes.OK)


@dataclass(frozen=True)
class _Asked:
    """What is evaluated, and the gate that makes the scan ask for it."""

    gate: Gate
    model: str = ""
    value: str = ""
    """The label that is a score."""

    @classmethod
    def of(cls, model: str, gate: str, preset: str, score: str, judge: Judge) -> _Asked:
        """Raises KeepersError, GateError, UnknownName, and what loading a model raises."""
        if sum(map(bool, (model, gate or preset, score))) != 1:
            raise KeepersError("Say what is to be evaluated: one of --model, --gate, --preset or --score.")
        if gate or preset:
            chosen = chosen_gate(gate, preset, None, judge.store)
            judge.check(chosen)
            return cls(chosen)
        if score:
            value = Gate.parse(f"accept: {score} == {score}")  # whatever it is: only the answer is wanted
            judge.check(value)
            name = value.models[0]
            return cls(value, name, score[len(name) :].lstrip(".").strip('[]"'))
        labels = judge.classifier(model).labels
        asking = f'{model}["{labels.names[0]}"]'
        return cls(Gate.parse(f"accept: {asking} == {asking}"), model)


def known_classes(folder: Path | None, classes: Sequence[str] | None, table: Path | None) -> dict[Path, str]:
    """The class of every image. Raises KeepersError."""
    from ..training.train import named_folders

    if sum(map(bool, (folder, classes, table))) != 1:
        raise KeepersError("Say what the images are: a folder of folders, --class NAME=FOLDER, or --table FILE.")
    if table:
        truths = by_table(table, ("class", "label", "truth"))
    else:
        truths = by_folder(subfolders(folder) if folder else named_folders(classes))
    if len(set(truths.values())) < 2:
        raise KeepersError("All images are of one class: there is nothing to tell apart.")
    return truths


def parse_target(text: str) -> tuple[Measure, float]:
    """MEASURE=VALUE. Raises KeepersError."""
    name, _, value = text.partition("=")
    for measure in MEASURES:
        if measure == name.strip():
            try:
                return measure, float(value)
            except ValueError:
                break
    listed = ", ".join(MEASURES)
    raise KeepersError(f"--target takes MEASURE=VALUE, as precision=0.95, not {text!r}. Measures: {listed}.")


def expected(pairs: Sequence[str] | None, names: Iterable[str]) -> dict[str, str]:
    """What a gate should say of each class. Raises KeepersError."""
    found = {outcome: outcome for outcome in OUTCOMES}
    for pair in pairs or ():
        name, _, outcome = pair.partition("=")
        if outcome not in OUTCOMES:
            raise KeepersError(f"--expect takes CLASS=OUTCOME with accept, review or reject, not {pair!r}.")
        found[name] = outcome
    missing = sorted(set(names) - set(found))
    if missing:
        names_of = ", ".join(missing)
        raise KeepersError(f"What should the gate say of {names_of}? Add --expect {missing[0]}=accept, or reject.")
    return found


def scanned(scan: Scan, truths: Mapping[Path, str]) -> list[Scanned]:
    """Every image through the gate, in order; files that are not there come as such."""
    entries = list(walk(truths))
    plan = scan.plan([one for one in entries if isinstance(one, Found)])
    results = list(track(scan.run(plan), "judging", total=len(plan.files), console=console, transient=True))
    for one in entries:
        if isinstance(one, PassedOver):
            told = f"[red]not read[/] {exit_codes.escaped(str(one.path))}: {exit_codes.escaped(one.reason)}"
            console.print(told, soft_wrap=True)
    return results
