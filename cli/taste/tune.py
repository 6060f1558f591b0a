"""`keepers tune`: learn the user's taste from their marks, and save it if it beats what was there."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import typer
from safetensors.numpy import save

from ...collection.mark_store import MarkStore
from ...core.errors import KeepersError, WriteFailed
from ...core.files import atomic_write
from ...core.judging.judge import Judge
from ...core.places import data_folder, trained_folder
from ...core.weights.checksum import fingerprint
from ...core.weights.weight_file import WeightFile
from ...models.faramir import tuned as faramir_tuned
from ...models.own_files import NAME
from ...models.provenance import Provenance
from ...models.registry import REGISTRY
from ...models.taste import taste
from ...train.taste.evidence import Evidence, Measurement, best_threshold, evidence, gain
from ..console import console
from ..exit_codes import OK, UNJUDGED, escaped
from ..known_output import Scans, known_marks
from ..machine import Machine
from ..options import examples, in_panel
from ..store import Db, open_store
from .tune_data import Lesson, gather
from .tune_view import Column, Turned, show, with_interval, write_sheet

if TYPE_CHECKING:
    from numpy.typing import NDArray

_learning = in_panel("Learning")
_output = in_panel("Output")

Base = Literal["faramir", "jtp", "siglip"]


@dataclass(frozen=True)
class Learned:
    """What was learned, ready to be saved."""

    model: str
    file: WeightFile
    tensors: Mapping[str, NDArray[Any]]
    provenance: Provenance
    turned: Turned
    columns: tuple[Column, ...]
    gain: Measurement
    hint: str = ""


@examples(
    "keepers tune faramir",
    "keepers tune taste --on siglip --name mine",
    "keepers tune taste --name mine --remove",
)
def tune(
    what: Annotated[
        Literal["faramir", "taste"],
        typer.Argument(help="faramir: its decision, from its 32 numbers. taste: a linear probe beside it."),
    ],
    paths: Annotated[list[Path] | None, typer.Argument(help="Only labels of images in here. Default: all.")] = None,
    *,
    name: Annotated[str, _output(help="The result is faramir:NAME or taste:NAME.")] = "mine",
    on: Annotated[Base, _learning(help="What a taste is learned on.")] = "siglip",
    anyway: Annotated[bool, _output("--anyway", help="Save it even if it is not better.")] = False,
    sheet: Annotated[
        Path | None, _output(help="Where to write the page of images that change sides.", show_default=False)
    ] = None,
    remove: Annotated[bool, _output("--remove", help="Remove faramir:NAME or taste:NAME again.")] = False,
    db: Db = None,
    scan: Scans = None,
    machine: Machine,
) -> None:
    """Learn your taste from the images that you labelled: see keepers review and keepers labels.

    Images that already have scores are not opened again. Nothing is saved unless it is better on held-out images.
    """
    _check_name(what, name)
    if remove:
        _remove(machine, what, name)
        return
    target = machine.folders[0] if machine.folders else trained_folder()
    with open_store(db) as store:
        judge, known = machine.judge(), known_marks(store, scan)
        lesson = gather(judge, known, "faramir" if what == "faramir" else on, paths or [])
        learned = tune_faramir(judge, lesson, name) if what == "faramir" else tune_taste(judge, lesson, name, on)
        page = sheet or data_folder() / "sheets" / f"{what}-{name}.html"
        _tell(known, learned, page)
    _save(learned, target, anyway)
    raise typer.Exit(UNJUDGED if lesson.not_judged else OK)


def _check_name(what: str, name: str) -> None:
    if not NAME.fullmatch(name) or (what == "faramir" and name in faramir_tuned.RESERVED):
        raise KeepersError(f"{name!r} cannot be a name: use letters, digits, - and _, and a name that is not taken.")


def tune_faramir(judge: Judge, lesson: Lesson, name: str) -> Learned:
    """Train FARAMIR's decision. Raises what reading the published file raises."""
    from ...models.faramir.own import OWN
    from ...train.taste.decision import LAYERS
    from ...train.taste.inputs import inputs_from_predictions
    from ...train.taste.tune import tune_decision as train

    start = judge.store.tensors(OWN, model="faramir")
    found = train(
        {key: start[key] for key in LAYERS}, inputs_from_predictions(lesson.values), lesson.keep, lesson.groups
    )
    keep, after, before = lesson.keep, found.held_out > 0.5, found.before > 0.5
    proof, better = evidence(keep, after), gain(keep, before, after)
    threshold, reached = best_threshold(keep, found.before)
    columns = (Column("published", evidence(keep, before)), Column(f"faramir:{name}", proof))
    gate = f"accept: faramir.accept >= {threshold:.2f}"
    hint = f"A threshold alone could give the published decision an MCC of at most {reached:.2f}: {gate}"
    training = {"steps": found.steps, "gain": better.listed()}
    base_file = fingerprint(judge.store.path(OWN, model="faramir"))
    tensors = {key: tensor.numpy() for key, tensor in found.tensors.items()}
    return Learned(
        f"faramir:{name}",
        faramir_tuned.weight_file(name),
        tensors,
        _provenance("decision", "faramir", base_file, lesson, training, proof),
        Turned(lesson.marks, found.held_out, found.before),
        columns,
        better,
        hint,
    )


