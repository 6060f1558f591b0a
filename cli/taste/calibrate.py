"""`keepers calibrate`: the threshold for what the user wants, and how a score holds up against their marks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.table import Table

from ...collection.mark_store import MarkStore
from ...collection.statistics.curves import Calibration, area_interval, sweep
from ...collection.statistics.threshold import printable
from ...core.errors import KeepersError
from ...core.gates.gate import Gate
from ...core.gates.tree import Value
from ...core.judging.classifier import model_fingerprint
from ...core.judging.judge import Judge
from ...core.prediction import PROBABILITY, Prediction
from ...train.taste.calibrate import Temperature, Threshold, temperature, threshold_for, threshold_for_rate
from ..console import console
from ..exit_codes import OK, UNJUDGED, escaped
from ..known_output import Scans, known_marks
from ..machine import Machine
from ..options import examples, in_panel
from ..pages.page import write_page
from ..pages.panels import Panel, bars, lines
from ..pages.rows import Header, Row, ShownModel
from ..store import Db, open_store
from .mark_places import shown_places
from .tune_data import Lesson, gather

if TYPE_CHECKING:
    from numpy.typing import NDArray

_wish = in_panel("What you wish for")
_output = in_panel("Output")

PrecisionOfKeep = Annotated[
    float | None,
    _wish(
        "--precision-of-keep",
        min=0.0,
        max=1.0,
        help="Of what is accepted, you should keep at least this share.",
        show_default=False,
    ),
]
Recall = Annotated[
    float | None,
    _wish(min=0.0, max=1.0, help="Of what you keep, at least this share should be accepted.", show_default=False),
]
KeepRate = Annotated[
    float | None,
    _wish(min=0.0, max=1.0, help="Accept this share of all scored images.", show_default=False),
]


@dataclass(frozen=True)
class TurnedScore:
    """A score, with a sign so that higher means keep."""

    value: Value
    sign: float
    keep: NDArray[np.bool_]
    scores: NDArray[np.float64]

    lowest: float = -np.inf
    """The least that a threshold may be, with the sign."""

    def gate(self, threshold: Threshold) -> str:
        """The line to paste: its verdicts on the marked images are those of the threshold."""
        number = self.sign * printable(self.sign * self.scores, threshold.value, self.lowest)
        return f"accept: {self.value} {'>=' if self.sign > 0 else '<='} {number:.9g}"


def matrix(gate: str, lesson: Lesson) -> NDArray[np.int_]:
    """What a gate makes of the marked images, [kept or rejected by the user, accepted or not]."""
    parsed = Gate.parse(gate)
    found = np.zeros((2, 2), dtype=np.int_)
    for keep, answer in zip(lesson.keep, lesson.predictions, strict=True):
        accepted = parsed.decide({answer.model: answer}).closed().outcome == "accept"
        found[0 if keep else 1, 0 if accepted else 1] += 1
    return found


@examples(
    "keepers calibrate faramir.accept",
    "keepers calibrate faramir.accept --precision-of-keep 0.9 --report calibration.html",
)
def calibrate(
    score: Annotated[str, typer.Argument(help="A number by its name in a gate: faramir.accept, taste:mine.keep.")],
    paths: Annotated[list[Path] | None, typer.Argument(help="Only labels of images in here. Default: all.")] = None,
    *,
    precision_of_keep: PrecisionOfKeep = None,
    recall: Recall = None,
    keep_rate: KeepRate = None,
    report: Annotated[Path | None, _output(help="Write a page with the reliability diagram.")] = None,
    db: Db = None,
    scan: Scans = None,
    machine: Machine,
) -> None:
    """Find the threshold for a wanted precision, recall or keep rate from your labels, with its uncertainty.

    Without a wish, the threshold that best separates keeps from rejects is chosen. All numbers are computed exactly,
    whatever --precision says, so the printed gate gives the printed table when a scan reads it.
    """
    if sum(wish is not None for wish in (precision_of_keep, recall, keep_rate)) > 1:
        raise KeepersError("Wish for one thing: --precision-of-keep, --recall or --keep-rate.")
    value = _value(score)
    with open_store(db) as store:
        judge, known = machine.judge(), known_marks(store, scan)
        judge.registry.spec(value.model, judge.store)
        lesson = gather(judge, known, value.model, paths or [])
        turned = _turned_score(value, lesson)
        if judge.base(value.model):
            console.print("[yellow]It was itself learned from such labels, so it looks better here than it is.[/]")
        chosen, wish = _chosen(turned, known, judge, precision_of_keep, recall, keep_rate)
        scale = _temperature(lesson, turned)
        _show(turned, chosen, wish, scale, lesson)
        if report:
            _write(report, known, lesson, turned, chosen, scale)
    raise typer.Exit(UNJUDGED if lesson.not_judged else OK)


def _value(text: str) -> Value:
    """The one number that a text names. Raises GateError, KeepersError."""
    gate = Gate.parse(f"accept: {text} >= 0")
    if len(gate.terms) != 1 or len(gate.values) != 1:
        raise KeepersError(f"{text!r} does not name one number; faramir.accept would.")
    return gate.values[0]


def _turned_score(value: Value, lesson: Lesson) -> TurnedScore:
    column = lesson.model_labels.index(value.label, value.model)
    scores, keep = lesson.values[:, column].astype(np.float64), lesson.keep
    low, high = area_interval(keep, scores)
    if not (low > 0.5 or high < 0.5):
        raise KeepersError(
            f"{value} does not tell your keeps from your rejects: its ROC area is {sweep(keep, scores).area:.3f} "
            f"({low:.3f} to {high:.3f} with 95 % confidence), and 0.5 is chance. So there is no gate to offer; try "
            "another score, or give more labels."
        )
    sign, ends = (1.0 if low > 0.5 else -1.0), lesson.model_labels.range(column)
    return TurnedScore(value, sign, keep, scores, ends.low if sign > 0 else -ends.high)


def _chosen(
    turned: TurnedScore,
    known: MarkStore,
    judge: Judge,
    precision: float | None,
    recall: float | None,
    keep_rate: float | None,
) -> tuple[Threshold, str]:
    signed = turned.sign * turned.scores
    if keep_rate is not None:
        every = turned.sign * _every(turned.value, known, judge)
        told = f"accepts {keep_rate:.0%} of {len(every):,} images"
        return threshold_for_rate(turned.keep, signed, every, keep_rate), told
    if precision is not None:
        return threshold_for(turned.keep, signed, "precision", precision), f"precision of at least {precision:.0%}"
    if recall is not None:
        return threshold_for(turned.keep, signed, "recall", recall), f"recall of at least {recall:.0%}"
    return threshold_for(turned.keep, signed, "informedness", 1.0), "tells keeps from rejects best"


def _every(value: Value, known: MarkStore, judge: Judge) -> NDArray[np.float64]:
    """The score of every image that was scored with the current weights, once each.

    Only 64 bits of each image's hash are kept beside the score, so that millions fit into memory.
    """
    model = judge.base(value.model) or value.model
    fingerprint = model_fingerprint(judge.registry.spec(model, judge.store), judge.store)
    images, scores = [np.empty(0, np.uint64)], [np.empty(0)]
    for part in known.every(model, fingerprint):
        made = {content: _asked(value.model, one, judge) for content, one in part.items()}
        found = [(int(content[:16], 16), one[value.label]) for content, one in made.items() if one is not None]
        images.append(np.array([image for image, _ in found], dtype=np.uint64))
        scores.append(np.array([score for _, score in found]))
    _, first = np.unique(np.concatenate(images), return_index=True)  # an image may be in the store and in an output
    once = np.concatenate(scores)[first]
    return once[np.isfinite(once)]


def _asked(model: str, prediction: Prediction, judge: Judge) -> Prediction | None:
    """A model's prediction, its own or derived from that of the model whose numbers it reads."""
    return prediction if prediction.model == model else judge.derive(model, {prediction.model: prediction})


