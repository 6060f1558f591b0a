"""`keepers evaluate`: how accurate a model or a gate is on images whose class is known."""

from __future__ import annotations

import json as json_format
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import track

from ...collection.known_classes import by_folder, by_table, subfolders
from ...collection.scan import Scan, Scanned, ScanOptions
from ...collection.statistics.curves import MEASURES, Measure
from ...core.errors import KeepersError
from ...core.files import atomic_write
from ...core.gates.gate import Gate
from ...core.pictures.walk import Found, PassedOver, Search, walk
from .. import exit_codes
from ..completion import model_ids
from ..console import console
from ..gates import GateOptions, TextOrPreset
from ..looking import Looking, tell_passed_by
from ..machine import AllowMissing, Machine, require_models
from ..named import named_folders
from ..options import examples, in_panel
from ..pages.thumbnail import thumbnail
from ..store import Db, NoDb, open_store
from .evaluated import OUTCOMES, of_gate, of_model, of_score
from .report import show, write_report

if TYPE_CHECKING:
    from ...core.judging.judge import Judge

_truth = in_panel("What is known")
_asked = in_panel("What is evaluated")
_output = in_panel("Output")


@examples(
    "keepers evaluate folders --model realism:mine --report evaluation.html",
    "keepers evaluate --class keep=good --class drop=bad --score faramir.accept --positive keep",
    "keepers evaluate --class keep=good --class drop=bad --preset faramir --expect keep=accept --expect drop=reject",
)
def evaluate(
    folder: Annotated[Path | None, typer.Argument(help="A folder with a folder named after each class.")] = None,
    *,
    classes: Annotated[
        list[str] | None, _truth("--class", help="NAME=FOLDER: a class and its images; repeatable.")
    ] = None,
    table: Annotated[
        Path | None, _truth("--table", help="A CSV with the columns file and class.", show_default=False)
    ] = None,
    model: Annotated[str, _asked("--model", "-m", help="Check this model's answers.", autocompletion=model_ids)] = "",
    gate: TextOrPreset,
    expect: Annotated[
        list[str] | None,
        _truth(help="CLASS=OUTCOME: what the gate should say (accept, review, reject); repeatable."),
    ] = None,
    score: Annotated[str, _asked(help="Check one value, such as faramir.accept, against --positive.")] = "",
    positive: Annotated[list[str] | None, _asked(help="Classes that --score should be high for.")] = None,
    target: Annotated[
        str, _asked(help=f"MEASURE=VALUE that the threshold should reach: {', '.join(MEASURES)}.")
    ] = "informedness=1",
    json: Annotated[Path | None, _output(help="Write all numbers as JSON.", show_default=False)] = None,
    report: Annotated[Path | None, _output(help="Write a page.", show_default=False)] = None,
    looking: Looking,
    db: Db = None,
    no_db: NoDb = False,
    machine: Machine,
    allow_missing: AllowMissing = False,
) -> None:
    """Compare answers with what is known: confusion matrix, precision, recall, MCC, informedness, thresholds.

    Classes come from folder names, --class options, or a column of a table. Images that could not be judged are listed
    and left out of all numbers. Scores are computed exactly, whatever --precision says.
    """
    search = looking.search()
    truths = known_classes(folder, classes, table, search)
    measure, value = parse_target(target)
    judge = replace(machine, precision="exact").judge()
    require_models(judge, [model] if model else [])
    asked = _Evaluation.of(model, gate, score, judge)
    require_models(judge, asked.gate.models, allow_missing=allow_missing)
    with ExitStack() as stack:
        store = None if no_db else stack.enter_context(open_store(db))
        options = ScanOptions(everything=True, details=True, thumbnail=thumbnail if report else None)
        results, unread = scanned(Scan(judge, asked.gate, store, options), truths)
    if asked.value:
        found = of_score(asked.model, asked.value, truths, results, positive or (), measure, value)
    elif asked.model:
        found = of_model(asked.model, truths, results, measure, value)
    else:
        found = of_gate(str(asked.gate), truths, results, expected(expect, set(truths.values())))
    found = replace(found, unread=unread)
    show(found)
    tell_passed_by(search)
    if json:
        atomic_write(json, json_format.dumps(found.facts(), indent=2, ensure_ascii=False).encode())
    if report:
        write_report(report, found)
        console.print(f"report: {exit_codes.escaped(str(report))}", soft_wrap=True)
    raise typer.Exit(exit_codes.UNJUDGED if found.unjudged or found.unread else exit_codes.OK)


@dataclass(frozen=True)
class _Evaluation:
    """What is evaluated, and the gate that makes the scan ask for it."""

    gate: Gate
    model: str = ""
    value: str = ""
    """The label whose value is the score."""

    @classmethod
    def of(cls, model: str, gate: GateOptions, score: str, judge: Judge) -> _Evaluation:
        """Raises KeepersError, GateError, UnknownName, and what loading a model raises."""
        if sum(map(bool, (model, gate, score))) != 1:
            raise KeepersError("Say what is to be evaluated: one of --model, --gate, --preset or --score.")
        if gate:
            chosen = gate.chosen(judge.store)
            judge.check(chosen)
            return cls(chosen)
        if score:
            value = Gate.parse(f"accept: {score} == {score}")  # its verdict does not matter: only the answer is wanted
            judge.check(value)
            name = value.models[0]
            return cls(value, name, score[len(name) :].lstrip(".").strip('[]"'))
        labels = judge.classifier(model).labels
        asking = f'{model}["{labels.names[0]}"]'
        return cls(Gate.parse(f"accept: {asking} == {asking}"), model)


def known_classes(
    folder: Path | None, classes: Sequence[str] | None, table: Path | None, search: Search | None = None
) -> dict[Path, str]:
    """The class of every image. Raises KeepersError."""
    if sum(map(bool, (folder, classes, table))) != 1:
        raise KeepersError("Say what the images are: a folder of folders, --class NAME=FOLDER, or --table FILE.")
    if table:
        truths = by_table(table, ("class", "label", "truth"))
    else:
        truths = by_folder(subfolders(folder) if folder else named_folders(classes), search)
    if len(set(truths.values())) < 2:
        raise KeepersError("All images are of one class: there is nothing to compare.")
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
    raise KeepersError(f"--target takes MEASURE=VALUE, such as precision=0.95, not {text!r}. Measures: {listed}.")


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


def scanned(scan: Scan, truths: Mapping[Path, str]) -> tuple[list[Scanned], list[PassedOver]]:
    """Every image's result from the gate, in order, and what could not be looked at."""
    entries = list(walk(truths))
    plan = scan.plan([one for one in entries if isinstance(one, Found)])
    results = list(track(scan.run(plan), "judging", total=len(plan.files), console=console, transient=True))
    return results, [one for one in entries if isinstance(one, PassedOver)]
