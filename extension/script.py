"""The always-on script: the host's hooks, each passed on to the module that does the work.

The host swallows what a hook raises. So every hook catches its own errors: the job's comment reports them, and the
current image is kept as if Keepers were off.
"""

# pyright: reportMissingImports=false
# The WebUI's own modules are only there inside the WebUI.
from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

from modules import scripts

from . import panel
from .host import host
from .job import begin as job_begin
from .job import captions, destination, early, heatmaps, judging, late, retry
from .job.infotext import texts
from .job.job import ATTRIBUTE, MARK, GenerationJob, JobImage, job_of, one_line

logger = logging.getLogger("keepers")
Hook = TypeVar("Hook", bound=Callable[..., None])
FINAL = hasattr(scripts.Script, "postprocess_image_after_composite")
"""Whether this host has a hook that sees each image after its last change."""


def guarded(hook: Hook) -> Hook:
    """A hook that never raises; it notes its errors on the job."""

    @wraps(hook)
    def careful(self: Any, p: Any, *arguments: Any, **named: Any) -> None:
        try:
            hook(self, p, *arguments, **named)
        except Exception as error:
            logger.exception("Keepers failed in %s", hook.__name__)
            job = getattr(p, ATTRIBUTE, None)
            if isinstance(job, GenerationJob):
                job.note(f"Keepers failed in {hook.__name__} ({one_line(error)}); the images were kept.")

    return careful  # pyright: ignore[reportReturnType]  # the host only looks at names


class KeepersScript(scripts.Script):
    """Keepers in txt2img and img2img."""

    def title(self) -> str:
        """The name; API requests use it in lower case."""
        return "Keepers"

    def show(self, is_img2img: bool) -> Any:  # noqa: ARG002 - the host's signature
        """In both tabs, always."""
        return scripts.AlwaysVisible

    def ui(self, is_img2img: bool) -> list[Any]:
        """The panel. The host calls this several times, so it creates components and does nothing else."""
        return panel.make(self, is_img2img)

    @guarded
    def before_process(self, p: Any, *arguments: Any) -> None:
        """Begin a job, before the host has counted its images."""
        job_begin.begin(p, arguments)

    @guarded
    def process(self, p: Any, *_: Any) -> None:
        """Install the infotext's keys."""
        if job := job_of(p):
            job_begin.install(job, p)

    @guarded
    def process_batch(self, p: Any, *_: Any, **__: Any) -> None:
        """Start a new batch."""
        if job := job_of(p):
            job.batch, job.sampled = [], 0

    @guarded
    def postprocess_batch_list(self, p: Any, pp: Any, *_: Any, **__: Any) -> None:
        """Check a finished batch early."""
        if job := job_of(p):
            early.begin_batch(job, p, pp.images)
            retry.stop_when_enough(job, p)

    @guarded
    def postprocess(self, p: Any, processed: Any, *_: Any) -> None:
        """Finish the job, unless another script calls this mid-batch; such a call has no infotexts."""
        job = job_of(p)
        if job is None or (job.batch and not processed.infotexts):
            return
        retry.stop_no_more(job, p)
        for key in job.extra_keys:
            p.extra_generation_params.pop(key, None)
        for step in (retry.keep_best, late.finish):
            _tried(job, step, p, processed)
        destination.put_back(job, p)
        p.do_not_save_grid = job.no_grid
        late.tell(job, p, processed)
        job.over = True
        host.tidy()


def _tried(job: GenerationJob, step: Callable[[GenerationJob, Any, Any], None], p: Any, processed: Any) -> None:
    """Run a final step. If it fails, the images stay as they are and the job notes the error."""
    try:
        step(job, p, processed)
    except Exception as error:
        logger.exception("Keepers failed at the end of a job")
        job.note(f"Keepers failed at the end of the job ({one_line(error)}); the images were kept as they are.")


def final(self: Any, p: Any, pp: Any, *_: Any) -> None:  # noqa: ARG001 - a hook's signature
    """Judge an image in the form in which it will be saved, and choose its folder."""
    job = job_of(p)
    if job is None:
        return
    item = job.current(p) or _late_item(job, p, pp.image)
    try:
        if host.interrupted():
            item.trouble = "the job was interrupted before it was judged"
        else:
            judging.judge_final(job, item, pp.image)
            captions.caption(job, item, pp.image)
            heatmaps.show(job, p, item, pp.image)
    finally:
        setattr(pp.image, MARK, item)
        _direct(job, p, item)
        if not job_begin.asks_each_image():
            p.extra_generation_params.update(dict.fromkeys(job.extra_keys) | texts(job, item))
        retry.stop_when_enough(job, p)


def _late_item(job: GenerationJob, p: Any, picture: Any) -> JobImage:
    """A new entry for an image without one: another script added it, or the early check failed."""
    item = early.new_item(job, p, int(getattr(p, "batch_index", 0)), picture)
    job.items.append(item)
    return item


def _direct(job: GenerationJob, p: Any, item: JobImage) -> None:
    try:
        destination.direct(job, p, item)
    except Exception as error:
        item.verdict, item.trouble = None, f"its folder could not be made ({one_line(error)})"
        job.note(f"An image stays in the WebUI's own folder: {item.trouble}.")
        p.outpath_samples = str(Path(job.outpath))


# Before 1.8 there is no hook after face restoration's overlay; the last hook before it has to do.
setattr(KeepersScript, "postprocess_image_after_composite" if FINAL else "postprocess_image", guarded(final))