def _temperature(lesson: Lesson, turned: TurnedScore) -> Temperature | None:
    """Only for probabilities where higher means keep; others have no temperature."""
    labels = lesson.model_labels
    if labels.range(labels.index(turned.value.label)) != PROBABILITY or turned.sign < 0:
        return None
    return temperature(turned.keep, turned.scores)


def _show(turned: TurnedScore, chosen: Threshold, wish: str, scale: Temperature | None, lesson: Lesson) -> None:
    signed = turned.sign * turned.scores
    area, (low, high) = sweep(turned.keep, signed).area, area_interval(turned.keep, signed)
    kept = int(turned.keep.sum())
    console.print(f"{escaped(str(turned.value))} against {kept} keeps and {len(turned.keep) - kept} rejects")
    console.print(f"ROC area {area:.3f} ({low:.3f} to {high:.3f}); 0.5 is chance")
    if turned.sign < 0:
        console.print("Lower means keep.")
    ends = sorted(turned.sign * end for end in chosen.interval)
    console.print(f"{wish}: threshold {turned.sign * chosen.value:.4g} ({ends[0]:.4g} to {ends[1]:.4g})")
    precision = _with_interval(chosen.precision, chosen.precision_interval)
    console.print(f"there: precision {precision}, recall {_with_interval(chosen.recall, chosen.recall_interval)}")
    if not chosen.reached:
        console.print("[yellow]No threshold reaches this on your labels; this one comes nearest.[/]")
    console.print("Intervals hold with 95 % confidence.")
    if scale:
        _show_scale(scale)
    gate = turned.gate(chosen)
    shown = Table("on these labels", "accepted", "not accepted")
    for what, (accepted, refused) in zip(("you keep", "you reject"), matrix(gate, lesson), strict=True):
        shown.add_row(what, str(accepted), str(refused))
    console.print(shown)
    console.print(f"gate: [bold]{escaped(gate)}[/]", soft_wrap=True)