def tune_taste(judge: Judge, lesson: Lesson, name: str, on: Base) -> Learned:
    """Fit a probe on a model's stored numbers. Raises what finding the model's files raises."""
    from ...train.taste.probe import fit_probe

    columns = taste.columns_of(on, lesson.model_labels)
    found = fit_probe(lesson.values[:, columns].astype(np.float64), lesson.keep, lesson.groups)
    keep, after = lesson.keep, found.held_out > 0.5
    proof = evidence(keep, after)
    training = {"penalty": found.penalty, "length": found.length, "inputs": len(columns)}
    base_file = fingerprint(judge.store.path(taste.base_file(REGISTRY.spec(on)), model=on))
    tensors = {
        "columns": np.array(columns, dtype=np.int32),
        "weight": found.weight.astype(np.float32),
        "bias": np.array([found.bias], dtype=np.float32),
    }
    nothing = np.zeros_like(after)
    return Learned(
        f"taste:{name}",
        taste.weight_file(name),
        tensors,
        _provenance("probe", on, base_file, lesson, training, proof),
        Turned(lesson.marks, found.held_out),
        (Column(f"taste:{name} on {on}", proof),),
        gain(keep, nothing, after),
    )


def _provenance(
    kind: Literal["decision", "probe"],
    base: str,
    base_file: str,
    lesson: Lesson,
    training: Mapping[str, Any],
    proof: Evidence,
) -> Provenance:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    kept = int(lesson.keep.sum())
    rejected = len(lesson.marks) - kept
    return Provenance(kind, base, base_file, now, kept, rejected, lesson.digest(), training, proof.listed())


def _tell(known: MarkStore, learned: Learned, page: Path) -> None:
    source = learned.provenance
    console.print(f"{learned.model}: {source.keeps} keeps, {source.rejects} rejects")
    show(learned.columns)
    changed, (right, wrong) = len(learned.turned.changed()), learned.turned.counts()
    if learned.turned.before is not None:
        console.print(f"MCC gained: {with_interval(learned.gain)}")
        console.print(f"{changed} labelled images change sides: {right} to what you said, {wrong} away from it")
    else:
        console.print(f"{changed} labelled images contradict it")
    if learned.hint:
        console.print(escaped(learned.hint), soft_wrap=True)
    if changed:
        try:
            write_sheet(page, learned.model, known, learned.turned, learned.columns)
            console.print(f"look at them: {escaped(str(page))}", soft_wrap=True)
        except (WriteFailed, OSError) as error:  # what was learned is worth more than the page
            console.print(f"[yellow]the page could not be written:[/] {escaped(str(error))}", soft_wrap=True)


def _save(learned: Learned, folder: Path, anyway: bool) -> None:
    """Write the file if it is better for certain, or if the user says so. Raises KeepersError."""
    better = learned.gain.low > 0
    if not better and not anyway:
        against = "the published decision" if learned.turned.before is not None else "chance"
        raise KeepersError(
            f"{learned.model} was not saved: on held-out images it is not better than {against} for certain "
            f"(MCC gained {with_interval(learned.gain)}). More labels help, above all on images near the threshold: "
            "keepers review FOLDER --order uncertain. --anyway saves it regardless."
        )
    path = folder / learned.file.folder / learned.file.name
    atomic_write(path, save(dict(learned.tensors), metadata=learned.provenance.metadata()))
    how = "saved" if better else "saved although not better for certain"
    console.print(f"{how}: {escaped(str(path))}", soft_wrap=True)
    label = "accept" if learned.turned.before is not None else "keep"
    console.print(f"gate: [bold]accept: {learned.model}.{label} >= 0.5[/]")


def _remove(machine: Machine, what: str, name: str) -> None:
    """Remove a learned file. Raises UnknownName if there is none."""
    store = machine.store()
    spec = REGISTRY.spec(f"{what}:{name}", store)
    path = store.find(spec.weights[0])
    if path is None:
        raise KeepersError(f"{spec.id} has no file on this machine.")
    try:
        path.unlink()
    except OSError as error:
        raise KeepersError(f"{path} cannot be removed ({error.strerror or error}).") from error
    console.print(f"removed: {escaped(str(path))}", soft_wrap=True)
