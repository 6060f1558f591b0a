"""`keepers train realism`: a detector from folders of images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ...core.errors import Cancelled, KeepersError
from ...core.places import data_folder, trained_folder
from ...core.runtime import Runtime
from ...models.own_files import NAME
from ...models.realism.format import Shape
from ...models.realism.realism import FOLDER, weight_file
from .. import exit_codes
from ..console import console
from ..machine import Machine, check_device
from ..named import named_folders
from ..options import Fields, examples, in_panel
from .view import View, stoppable

if TYPE_CHECKING:
    from ...train.realism.recipe import DetectorPreset
    from ...train.realism.run import PreparedTraining, TrainedDetector

_data = in_panel("Images")
_training = in_panel("Training")
_output = in_panel("Output")

SMALLEST = 32
"""Pixels that the nets' pooling needs."""
Augment = Literal["none", "light", "colour"]


@examples(
    "keepers train realism --class real=photos --class ai=generated",
    "keepers train realism --class real=photos --class ai=generated --preset probe --name mine --out results",
)
def train(
    model: Annotated[Literal["realism"], typer.Argument(help="What to train.")],
    *,
    classes: Annotated[
        list[str] | None,
        _data("--class", help="NAME=FOLDER: a class and its images; repeat for each class or folder."),
    ] = None,
    name: Annotated[str, _output(help="The detector's name; gates then say realism:NAME.")] = "",
    preset: Annotated[str, _training(help="What is trained and how: modern, study, study-cnn, small, probe.")] = (
        "modern"
    ),
    size: Annotated[int, _training(help="Side of the window in pixels; 0: the preset's.", min=0, max=1024)] = 0,
    colour: Annotated[
        bool | None, _training("--colour/--grey", help="Train on colours; the study saw grey only.")
    ] = None,
    augment: Annotated[
        Augment | None, _training(help="Change images at random: light mirrors and shifts, colour also re-lights.")
    ] = None,
    features: Annotated[
        str, _training(help="For the probe: siglip, timm:NAME, furry or jtp.", show_default=False)
    ] = "",
    epochs: Annotated[int, _training(help="At most; 0: the preset's.", min=0)] = 0,
    batch: Annotated[int, _training(help="Images per step; 0: the preset's.", min=0)] = 0,
    rate: Annotated[float, _training(help="Learning rate; 0: the preset's.", min=0)] = 0.0,
    scratch: Annotated[bool, _training("--from-scratch", help="Do not start from ImageNet's weights.")] = False,
    proportions: Annotated[
        str, _training(help="Train on several shares of the images, such as 0.5,0.7,0.9, each from scratch.")
    ] = "",
    seed: Annotated[int, _training(help="Decides the split, the order and the initial weights.", min=0)] = 0,
    force: Annotated[bool, _data("--force", help="Train although classes share images, leaving these out.")] = False,
    replace_old: Annotated[bool, _output("--replace", help="Overwrite a detector that has this name already.")] = False,
    fresh: Annotated[bool, _training("--fresh", help="Start over; else an interrupted training goes on.")] = False,
    out: Annotated[Path | None, _output(help="Folder for metrics.json and the report.", show_default=False)] = None,
    machine: Annotated[Machine, Fields("device", "folders", "download")],
) -> None:
    """Train a detector on your own images, and say what it is worth.

    Ctrl-C stops after the current step; the same command goes on from there, with the same result.
    """
    from ...train.realism.recipe import PRESETS

    assert model == "realism"
    if preset not in PRESETS:
        raise KeepersError(f"There is no preset {preset!r}; there are {', '.join(PRESETS)}.")
    if 0 < size < SMALLEST:
        raise KeepersError(f"--size is at least {SMALLEST} pixels.")
    chosen = PRESETS[preset]
    recipe, window, shape = chosen.recipe, chosen.window, chosen.shape
    recipe = replace(
        recipe,
        epochs=epochs or recipe.epochs,
        batch=batch or recipe.batch,
        rate=rate or recipe.rate,
        augment=augment or recipe.augment,
    )
    window = replace(window, size=size or window.size, grey=window.grey if colour is None else not colour)
    shape = _probed(shape, features)
    chosen = replace(chosen, recipe=recipe, window=window, shape=shape, pretrained=chosen.pretrained and not scratch)
    named = named_folders(classes)
    if len(named) < 2:
        raise KeepersError("A detector tells at least two classes apart: give --class NAME=FOLDER twice or more.")
    name = name or "-vs-".join(_plain(one) for one in named)
    target = _target(machine, name, replace_old)
    work = data_folder() / "training" / (name or "unnamed")
    course = Course(name, named, chosen, machine, work, out or work, target, shares_in(proportions), seed, force)
    try:
        course.run(fresh=fresh)
    except Cancelled as stopped:
        console.print(str(stopped))
        raise typer.Exit(exit_codes.INTERRUPTED) from None


