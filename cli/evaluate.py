"""`keepers evaluate`: how right a model or a gate is on images whose class is known."""

from __future__ import annotations

import json as json_format
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import track

from ..core.curves import MEASURES, Measure, area_interval, calibration, choose, sweep
from ..core.errors import KeepersError, UnknownName
from ..core.files import atomic_write
from ..core.gate import Gate
from ..core.metrics import Confusion, confusion
from ..core.places import data_folder
from ..core.prediction import Labels, Prediction
from ..core.scan import Options, Scan, Scanned
from ..core.store import Store
from ..core.truth import by_folder, by_table, subfolders
from ..core.walk import Found, PassedOver, walk
from . import exit_codes
from .console import console
from .evaluate_report import show, write_report
from .gates import GateText, PresetName, chosen_gate
from .machine import Batch, Device, Download, Machine, Models, Precision, Weights, named_paths
from .thumbnail import thumbnail

if TYPE_CHECKING:
    from ..core.judge import Judge

OUTCOMES = ("accept", "review", "reject")


@dataclass(frozen=True)
class Curve:
    """How well one score tells one class from the rest, and a threshold for it."""

    score: str
    """"faramir.accept"."""
    positive: str
    truths: Sequence[bool]
    scores: Sequence[float]
    measure: Measure
    target: float

    def facts(self) -> dict[str, Any]:
        """All numbers as JSON values; None where there is none."""
        found = sweep(self.truths, self.scores)
        chosen = choose(found, self.measure, self.target)
        values = {
            "area": found.area,
            "average_precision": found.average_precision,
            "threshold": chosen.threshold,
            self.measure: chosen.value,
            "precision_there": chosen.precision,
            "recall_there": chosen.recall,
            "false_alarms_there": chosen.false_alarms,
        }
        probable = bool(self.scores) and min(self.scores) >= 0 and max(self.scores) <= 1
        if probable:
            bins = calibration(self.truths, self.scores)
            values |= {"calibration_error": bins.error, "brier": bins.brier}
        facts: dict[str, Any] = {name: finite(value) for name, value in values.items()}
        area = [finite(end) for end in area_interval(self.truths, self.scores)]
        told = {"score": self.score, "positive": self.positive, "area_interval": area, "reached": chosen.reached}
        return {**told, "measure": self.measure, "target": self.target, **facts}


@dataclass(frozen=True)
class Evaluated:
    """Everything that is shown."""

    what: str
    """The model or the gate."""
    truths: Mapping[Path, str]
    results: Sequence[Scanned]
    answers: Sequence[str]
    """What was answered for each result; empty where it could not be judged."""
    matrix: Confusion
    curves: Sequence[Curve]

    @property
    def unjudged(self) -> list[Scanned]:
        """Results without an answer, which no number counts."""
        return [result for result, answer in zip(self.results, self.answers, strict=True) if not answer]

    def facts(self) -> dict[str, Any]:
        """All numbers as JSON values."""
        matrix = self.matrix
        each = zip(matrix.classes, matrix.support, matrix.precision, matrix.recall, matrix.f1, strict=True)
        names = ("accuracy", "balanced_accuracy", "mcc", "informedness")
        return {
            "what": self.what,
            "images": matrix.total,
            "not_judged": len(self.unjudged),
            **{name: finite(getattr(matrix, name)) for name in names},
            "accuracy_interval": [finite(end) for end in matrix.interval()],
            "mcc_interval": [finite(end) for end in matrix.bootstrap(lambda found: found.mcc)],
            "informedness_interval": [finite(end) for end in matrix.bootstrap(lambda found: found.informedness)],
            "classes": list(matrix.classes),
            "rows_true_columns_answered": matrix.counts.tolist(),
            "each": [
                {"class": name, "images": int(count), "precision": finite(p), "recall": finite(r), "f1": finite(f)}
                for name, count, p, r, f in each
            ],
            "curves": [curve.facts() for curve in self.curves],
        }


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
        options = Options(everything=True, details=True, thumbnail=thumbnail if report else None)
        results = scanned(Scan(judge, asked.gate, store, options), truths)
    if asked.value:
        found = _of_score(asked, truths, results, positive or (), measure, value)
    elif asked.model:
        found = _of_model(asked, truths, results, measure, value)
    else:
        found = _of_gate(asked, truths, results, expected(expect, set(truths.values())))
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
    from .train import named_folders

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
            console.print(f"[red]not read[/] {exit_codes.escaped(str(one.path))}: {exit_codes.escaped(one.reason)}")
    return results


