"""The start of a job: read the user's choices, check what the host allows, and attach a fresh state."""

# pyright: reportMissingImports=false
# The WebUI's own modules are only there inside the WebUI.
from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from modules import processing, shared

from ...core.errors import KeepersError
from ..host import host
from ..options.choices import Choices, choices_of, is_on
from ..options.settings import check_settings, settings
from . import axes
from .infotext import all_keys, install_keys
from .job import ATTRIBUTE, GenerationJob, one_line
from .retry import add_budget

PLOT = "x/y/z plot"
"""The host's own script that shows the first image of each job."""
LIST = "prompts from file or textbox"
"""The host's own script that lists the results of several jobs. Other scripts rely on every image of a job."""


def begin(p: Any, arguments: Sequence[Any]) -> GenerationJob | None:
    """A new state for a new job; None when Keepers is off, or when called from inside a running job."""
    if not (is_on(arguments) or axes.chosen_by_plot(p)) or getattr(p, "_ad_inner", False):
        setattr(p, ATTRIBUTE, None)
        return None
    running = getattr(p, ATTRIBUTE, None)
    if isinstance(running, GenerationJob) and not running.over:
        return None  # ADetailer and others call this again mid-job, for a copy of p
    host.judge().retry()
    job = _new(p, arguments)
    setattr(p, ATTRIBUTE, job)
    add_budget(job, p)
    job.outpath = str(getattr(p, "outpath_samples", "") or "")
    job.no_grid = bool(getattr(p, "do_not_save_grid", False))
    if not job.only_notes and (shared.opts.return_grid or shared.opts.grid_save) and not job.no_grid:
        job.own_grid = p.do_not_save_grid = True  # the host's own grid would contain the rejected images
    return job


def _new(p: Any, arguments: Sequence[Any]) -> GenerationJob:
    found = settings()
    trouble, gate, choices = "", None, found.choices()
    try:
        check_settings(found)
        choices = choices_of(arguments, choices)
        choices = axes.changed_by_plot(p, replace(choices, enabled=True))
        gate = choices.parsed_gate
        host.judge().check(gate)
        if choices.captions:
            choices.caption_recipe(found.ending)
    except KeepersError as error:
        trouble, gate = one_line(error), None
        choices = _careful(choices)
    job = GenerationJob(choices, found, gate, trouble)
    script = _selected(p)
    job.only_notes = script not in ("", PLOT, LIST)
    job.in_list = script == LIST
    job.keeps_one = script == PLOT or bool(getattr(p, "txt2img_upscale", False))
    if trouble:
        job.note(f"Nothing was judged: {trouble}")
    return job


def _careful(choices: Choices) -> Choices:
    """Safe choices for when the given ones are invalid: nothing that costs images or time."""
    return replace(choices, on_review="keep", on_reject="keep", attempts=1, tagger="none", heatmap="none", early=False)


def _selected(p: Any) -> str:
    """The title of the script selected in the list, in lower case; empty for none."""
    arguments = getattr(p, "script_args", None) or [0]
    scripts = getattr(getattr(p, "scripts", None), "selectable_scripts", [])
    place = arguments[0] if isinstance(arguments[0], int) else 0
    return str(scripts[place - 1].title()).lower() if 0 < place <= len(scripts) else ""


def install(job: GenerationJob, p: Any) -> None:
    """Install the infotext's keys, on hosts that ask for each image's values."""
    job.extra_keys = all_keys(job)
    if asks_each_image():
        install_keys(job, p, job.current)


def asks_each_image() -> bool:
    """Whether this host calls callable infotext parameters for each image; older hosts use them as they are."""
    try:
        return "callable(" in inspect.getsource(processing.create_infotext)
    except (OSError, TypeError):
        return True
