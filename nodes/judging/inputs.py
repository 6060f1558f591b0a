"""The inputs that several nodes share, and how their values are read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from ...core.captions.text import STYLES
from ...core.errors import KeepersError
from ...core.gates.gate import Gate
from ...models.presets import PRESETS, preset
from ..host import host
from ..host.api import CATEGORY, ScoresSocket, io, named

T = TypeVar("T")

PRECISIONS: tuple[host.Precision, ...] = ("auto", "exact", "fast")
STYLES_TOLD = (
    "booru: red fox, solo\ne621: red_fox, solo\nspaces: red_fox solo\njson: with the scores\n"
    "Kaomoji such as ^_^ keep their underscore in every style."
)


def list_schema(
    node: str,
    title: str,
    description: str,
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    *,
    category: str = CATEGORY,
    **more: Any,
) -> io.Schema:
    """The schema of a node that takes whole lists and shows a line of text about them."""
    return io.Schema(
        node_id=node,
        display_name=title,
        category=category,
        description=description,
        is_input_list=True,
        hidden=[io.Hidden.unique_id],
        inputs=list(inputs),
        outputs=named(*outputs),
        **more,
    )


def images_input(purpose: str) -> Any:
    """The images to score, to tag, ..."""
    return io.Image.Input("images", tooltip=f"The images to {purpose}: a batch, or a list of any sizes.")


def scores_input(tooltip: str) -> Any:
    """Scores that may be wired."""
    return ScoresSocket.Input("scores", optional=True, tooltip=tooltip)


def captions_input(tooltip: str) -> Any:
    """Captions that may be wired."""
    return io.String.Input("captions", optional=True, force_input=True, tooltip=tooltip)


def switch(name: str, tooltip: str, *, on: str = "yes", off: str = "no", default: bool = False) -> Any:
    """A yes or no."""
    return io.Boolean.Input(name, default=default, label_on=on, label_off=off, tooltip=tooltip)


def text_area(name: str, placeholder: str, tooltip: str) -> Any:
    """Lines of text, taken as they are: {a|b} picks nothing in them."""
    return io.String.Input(
        name, default="", multiline=True, dynamic_prompts=False, placeholder=placeholder, tooltip=tooltip
    )


def style_input() -> Any:
    """How captions are written."""
    return io.Combo.Input("style", options=list(STYLES), default="booru", tooltip=STYLES_TOLD)


def report_output() -> Any:
    """What `scores.report` says."""
    return io.String.Output("report", tooltip="The counts, then every verdict with its reason.")


def gate_inputs() -> list[Any]:
    """The preset, and the text that overrides it."""
    presets = "\n".join(f"{one.name}: {one.summary}" for one in PRESETS.values())
    return [
        io.Combo.Input("preset", options=list(PRESETS), default="signals", tooltip=f"A ready-made gate.\n{presets}"),
        text_area(
            "gate",
            'your own gate, used instead of the preset:\naccept: signals.label == "ok"',
            "Your own gate; when it is filled in, the preset is not used. Clauses accept:, review:, reject: "
            "with conditions such as coherence.coherent >= 0.7. The first clause that is true decides.",
        ),
    ]


def machine_inputs() -> list[Any]:
    """How models run: batch size, precision, and whether missing files are downloaded."""
    return [
        io.Int.Input(
            "batch_size",
            default=8,
            min=1,
            max=256,
            tooltip="How many images go through a model at once. A smaller batch needs less memory; "
            "the results are the same.",
        ),
        io.Combo.Input(
            "precision",
            options=list(PRECISIONS),
            default="auto",
            tooltip="exact: the published model's own numbers. fast: half precision; values near a threshold are "
            "recomputed exactly. auto: fast where the device is made for it.",
        ),
        switch(
            "download", "Download a missing model file when the node runs. Off: the node says which file goes where."
        ),
    ]


def one(values: Sequence[T] | T) -> T:
    """A widget's single value: nodes that take whole lists get every input as a list."""
    return values[0] if isinstance(values, list | tuple) else values  # pyright: ignore[reportReturnType]  T is no list


def menu_value(values: Sequence[T], known: Iterable[T], what: str) -> T:
    """A menu's value, checked: ComfyUI 0.3.64 accepts anything in a prompt. Raises KeepersError."""
    value = one(values)
    if value not in (listed := list(known)):
        raise KeepersError(f"There is no {what} {value!r}. There are: {', '.join(map(str, listed))}")
    return value


def run_options(
    batch_size: Sequence[int], precision: Sequence[host.Precision], download: Sequence[bool]
) -> host.RunOptions:
    """The machine inputs as one value."""
    return host.RunOptions(max(1, one(batch_size)), menu_value(precision, PRECISIONS, "precision"), one(download))


def chosen_gate(preset_name: str, text: str) -> Gate:
    """The gate in the text, or the preset's if the text is empty. Raises GateError, UnknownName."""
    return Gate.parse(text if text.strip() else preset(preset_name).gate)
