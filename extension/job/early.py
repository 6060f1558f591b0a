"""The early check: images that the cheap models reject leave the batch before face restoration and ADetailer."""

# pyright: reportMissingImports=false
# The WebUI's own modules are only there inside the WebUI.
from __future__ import annotations

from pathlib import Path
from typing import Any

from modules import images, processing, shared

from ...core.errors import Cancelled
from ..host import host
from ..host.pictures import flaw_of, to_picture
from .destination import folder_for, follow
from .infotext import texts
from .job import MARK, GenerationJob, JobImage, one_line
from .judging import judge_early

PARALLEL = ("prompts", "negative_prompts", "seeds", "subseeds")
"""The host's lists for the current batch, one entry per image."""


def begin_batch(job: GenerationJob, p: Any, pictures: list[Any]) -> None:
    """Create a batch's entries, and remove the images already rejected; `pictures` is changed in place."""
    job.batch = [new_item(job, p, place, picture) for place, picture in enumerate(pictures)]
    job.items += job.batch
    if not _in_step(p, pictures):
        return  # video frames, or another script's additions: nothing may be removed
    if not (job.choices.early and job.gate is not None):
        return
    if getattr(p, "paste_to", None) or getattr(p, "overlay_images", None):
        return  # inpainting: the original is pasted over the picture only later
    rejected = _rejected(job, pictures)
    if rejected and _may_shrink(job, p, rejected):
        _take_out(job, p, pictures, rejected)


def new_item(job: GenerationJob, p: Any, place: int, picture: Any) -> JobImage:
    """One image of the current batch, with its values from the host's lists."""

    def at(name: str, default: Any) -> Any:
        values = getattr(p, name, None) or []
        return values[place] if place < len(values) else default

    iteration = int(getattr(p, "iteration", 0))
    return JobImage(
        iteration,
        place,
        seed=at("seeds", -1),
        subseed=at("subseeds", -1),
        prompt=at("prompts", ""),
        negative=at("negative_prompts", ""),
        flaw=flaw_of(picture),
        before=job.before.pop((iteration, place), []),
    )


def _in_step(p: Any, pictures: list[Any]) -> bool:
    return all(len(getattr(p, name, None) or []) == len(pictures) for name in PARALLEL)


def _rejected(job: GenerationJob, pictures: list[Any]) -> list[JobImage]:
    found: list[JobImage] = []
    try:
        for item, picture in zip(job.batch, pictures, strict=True):
            host.check_interrupt()
            if not item.flaw and judge_early(job, item, to_picture(picture)):
                found.append(item)
    except Cancelled:
        pass
    except Exception as error:
        job.note(f"The early check failed ({one_line(error)}); no image was lost.")
    return found


def _may_shrink(job: GenerationJob, p: Any, rejected: list[JobImage]) -> bool:
    """Whether the rejected images may leave now; otherwise they leave at the end."""
    if job.only_notes or job.choices.on_reject == "keep":
        return False
    if job.keeps_one or job.choices.keep_best:
        return False  # the best of them may be needed in its final form
    if job.choices.on_reject == "subfolder" and not saves(p):
        return False  # no file would keep them
    if len(rejected) == len(job.batch) or int(getattr(p, "iteration", 0)) + 1 >= p.n_iter:
        return True
    return not _needs_whole_batches(p)


def saves(p: Any) -> bool:
    """Whether the host saves this job's images."""
    if hasattr(p, "save_samples"):
        return bool(p.save_samples())
    return bool(shared.opts.samples_save) and not p.do_not_save_samples


def _needs_whole_batches(p: Any) -> bool:
    """Whether an active script waits for the last place of every batch, as ADetailer does for ControlNet."""
    arguments = list(getattr(p, "script_args", None) or [])
    for script in getattr(getattr(p, "scripts", None), "alwayson_scripts", []):
        first = script.args_from if script.args_from is not None else len(arguments)
        if hasattr(script, "need_call_process") and any(arguments[first : first + 1]):
            return True
    return False


def _take_out(job: GenerationJob, p: Any, pictures: list[Any], rejected: list[JobImage]) -> None:
    out = [item for item in rejected if _part_with(job, p, item)]
    kept = [place for place, item in enumerate(job.batch) if item not in out]
    gone = [place for place, item in enumerate(job.batch) if item in out]
    _reorder_all(job, p, kept, gone)
    pictures[:] = [pictures[place] for place in kept]
    for name in PARALLEL:
        values = getattr(p, name)
        setattr(p, name, [values[place] for place in kept])
    job.batch = [job.batch[place] for place in kept]


def _reorder_all(job: GenerationJob, p: Any, kept: list[int], gone: list[int]) -> None:
    """Move the kept images first in the whole job's lists too: other scripts count by place in the batch."""
    start = int(getattr(p, "iteration", 0)) * p.batch_size
    for name in PARALLEL:
        values = list(getattr(p, f"all_{name}"))
        part = values[start : start + len(job.batch)]
        if len(part) == len(job.batch):
            values[start : start + len(part)] = [part[place] for place in [*kept, *gone]]
            setattr(p, f"all_{name}", values)


def _part_with(job: GenerationJob, p: Any, item: JobImage) -> bool:
    """Save a rejected image in its folder, or drop it; False keeps it in the batch."""
    item.base = Path(job.outpath or p.outpath_samples)
    try:
        if job.policy(item) == "subfolder":
            _save(job, p, item)
        for stage in item.before:
            follow(job, stage, item)
    except Exception as error:
        job.note(f"A rejected image could not be set aside early ({one_line(error)}); it was kept in the batch.")
        return False
    item.gone = "early"
    item.early = None
    return True


def _save(job: GenerationJob, p: Any, item: JobImage) -> None:
    picture = item.early
    assert picture is not None
    setattr(picture, MARK, item)
    place = getattr(p, "batch_index", None)
    p.batch_index = item.place  # file name patterns use it
    try:
        text = _infotext(job, p, item)
        if getattr(shared.opts, "enable_pnginfo", True):
            picture.info["parameters"] = text
        folder, form = str(folder_for(job, item)), shared.opts.samples_format
        images.save_image(picture, folder, "", item.seed, item.prompt, form, info=text, p=p)
    finally:
        if place is not None:
            p.batch_index = place


def _infotext(job: GenerationJob, p: Any, item: JobImage) -> str:
    """The infotext of an image that the host will not process any further."""
    own = p.extra_generation_params
    p.extra_generation_params = {**own, **dict.fromkeys(job.extra_keys), **texts(job, item)}
    try:
        return processing.create_infotext(
            p, p.prompts, p.seeds, p.subseeds, index=item.place, all_negative_prompts=p.negative_prompts
        )
    finally:
        p.extra_generation_params = own