def _of_model(
    asked: _Asked, truths: Mapping[Path, str], results: Sequence[Scanned], measure: Measure, target: float
) -> Evaluated:
    labels = _labels(results, asked.model)
    names = list(dict.fromkeys(truths.values()))
    unknown = [name for name in names if name not in labels]
    if unknown:
        raise UnknownName("label", unknown[0], labels.names, where=f"{asked.model}, which the class is compared with")
    answers = [_label(result, asked.model) for result in results]
    curves = [
        _curve(asked.model, name, {name}, truths, results, measure, target) for name in labels.names if name in names
    ]
    used = [name for name in labels.names if name in names or name in answers]
    return Evaluated(asked.model, truths, results, answers, _matrix(truths, results, answers, used), curves)


def _of_gate(
    asked: _Asked, truths: Mapping[Path, str], results: Sequence[Scanned], wanted: Mapping[str, str]
) -> Evaluated:
    shown = {path: wanted[name] for path, name in truths.items()}
    answers = ["" if result.error else result.verdict.outcome for result in results]
    used = [outcome for outcome in OUTCOMES if outcome in answers or outcome in shown.values()]
    return Evaluated(str(asked.gate), shown, results, answers, _matrix(shown, results, answers, used), ())


def _of_score(
    asked: _Asked,
    truths: Mapping[Path, str],
    results: Sequence[Scanned],
    positive: Sequence[str],
    measure: Measure,
    target: float,
) -> Evaluated:
    names = set(truths.values())
    wanted = set(positive)
    if not wanted or not wanted < names:
        listed = ", ".join(sorted(names))
        raise KeepersError(f"--score needs --positive: some of the classes, not all ({listed}).")
    curve = _curve(asked.model, asked.value, wanted, truths, results, measure, target)
    threshold = choose(sweep(curve.truths, curve.scores), measure, target).threshold
    yes, no = " or ".join(sorted(wanted)), " or ".join(sorted(names - wanted))
    values = [_value(result, asked.model, asked.value) for result in results]
    answers = ["" if math.isnan(value) else yes if value >= threshold else no for value in values]
    shown = {path: yes if name in wanted else no for path, name in truths.items()}
    what = f"{asked.model}.{asked.value} >= {threshold:.4g}"
    return Evaluated(what, shown, results, answers, _matrix(shown, results, answers, [yes, no]), (curve,))


def _matrix(
    truths: Mapping[Path, str], results: Sequence[Scanned], answers: Sequence[str], names: Sequence[str]
) -> Confusion:
    pairs = [(truths[result.path], answer) for result, answer in zip(results, answers, strict=True) if answer]
    return confusion([truth for truth, _ in pairs], [answer for _, answer in pairs], names)


def _curve(
    model: str,
    label: str,
    positive: set[str],
    truths: Mapping[Path, str],
    results: Sequence[Scanned],
    measure: Measure,
    target: float,
) -> Curve:
    pairs = [(truths[result.path] in positive, _value(result, model, label)) for result in results]
    known = [(truth, value) for truth, value in pairs if not math.isnan(value)]
    name = " or ".join(sorted(positive))
    return Curve(f"{model}.{label}", name, [t for t, _ in known], [v for _, v in known], measure, target)


def _labels(results: Sequence[Scanned], model: str) -> Labels:
    for result in results:
        answer = result.answers.get(model)
        if isinstance(answer, Prediction):
            return answer.labels
    reasons = {result.verdict.reason for result in results}
    raise KeepersError(f"{model} could judge none of the images: {next(iter(reasons), 'there are none')}")


def _label(result: Scanned, model: str) -> str:
    answer = result.answers.get(model)
    return answer.label if isinstance(answer, Prediction) else ""


def _value(result: Scanned, model: str, label: str) -> float:
    answer = result.answers.get(model)
    return answer[label] if isinstance(answer, Prediction) else math.nan


def finite(value: float) -> float | None:
    """The value, or None where it is not finite: JSON has no word for those."""
    return float(value) if math.isfinite(value) else None