def _target(machine: Machine, name: str, replace_old: bool) -> Path:
    """The model folder for the detector: where one of its name already is, else --models, else the user's own.

    Raises KeepersError before hours are spent, rather than overwrite a detector unasked.
    """
    old = machine.store().find(weight_file(name)) if NAME.fullmatch(name) else None
    if old and not replace_old:
        raise KeepersError(f"There is a detector {name!r} already: {old}. Give another --name, or --replace it.")
    if old and old.parent.name == FOLDER:
        return old.parent.parent
    return machine.folders[0] if machine.folders else trained_folder()


def shares_in(text: str) -> tuple[float, ...]:
    """Shares between 0 and 1, ascending; (1.0,) for none. Raises KeepersError."""
    try:
        shares = sorted({float(part) for part in text.split(",") if part.strip()})
    except ValueError:
        raise KeepersError(f"--proportions takes numbers such as 0.5,0.7,0.9, not {text!r}.") from None
    if any(not 0 < share <= 0.9 for share in shares):
        raise KeepersError("--proportions are above 0 and at most 0.9: a tenth of all images is held out for the test.")
    return tuple(shares) or (1.0,)


def _probed(shape: Shape, features: str) -> Shape:
    if not features:
        return shape
    if shape.kind != "probe":
        raise KeepersError("--features goes with --preset probe.")
    return replace(shape, base=features)


def _plain(name: str) -> str:
    return "".join(char if char.isascii() and char.isalnum() else "-" for char in name.lower()).strip("-") or "class"


@dataclass
class Course:
    """One call of the command."""

    name: str
    folders: dict[str, list[Path]]
    preset: DetectorPreset
    machine: Machine
    work: Path
    out: Path
    target: Path
    """The model folder that gets the detector."""
    shares: tuple[float, ...]
    seed: int
    force: bool

    def run(self, *, fresh: bool) -> None:
        """Read, train, test, write and report. Raises KeepersError, Cancelled."""
        from ...train.realism.run import TrainingJob, TrainingWatcher, check_names, prepare, train_detector

        check_device(self.machine.device)
        device = str(Runtime(self.machine.device).torch_device())
        threads = max(2, os.cpu_count() or 1)
        job = TrainingJob(self.name, self.folders, self.preset, self.seed, self.force, device, threads)
        check_names(job)
        if fresh:
            clear(self.work)
        store = self.machine.store()
        console.print(f"{self.preset.name}: {self.preset.title}")
        with stoppable() as stop, View(stop) as view:
            watcher = TrainingWatcher(view.reading, view.training, view.features, view.say)
            prepared = prepare(job, self.work, watcher)
            view.show_prepared(prepared)
            outcomes = [train_detector(prepared, self.work, store, watcher, share) for share in self.shares]
        self._write(prepared, outcomes)

    def _write(self, prepared: PreparedTraining, outcomes: Sequence[TrainedDetector]) -> None:
        from ...train.realism.run import describe_detector, write_detector, write_metrics
        from .report import write_report

        last = outcomes[-1]
        described = describe_detector(prepared, last)
        path = write_detector(self.target, self.name, described, last)
        write_metrics(self.out / "metrics.json", described)
        size = write_report(self.out / "report.html", f"realism:{self.name}", prepared, outcomes, described)
        clear(self.work)
        accuracy = last.tested.confusion()
        low, high = accuracy.interval()
        console.print(
            f"[green]trained[/] {accuracy.accuracy:.1%} right on {accuracy.total:,} test images "
            f"(95 % interval {low:.1%} to {high:.1%})"
        )
        shown = exit_codes.escaped
        console.print(f"detector: {shown(str(path))}", soft_wrap=True)
        console.print(f"report: {shown(str(self.out / 'report.html'))} ({size / 1e6:.1f} MB)", soft_wrap=True)
        console.print(f"use it: keepers scan FOLDER --model realism:{self.name}", soft_wrap=True)


def clear(work: Path) -> None:
    """Remove the checkpoints of a training, and nothing else."""
    for pattern in ("images.json", "pixels.bin", "checkpoint-*.safetensors", "features-*.bin"):
        for path in work.glob(pattern):
            with suppress(OSError):  # Windows does not delete a file that is still mapped
                path.unlink(missing_ok=True)
