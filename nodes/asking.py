"""What every node that asks models shares: its inputs, what is checked before anything runs, and the asking itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from ..core.errors import KeepersError
from ..core.gates.gate import Gate
from ..core.judging.case import Subject
from ..core.prediction import Answer, Failure
from ..models.presets import PRESETS, preset
from ..models.registry import REGISTRY
from . import host
from .api import io
from .images import Frame, subjects
from .menus import variants
from .scores import Scored, Scores, wish_gate

T = TypeVar("T")

PRECISIONS: tuple[host.Precision, ...] = ("auto", "exact", "fast")

_LOADING = frozenset(["missing_weights", "download_failed", "corrupt_weights", "unsafe_weights", "wrong_weights"])
"""Failures that concern a model and not an image: the user must act, so the node fails instead of judging."""


class AsksModels(io.ComfyNode):
    """A node that keeps its nets in memory while it is in the workflow; see host.judge."""

    def __init__(self) -> None:
        super().__init__()
        self.judge = host.judge()


def gate_inputs() -> list[Any]:
    """The preset, and the text that goes before it."""
    presets = "\n".join(f"{one.name}: {one.summary}" for one in PRESETS.values())
    return [
        io.Combo.Input("preset", options=list(PRESETS), default="signals", tooltip=f"A ready-made gate.\n{presets}"),
        io.String.Input(
            "gate",
            default="",
            multiline=True,
            dynamic_prompts=False,
            placeholder='your own gate, used instead of the preset:\naccept: signals.label == "ok"',
            tooltip="Your own gate; when it is filled in, the preset is not used. Clauses accept:, review:, reject: "
            "with conditions such as coherence.coherent >= 0.7. The first clause that is true decides.",
        ),
    ]


def machine_inputs() -> list[Any]:
    """How models run."""
    return [
        io.Int.Input(
            "batch_size",
            default=8,
            min=1,
            max=256,
            tooltip="How many images go through a model at once. Smaller needs less memory; the results are the same.",
        ),
        io.Combo.Input(
            "precision",
            options=list(PRECISIONS),
            default="auto",
            tooltip="exact: the published model's own numbers. fast: half precision; what comes near to a threshold is "
            "computed again exactly. auto: fast where the device is made for it.",
        ),
        io.Boolean.Input(
            "download",
            default=False,
            label_on="yes",
            label_off="no",
            tooltip="Get a missing model file when the node runs. Off: the node says which file goes where.",
        ),
    ]


def one(values: Sequence[T] | T) -> T:
    """The single value of a widget: nodes that take whole lists get every input as a list."""
    return values[0] if isinstance(values, list | tuple) else values  # pyright: ignore[reportReturnType]  T is no list


def chosen(values: Sequence[T], known: Iterable[T], what: str) -> T:
    """The value of a menu. ComfyUI 0.3.64 lets a prompt name anything there. Raises KeepersError."""
    value = one(values)
    if value not in (listed := list(known)):
        raise KeepersError(f"There is no {what} {value!r}. There are: {', '.join(map(str, listed))}")
    return value


def options(batch_size: Sequence[int], precision: Sequence[host.Precision], download: Sequence[bool]) -> host.Options:
    """The machine inputs as one value."""
    return host.Options(max(1, one(batch_size)), chosen(precision, PRECISIONS, "precision"), one(download))


def chosen_gate(preset_name: str, text: str) -> Gate:
    """The gate of the text, or of the preset when there is none. Raises GateError, UnknownName."""
    return Gate.parse(text if text.strip() else preset(preset_name).gate)


def refusal(preset_name: str | None, text: str | None, *, download: bool | None, known: bool = False) -> str:
    """Why a node cannot run with these inputs, before anything is generated; empty when it can.

    An input that is wired is None here and is looked at when the node runs. With `known`, scores are wired to the node,
    and it may need no model at all.
    """
    if preset_name is None or text is None:
        return ""
    try:
        gate = chosen_gate(preset_name, text)
        host.judge().check(gate)
    except KeepersError as error:
        return str(error)
    return "" if known else missing(gate.models, download=download)


def refusal_of_wish(wish: str | None, *, download: bool | None) -> str:
    """Why images cannot be ranked by this number; empty when they can, or when the input is empty or wired."""
    if not wish or not wish.strip():
        return ""
    try:
        gate = wish_gate(wish)
        host.judge().check(gate)
    except KeepersError as error:
        return str(error)
    return missing(gate.models, download=download)


def refused_model(model: Any, families: Sequence[str], download: Any) -> bool | str:
    """What a node with a menu of models answers before anything is generated: True, or what is wrong with the choice.

    `model` and `download` are as ComfyUI gives them to `validate_inputs`; a wired model is not known yet.
    """
    name, known = one(model), variants(families)
    if name is None:
        return True
    if name not in known:
        return f"There is no model {name!r} here. There are: {', '.join(known)}"
    return missing([name], download=one(download)) or True


def missing(models: Iterable[str], *, download: bool | None) -> str:
    """Which file is missing where, for the first model that lacks one and may not download it."""
    if download is not False:
        return ""
    files = host.store()
    try:
        for model in models:
            for file in REGISTRY.spec(model, files).weights:
                if not file.optional:
                    files.path(file, model=model)
    except KeepersError as error:
        return _advice(error)
    return ""


def judge_frames(
    found: Sequence[Frame], gate: Gate, how: host.Options, known: Scores | None = None, *, everything: bool = False
) -> Scores:
    """The frames' scores. Raises KeepersError when a model cannot be loaded, ValueError for scores of other images."""
    given = subjects(found, checked=known is not None)
    if known is not None:
        if len(known.images) != len(found):
            count = len(known.images)
            raise ValueError(f"There are {len(found)} images, but scores of {count}: wire both from the same images.")
        given = known.subjects(given)
    return judge_subjects(given, gate, how, everything=everything)


def judge_subjects(given: Sequence[Subject], gate: Gate, how: host.Options, *, everything: bool = False) -> Scores:
    """The scores of images that are opened when they must be. Raises KeepersError when a model cannot be loaded."""
    judge = host.judge(how)
    judge.check(gate)
    judged = judge.judge(given, gate, everything=everything)
    check_loaded(answer for each in judged for answer in each.answers.values())
    text = str(gate)
    both = zip(judged, given, strict=True)
    return Scores(tuple(Scored(each.answers, subject.flaw, each.verdict, text) for each, subject in both))


def check_loaded(answers: Iterable[Answer]) -> None:
    """Raises KeepersError with the reason when a model could not be loaded, so that a prompt never ends in silence."""
    for answer in answers:
        if isinstance(answer, Failure) and answer.code in _LOADING:
            raise KeepersError(_advice(answer.reason, answer.code))


def _advice(error: object, code: str = "missing_weights") -> str:
    """The error, and what can be done on the node itself."""
    may_download = code == "missing_weights" and "keepers fetch" in str(error)
    return f"{error} Or switch on 'download' on this node." if may_download else str(error)
