"""The page of a trained detector: its course, what it reached, and every test image with its answer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...core.errors import UnreadableImage
from ...core.pictures.open import open_image
from ..pages.confusion import POINTS, matrix_panel, numbers_panel
from ..pages.page import write_page
from ..pages.panels import Panel, bars, lines, table, text
from ..pages.rows import Header, Row, ShownModel, link
from ..pages.thumbnail import thumbnail

if TYPE_CHECKING:
    from ...models.realism.format import Description
    from ...train.realism.result import Tested
    from ...train.realism.run import PreparedTraining, TrainedDetector


def write_report(
    path: Path, model: str, prepared: PreparedTraining, outcomes: Sequence[TrainedDetector], described: Description
) -> int:
    """Write the page and give its size in bytes. Raises WriteFailed."""
    from ... import __version__

    tested = outcomes[-1].tested
    header = Header(
        title=f"{model}: {' against '.join(tested.classes)}",
        models=[ShownModel(model, prepared.job.preset.title)],
        counts={"trained on": outcomes[-1].images, "tested on": len(tested.labels)},
        version=__version__,
        date=time.strftime("%Y-%m-%dT%H:%M:%S"),
    )
    panels = [
        *course_panels(described),
        *test_panels(tested),
        *(sweep_panels(outcomes) if len(outcomes) > 1 else ()),
        *_words(prepared),
    ]
    return write_page(path, header, _rows(path.parent, model, prepared, tested), panels)


def course_panels(described: Description) -> list[Panel]:
    """Loss and accuracy over the epochs; empty for a probe, which has none."""
    history = described.training["history"]
    if not history:
        return []
    epochs = list(range(1, len(history) + 1))
    note = f"Epoch {described.training['best_epoch']} was kept: its validation loss is the smallest."
    loss = {"training": [e["loss"] for e in history], "validation": [e["validation_loss"] for e in history]}
    right = {
        "training": [100 * e["accuracy"] for e in history],
        "validation": [100 * e["validation_accuracy"] for e in history],
    }
    return [
        lines("Loss", epochs, loss, x_label="epoch", y_label="cross entropy", note=note),
        lines("Accuracy", epochs, right, x_label="epoch", y_label="% right"),
    ]


def test_panels(tested: Tested) -> list[Panel]:
    """What the detector reached on the test images."""
    matrix = tested.confusion()
    return [
        matrix_panel(matrix),
        numbers_panel(matrix, [tested.sweep(label).area for label in range(len(tested.classes))]),
        _roc_panel(tested),
        _calibration_panel(tested),
    ]


def _roc_panel(tested: Tested) -> Panel:
    x = np.linspace(0, 1, POINTS)
    series = {"chance": x.tolist()}
    for label, name in _drawn(tested.classes):
        curve = tested.sweep(label)
        if curve.positives and curve.negatives:
            series[f"{name} ({curve.area:.3f})"] = np.interp(x, curve.false_alarms, curve.recall).tolist()
    note = "The area is the chance that an image of the class scores above one of another class."
    return lines("ROC", x.tolist(), series, x_label="false alarms", y_label="found", note=note)


def _drawn(classes: Sequence[str]) -> list[tuple[int, str]]:
    """For two classes one curve says it all."""
    return list(enumerate(classes))[1:] if len(classes) == 2 else list(enumerate(classes))


def _calibration_panel(tested: Tested) -> Panel:
    series: dict[str, list[float | None]] = {}
    centres: list[float] = []
    for label, name in _drawn(tested.classes):
        bins = tested.calibration(label)
        centres = ((bins.edges[:-1] + bins.edges[1:]) / 2).tolist()
        series[f"{name} (error {bins.error:.3f})"] = [None if np.isnan(v) else float(v) for v in bins.found]
    series = {"perfect": list(centres), **series}
    note = "Of the images with about this probability, the share that is of the class; gaps have no images."
    return lines("Calibration", centres, series, x_label="probability", y_label="share", note=note)


def sweep_panels(outcomes: Sequence[TrainedDetector]) -> list[Panel]:
    """Bias and variance: accuracy on seen and unseen images over the share of images trained on."""
    x = [outcome.share for outcome in outcomes]
    seen = [100 * outcome.train_accuracy for outcome in outcomes]
    unseen = [100 * outcome.tested.confusion().accuracy for outcome in outcomes]
    note = (
        "Every share was trained from scratch and tested on the same images. Low on both: the net is too simple "
        "(bias). High on seen and low on unseen images: it learnt them by heart (variance), and more images help."
    )
    rows: list[list[str | float | int | None]] = []
    for outcome, a, b in zip(outcomes, seen, unseen, strict=True):
        low, high = outcome.tested.confusion().interval()
        rows.append([outcome.share, outcome.images, round(a, 2), round(b, 2), f"{low:.1%} to {high:.1%}"])
    names = ["share", "images", "% right, seen", "% right, unseen", "95 % interval"]
    return [
        lines("Bias and variance", x, {"seen": seen, "unseen": unseen}, x_label="share", y_label="% right", note=note),
        table("Shares", names, rows),
    ]


def _words(prepared: PreparedTraining) -> list[Panel]:
    found, parts = prepared.pictures.collected, prepared.split
    counts = {name: [count] for name, count in zip(found.classes, found.counts(), strict=True)}
    related = (
        f"{parts.groups:,} groups of related images (near-duplicates, and names that end in the same number), "
        f"{parts.across:,} of them across classes, none of them in two parts."
    )
    told = [
        "In the list of images, accept means that it was answered right, and reject that it was answered wrong.",
        related,
        *prepared.warnings,
        *(f"not read: {path}: {reason}" for path, reason in found.unread[:200]),
    ]
    return [bars("Images", ["images"], counts), text("What to know of these images", *told)]


def _rows(folder: Path, model: str, prepared: PreparedTraining, tested: Tested) -> list[Row]:
    samples = [prepared.pictures.collected.samples[place] for place in prepared.split.test]
    rows: list[Row] = []
    for sample, truth, answer, values in zip(samples, tested.labels, tested.answers, tested.probabilities, strict=True):
        true, answered = tested.classes[truth], tested.classes[answer]
        right = true == answered
        rows.append(
            Row(
                path=str(sample.path),
                href=link(sample.path, folder),
                verdict="accept" if right else "reject",
                reason=f"is {true}" if right else f"is {true}, answered {answered}",
                thumbnail=_thumbnail(sample.path),
                width=sample.width,
                height=sample.height,
                scores={model: {name: float(v) for name, v in zip(tested.classes, values, strict=True)}},
                labels={model: answered},
            )
        )
    return rows


def _thumbnail(path: Path) -> str:
    try:
        return thumbnail(open_image(path))
    except UnreadableImage:  # gone since it was read; its row still shows the answer
        return ""