def _with_interval(value: float, interval: Sequence[float]) -> str:
    return f"{value:.2f} ({interval[0]:.2f} to {interval[1]:.2f})"


def _show_scale(scale: Temperature) -> None:
    shown = Table("score", "images", "mean score", "kept by you", "")
    found = scale.before
    for index, count in enumerate(found.counts):
        if count:
            share = float(found.found[index])
            bar = "█" * round(20 * share) + "░" * (20 - round(20 * share))
            ends = f"{found.edges[index]:.1f} to {found.edges[index + 1]:.1f}"
            shown.add_row(ends, str(count), f"{found.predicted[index]:.2f}", f"{share:.2f}", bar)
    console.print(shown)
    sure = "too sure" if scale.value > 1 else "not sure enough"
    if scale.bounded:
        console.print("It has no temperature: it separates your labels without an error, or says nothing about them.")
        return
    if scale.after.error >= scale.before.error:
        console.print("No temperature brings it nearer to a probability: it is not simply too sure or not sure enough.")
        return
    console.print(
        f"temperature {scale.value:.2f} ({sure}): calibration error {scale.before.error:.3f}, "
        f"with it {scale.after.error:.3f}; what scores mean: "
        + ", ".join(f"{one:g} means {scale.calibrated(one):.2f}" for one in (0.2, 0.5, 0.8, 0.95))
    )


def _write(
    path: Path, known: MarkStore, lesson: Lesson, turned: TurnedScore, chosen: Threshold, scale: Temperature | None
) -> None:
    """The page: the marked images as the threshold sorts them, and the diagrams. Raises WriteFailed."""
    from ... import __version__

    contents = [mark.content for mark in lesson.marks]
    places, thumbnails = shown_places(known, contents, path.parent), known.store.thumbnails(contents)
    model, name = turned.value.model, turned.value.label
    rows: list[Row] = []
    for mark, score in zip(lesson.marks, turned.scores, strict=True):
        verdict = "accept" if turned.sign * score >= chosen.value else "reject"
        reason = f"{verdict}: {turned.value} {score:.3g}; you said {mark.mark}"
        picture, scores = thumbnails.get(mark.content, ""), {model: {name: float(score)}}
        rows.append(Row(*places[mark.content], verdict, reason, thumbnail=picture, scores=scores))
    date = time.strftime("%Y-%m-%dT%H:%M:%S")
    header = Header(str(turned.value), turned.gate(chosen), [ShownModel(model)], version=__version__, date=date)
    write_page(path, header, rows, _panels(turned, scale))
    console.print(f"report: {escaped(str(path))}", soft_wrap=True)


def _panels(turned: TurnedScore, scale: Temperature | None) -> list[Panel]:
    found = sweep(turned.keep, turned.sign * turned.scores)
    order = np.argsort(turned.sign * found.thresholds[1:])
    at = (turned.sign * found.thresholds[1:])[order]
    series = {"precision": found.precision[1:][order].tolist(), "recall": found.recall[1:][order].tolist()}
    panels = [lines("Threshold", at.tolist(), series, x_label=str(turned.value), y_label="share")]
    if scale:
        panels += [_reliability("Reliability", scale.before), _reliability("Reliability with temperature", scale.after)]
    return panels


def _reliability(title: str, found: Calibration) -> Panel:
    names = [f"{low:.1f} to {high:.1f}" for low, high in zip(found.edges[:-1], found.edges[1:], strict=True)]
    series = {"mean score": _gaps(found.predicted), "kept by you": _gaps(found.found)}
    note = f"Where both bars are equally high, the score is a probability. Calibration error {found.error:.3f}."
    return bars(title, names, series, unit="share", note=note)


def _gaps(values: NDArray[np.float64]) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
