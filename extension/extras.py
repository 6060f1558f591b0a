"""The Extras tab: scores, captions and sorting for existing images, one by one, in batches, or by folder."""

# pyright: reportMissingImports=false
# The WebUI's own modules are only there inside the WebUI.
from __future__ import annotations

import logging
from typing import Any

import gradio as gr
from modules import scripts_postprocessing

from ..core.gates.gate import Gate, Verdict
from ..core.judging.case import Subject
from ..core.metadata.read import read_generation
from ..core.metadata.record import record_of, to_json
from ..core.pictures.open import view_notes
from ..core.prediction import Answer
from ..models.presets import PRESETS
from .host import host
from .job.captions import caption_of, tagger_ids
from .job.infotext import NOT_JUDGED, key_of, named_values, shown, shown_verdict
from .job.job import one_line
from .options.choices import CUSTOM, NONE, Choices, chosen
from .options.infotext_keys import REASON, VERDICT
from .options.settings import settings
from .panel import checked, frame
from .sorting import MARK, Sorted

NO_CAPTION = "Keepers captions"
"""The key that says why there is no caption."""
NOTES = "Keepers notes"
"""The key that says how models saw the picture."""
logger = logging.getLogger("keepers")


class KeepersExtras(scripts_postprocessing.ScriptPostprocessing):
    """Keepers as one of the Extras tab's operations, after those that change the image."""

    name = "Keepers"
    order = 20000

    def ui(self) -> dict[str, Any]:
        """The fields, under the names that `process` takes."""
        opened, enabled = frame("extras_keepers_enabled")
        with opened:
            with gr.Row():
                names, taggers = [*PRESETS, CUSTOM], [NONE, *tagger_ids()]
                preset = gr.Dropdown(names, value="signals", label="Preset", elem_id="extras_keepers_preset")
                tagger = gr.Dropdown(taggers, value=NONE, label="Captions by", elem_id="extras_keepers_tagger")
            gate = gr.Textbox("", label="Gate (for the preset “custom”)", lines=2, elem_id="extras_keepers_gate")
            said = gr.HTML("", elem_id="extras_keepers_check")
            apart = gr.Checkbox(
                True, label="Put images to review and rejected ones into subfolders", elem_id="extras_keepers_sort"
            )
            gate.change(checked, inputs=[gate], outputs=[said], show_progress="hidden", queue=False)
        return {"enabled": enabled, "preset": preset, "gate": gate, "tagger": tagger, "sort": apart}

    def process(self, pp: Any, **fields: Any) -> None:
        """Judge one picture. The host writes `pp.info` and `pp.caption` with the file that it saves."""
        if not fields.get("enabled"):
            return
        try:
            self._judge(pp, fields)
        except Exception as error:
            logger.exception("Keepers failed in the Extras tab")
            pp.info[VERDICT] = NOT_JUDGED
            pp.info[REASON] = one_line(error)

    def _judge(self, pp: Any, fields: dict[str, Any]) -> None:
        choices = _choices(fields)
        gate = choices.parsed_gate
        host.judge().check(gate)
        host.judge().retry()
        picture = pp.image
        judged = host.judge().judge([Subject(lambda: picture)], gate, everything=True)[0]
        _tell(pp, gate, judged.answers, judged.verdict)
        if noted := "; ".join(view_notes(picture)):
            pp.info[NOTES] = noted
        caption = _caption(pp, choices)
        record = record_of(judged.answers, judged.verdict, str(gate), caption)
        sort = bool(fields.get("sort", False))
        setattr(picture, MARK, Sorted(judged.verdict.outcome, to_json(record), sort, settings()))
        host.tidy()


def _choices(fields: dict[str, Any]) -> Choices:
    """As in the panel: a preset, or the text when the preset is "custom"."""
    preset = fields.get("preset") or "signals"
    gate = (fields.get("gate") or "") if preset == CUSTOM else ""
    return chosen({"preset": preset, "gate": gate, "tagger": fields.get("tagger")})


def _caption(pp: Any, choices: Choices) -> str:
    """The picture's caption; the host treats an existing one as its own option says."""
    if not choices.captions:
        return ""
    recipe = choices.caption_recipe(".txt")
    try:
        pp.caption = caption_of(pp.image, choices.tagger, recipe, read_generation(pp.image).positive)
    except Exception as error:  # the verdict stands without a caption
        logger.exception("Keepers wrote no caption in the Extras tab")
        pp.info[NO_CAPTION] = one_line(error)
        return ""
    return str(pp.caption)


def _tell(pp: Any, gate: Gate, answers: Any, verdict: Verdict) -> None:
    pp.info[VERDICT] = shown_verdict(verdict)
    pp.info[REASON] = verdict.reason.partition(": ")[2]
    named = named_values(gate)
    every: dict[str, Answer] = dict(answers)
    for model, answer in every.items():
        pp.info[key_of(model)] = shown(answer, named.get(model, ()))
