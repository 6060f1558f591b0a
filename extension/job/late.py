"""The end of a job: rejected images leave the result, the rest make the grid, and the user gets a summary."""

# pyright: reportMissingImports=false
# The WebUI's own modules are only there inside the WebUI.
from __future__ import annotations

import logging
from typing import Any

from modules import images, processing, shared

from ...core.gates.best import best
from .job import GenerationJob, JobImage, job_image_of
from .summary import details, summary

logger = logging.getLogger("keepers")

SUMMARY = "Keepers summary"
DETAILS = "Keepers images"
"""Keys in the answer to an API request, which has no comments."""


def finish(job: GenerationJob, p: Any, processed: Any) -> None:
    """Remove the images that the user does not want to see, and make the grid."""
    leave = [item for item in job.items if not item.gone and not _stays(job, item)]
    if job.keeps_one and len(leave) == sum(1 for _ in job.shown()):
        for place in best([item.verdict for item in leave], [item.fidelity for item in leave]):
            leave.pop(place)
    first = processed.index_of_first_image
    heads, rest = processed.images[:first], processed.images[first:]
    taken = [item for item in leave if any(job_image_of(picture) is item for picture in rest)]
    for item in taken:
        item.gone = "late"
    if taken:
        processed.images[:] = [*heads, *_without(rest, taken)]
        processed.infotexts[:] = _infotexts(job, processed.infotexts, first, taken)
    if not job.only_notes:
        _list_the_rest(job, processed)
    if job.in_list and not processed.images:
        processed.infotexts[:], processed.all_prompts = [], []
    if job.own_grid:
        _make_grid(job, p, processed)


def _stays(job: GenerationJob, item: JobImage) -> bool:
    """Whether an image is shown. One that is in no file is shown, unless the user chose to drop it."""
    match job.policy(item):
        case "drop":
            return job.only_notes
        case "subfolder" if item.outcome == "reject" and item.path is not None:
            return job.only_notes or job.settings.show_rejected
        case _:
            return True


def _without(pictures: list[Any], taken: list[JobImage]) -> list[Any]:
    """The pictures without the taken ones, and without the masks that follow those in the host's list."""
    kept: list[Any] = []
    leaving = False
    for picture in pictures:
        item = job_image_of(picture)
        leaving = item in taken if item is not None else leaving
        if not leaving:
            kept.append(picture)
    return kept


def _infotexts(job: GenerationJob, infotexts: list[str], first: int, taken: list[JobImage]) -> list[str]:
    """One infotext per remaining image; if all were taken, the last one stays."""
    made = list(job.shown())
    own = infotexts[first : first + len(made)]
    if len(own) != len(made):
        return infotexts
    kept = [text for text, item in zip(own, made, strict=True) if item not in taken]
    return [*infotexts[:first], *kept, *infotexts[first + len(made) :]] if kept or first else infotexts[-1:]


def _list_the_rest(job: GenerationJob, processed: Any) -> None:
    """List the shown images in their order, so that "reuse seed" and the Save button are right."""
    shown = [item for item in job.items if not item.gone]
    if shown:
        processed.all_seeds = [item.seed for item in shown]
        processed.all_subseeds = [item.subseed for item in shown]
        processed.all_prompts = [item.prompt for item in shown]
        processed.all_negative_prompts = [item.negative for item in shown]


def _make_grid(job: GenerationJob, p: Any, processed: Any) -> None:
    """Make the host's grid from the images that are left."""
    opts = shared.opts
    wanted = (opts.return_grid or opts.grid_save) and not job.no_grid
    pictures = list(processed.images)
    if not wanted or not pictures or (len(pictures) < 2 and opts.grid_only_if_multiple):
        return
    grid = images.image_grid(pictures, p.batch_size)
    text = processing.create_infotext(p, p.all_prompts, p.all_seeds, p.all_subseeds, use_main_prompt=True)
    if opts.grid_save:
        _save_grid(p, grid, text)
    if opts.return_grid:
        if opts.enable_pnginfo:
            grid.info["parameters"] = text
        processed.images.insert(0, grid)
        processed.infotexts.insert(0, text)
        processed.index_of_first_image = 1
        processed.info = text


def _save_grid(p: Any, grid: Any, text: str) -> None:
    images.save_image(
        grid,
        p.outpath_grids,
        "grid",
        p.all_seeds[0],
        p.all_prompts[0],
        shared.opts.grid_format,
        info=text,
        short_filename=not shared.opts.grid_extended_filename,
        p=p,
        grid=True,
    )


def tell(job: GenerationJob, p: Any, processed: Any) -> None:
    """Report what became of every image: below the gallery, in the log, and in the answer to an API request."""
    text = summary(job)
    processed.comments = f"{processed.comments or ''}{text}\n"
    if job.in_list:
        p.comments[text] = 1  # the script builds its own result, and knows only p's comments
    # A new mapping: in the processing object's own, these would reach the next image's infotext.
    extra = {**processed.extra_generation_params, SUMMARY: text}
    if getattr(p, "is_api", False):
        extra[DETAILS] = details(job)
    processed.extra_generation_params = extra
    for line in text.splitlines():
        logger.info(line)
