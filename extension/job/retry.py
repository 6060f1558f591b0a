"""Making more images until enough are accepted, and choosing the best if none is."""

# pyright: reportMissingImports=false
# The WebUI's own modules are only there inside the WebUI.
from __future__ import annotations

from typing import Any

from modules import images, shared

from ...core.gates.best import best
from .destination import with_text
from .infotext import shown_outcome
from .job import MARK, GenerationJob, JobImage, job_image_of


def add_budget(job: GenerationJob, p: Any) -> None:
    """Give the job more iterations, if the host can be told to stop once there are enough.

    Seeds count up as in any larger job, so every image can be reproduced.
    """
    job.asked_iterations = p.n_iter
    job.asked_images = p.n_iter * p.batch_size
    job.wanted = job.choices.wanted or job.asked_images
    if job.choices.attempts <= 1:
        return
    if not hasattr(shared.state, "stopping_generation"):
        job.note("This WebUI cannot be told to stop early, so no further images were tried.")
    elif isinstance(p.prompt, list) or isinstance(p.seed, list) or getattr(p, "txt2img_upscale", False):
        job.note("This job sets its own list of images, so no further ones were tried.")
    elif job.only_notes:
        job.note("Another script combines these images, so no further ones were tried.")
    else:
        p.n_iter = job.asked_iterations * job.choices.attempts


def stop_when_enough(job: GenerationJob, p: Any) -> None:
    """Tell the host to stop once enough images are accepted."""
    more = job.choices.attempts > 1 and p.n_iter > job.asked_iterations
    if more and not job.stopped and job.accepted() >= job.wanted and not shared.state.stopping_generation:
        shared.state.stopping_generation = True
        job.stopped = True


def stop_no_more(job: GenerationJob, p: Any) -> None:
    """Reset the request to stop, so that it ends only this job and not a whole X/Y/Z plot."""
    if job.stopped:
        shared.state.stopping_generation = False
    if job.asked_iterations:
        p.n_iter = job.asked_iterations


def keep_best(job: GenerationJob, p: Any, processed: Any) -> None:
    """If nothing was accepted, save the best of the judged images where an accepted one would go."""
    if not job.choices.keep_best or job.accepted():
        return
    shown = list(job.shown())
    for place in best([item.verdict for item in shown], [item.fidelity for item in shown]):
        policy = job.policy(shown[place])
        shown[place].best = True
        if policy != "keep":
            _rescue(job, p, processed, shown[place])


def _rescue(job: GenerationJob, p: Any, processed: Any, item: JobImage) -> None:
    """Save an image again in the host's own folder, and then delete its file among the rejected ones."""
    found = next((k for k, picture in enumerate(processed.images) if job_image_of(picture) is item), None)
    if found is None:
        return
    picture, text = processed.images[found], _text(job, processed, item)
    if getattr(p, "do_not_save_samples", False) or not shared.opts.samples_save:
        return  # the host saves no files, and the image stays in the result
    old, item.path = item.path, None
    setattr(picture, MARK, item)
    images.save_image(picture, job.outpath, "", item.seed, item.prompt, shared.opts.samples_format, info=text, p=p)
    if old is not None and item.path is not None and old != item.path:
        for each in with_text(old):
            each.unlink(missing_ok=True)


def _text(job: GenerationJob, processed: Any, item: JobImage) -> str:
    """The image's infotext, now marked as the best."""
    place = processed.index_of_first_image + list(job.shown()).index(item)
    if place >= len(processed.infotexts):
        return ""
    was = f"Keepers: {item.outcome},"
    text = processed.infotexts[place].replace(was, f"Keepers: {shown_outcome(item)},", 1)
    processed.infotexts[place] = text
    return text
