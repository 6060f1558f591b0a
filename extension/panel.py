"""The panel in txt2img and img2img. It uses only what gradio 3.41 and 4.40 both have."""

# pyright: reportMissingImports=false
# The WebUI's own modules are only there inside the WebUI.
from __future__ import annotations

import html
from contextlib import AbstractContextManager
from typing import Any

import gradio as gr

from ..core.captions.text import STYLES
from ..core.errors import KeepersError
from ..core.gates.gate import Gate
from ..models.presets import PRESETS
from ..models.registry import REGISTRY
from .host import host
from .job.captions import tagger_ids
from .job.heatmaps import models_with_heatmaps
from .options.choices import CUSTOM, EXISTING, MOST_ATTEMPTS, NAMES, NONE, POLICIES, Choices
from .options.infotext_keys import KEYS, VERDICT, pasted
from .options.settings import settings

HELP = (
    "One clause a line: <code>accept:</code>, <code>review:</code> or <code>reject:</code>, then a condition such as "
    "<code>coherence.coherent &gt;= 0.5</code>. The first clause that is true counts."
)


class _Fields(dict[str, Any]):
    """The fields by name, each with the element id that the host, themes and tests look for."""

    def __init__(self, script: Any) -> None:
        self.script = script

    def put(self, name: str, kind: Any, *arguments: Any, **named: Any) -> Any:
        """Make a field."""
        self[name] = kind(*arguments, elem_id=self.script.elem_id(name), **named)
        return self[name]


def make(script: Any, is_img2img: bool) -> list[Any]:  # noqa: ARG001 - both tabs have the same panel
    """The fields, in the order of Choices. Also tells the host which infotext keys belong to them."""
    start, fields = settings().choices(), _Fields(script)
    opened, fields["enabled"] = frame(script.elem_id("enabled"))
    with opened:
        _gate_fields(fields, start)
        _fate_fields(fields, start)
        with gr.Accordion("Captions", open=False, elem_id=script.elem_id("captions")):
            _caption_fields(fields, start)
    script.infotext_fields = [(fields[n], pasted(n)) for n in NAMES if n in KEYS or n == "enabled"]
    script.paste_field_names = [VERDICT, *KEYS.values()]
    return [fields[name] for name in NAMES]


def frame(elem_id: str) -> tuple[AbstractContextManager[Any], Any]:
    """An accordion named Keepers and its switch: in the header where the host supports that, else inside."""
    try:
        from modules.ui_components import InputAccordion
    except ImportError:
        opened = gr.Accordion("Keepers", open=False, elem_id=f"{elem_id}-frame")
        with opened:
            return opened, gr.Checkbox(False, label="Enable Keepers", elem_id=elem_id)
    opened = InputAccordion(False, label="Keepers", elem_id=elem_id)
    return opened, opened


def _gate_fields(fields: _Fields, start: Choices) -> None:
    shown = PRESETS[start.preset].gate if start.preset in PRESETS else ""
    with gr.Row():
        preset = fields.put("preset", gr.Dropdown, [*PRESETS, CUSTOM], value=start.preset, label="Preset")
        explained = [NONE, *models_with_heatmaps()]
        fields.put("heatmap", gr.Dropdown, explained, value=NONE, label="Heatmap in the gallery")
    gate = fields.put(
        "gate", gr.Textbox, value=shown, label="Gate", lines=3, max_lines=12, elem_classes=["keepers-gate"]
    )
    told = gr.HTML(checked(shown), elem_id=fields.script.elem_id("check"))
    _when_used(preset, _preset_chosen, [preset, gate], [gate, told])
    _when_typed(gate, _gate_typed, [gate], [preset, told])


def _fate_fields(fields: _Fields, start: Choices) -> None:
    with gr.Row():
        for name, label in (("on_reject", "Rejected images"), ("on_review", "Images to review")):
            fields.put(name, gr.Dropdown, list(POLICIES), value=getattr(start, name), label=label)
    with gr.Row():
        more, enough = "Retry: at most × as many", "Accepted wanted (0: as asked)"
        fields.put("attempts", gr.Slider, 1, MOST_ATTEMPTS, value=1, step=1, label=more)
        fields.put("wanted", gr.Slider, 0, 500, value=0, step=1, label=enough)
    with gr.Row():
        fields.put("keep_best", gr.Checkbox, start.keep_best, label="Keep the best if none passes")
        fields.put("early", gr.Checkbox, start.early, label="Early check (before ADetailer)")
        fields.put("everything", gr.Checkbox, start.everything, label="Ask every model of the gate")


def _caption_fields(fields: _Fields, start: Choices) -> None:
    with gr.Row():
        fields.put("tagger", gr.Dropdown, [NONE, *tagger_ids()], value=NONE, label="Tagger")
        fields.put("existing", gr.Dropdown, list(EXISTING), value=start.existing, label="If there is a caption")
    with gr.Row():
        fields.put("threshold", gr.Slider, 0, 1, value=0, step=0.01, label="Threshold (0: the model's own)")
        fields.put("style", gr.Dropdown, list(STYLES), value=start.style, label="Style")
    for name, label, example in (
        ("first", "Words that come first", "my_trigger"),
        ("exclude", "Tags to leave out", "*_background, signature"),
        ("recipe", "More of a recipe, as JSON", '{"limit": 30, "order": "category"}'),
    ):
        fields.put(name, gr.Textbox, "", label=label, placeholder=example, lines=1)


def _when_used(component: Any, function: Any, inputs: list[Any], outputs: list[Any]) -> None:
    """React only to a person's choice, not to a pasted infotext, which fills in both fields itself."""
    listen = getattr(component, "input", None) or component.change
    listen(function, inputs=inputs, outputs=outputs, show_progress="hidden", queue=False)


def _when_typed(component: Any, function: Any, inputs: list[Any], outputs: list[Any]) -> None:
    component.change(function, inputs=inputs, outputs=outputs, show_progress="hidden", queue=False)


def _preset_chosen(name: str, text: str) -> tuple[Any, str]:
    chosen = PRESETS[name].gate if name in PRESETS else text
    return gr.update(value=chosen), checked(chosen)


def _gate_typed(text: str) -> tuple[Any, str]:
    known = next((name for name, preset in PRESETS.items() if preset.gate.strip() == text.strip()), CUSTOM)
    return gr.update(value=known), checked(text)


def checked(text: str) -> str:
    """The line shown while a gate is typed: its error, or the models that it asks and the files they need."""
    return f'<div style="padding:0 .8em .4em">{_checked(text)}</div>'


def _checked(text: str) -> str:
    try:
        gate = Gate.parse(text)
        host.judge().check(gate)
    except KeepersError as error:
        return f'<pre style="color:#d33;white-space:pre-wrap;margin:0">{html.escape(str(error))}</pre>'
    if not gate.models:
        return f"This gate accepts everything. {HELP}"
    return f"✓ Asks {', '.join(map(_state, gate.models))}."


def _state(model: str) -> str:
    """A model's name, and which of its files is missing on this machine."""
    store = host.judge().store
    spec = REGISTRY.spec(model, store)
    missing = [file for file in spec.weights if not file.optional and store.find(file) is None]
    name = f"<b>{html.escape(model)}</b>"
    if not missing:
        return name
    size = sum(file.size for file in missing)
    amount = f", {size / 1e6:.0f} MB" if size else ""
    how = (
        "is downloaded at first use"
        if store.download
        else f"put it into {html.escape(str(store.target(missing[0]).parent))}"
    )
    return (
        f'{name} <span style="color:#d80">(not on this machine{amount}: {html.escape(missing[0].name)}; {how})</span>'
    )
