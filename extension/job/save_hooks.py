"""What happens around every file that the host saves: metadata before, captions and followers after.

These callbacks see all files of all scripts; only those of a running job's own images are touched. `params.p` may be
anything, also None.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ...core.errors import KeepersError
from ...core.metadata.record import KEY, from_json
from ...core.metadata.write import embed
from ...core.paths import unique
from .captions import write_beside
from .destination import BEFORE, is_before
from .infotext import record_json
from .job import ATTRIBUTE, GenerationJob, JobImage, Stage, job_image_of, one_line


def before_saved(params: Any) -> None:
    """Give the image its record, and a rejected one a name that no other file has."""
    item, job = job_image_of(params.image), _job(params)
    if item is None or job is None:
        return
    if "parameters" in (params.pnginfo or {}):
        params.pnginfo[KEY] = record_json(job, item)
    # In the host's own folder its own rules for names hold; a folder of ours never loses a file to a later one.
    if job.policy(item) == "subfolder" and os.path.lexists(params.filename):
        params.filename = str(unique(Path(params.filename), (".txt",)))


def after_saved(params: Any) -> None:
    """Remember where an image is, write its caption beside it, and keep track of its earlier stages."""
    job = _job(params)
    if job is None:
        return
    item = job_image_of(params.image)
    path = Path(getattr(params.image, "already_saved_as", None) or params.filename)
    if item is None:
        if is_before(path):
            _remember(job, params.p, path)
        return
    if job.policy(item) == "drop":
        return
    item.path = path
    _complete(job, item, path, params)
    write_beside(job, item, path)


def _job(params: Any) -> GenerationJob | None:
    """The job that a file belongs to; also while it is being finished."""
    job = getattr(getattr(params, "p", None), ATTRIBUTE, None)
    return job if isinstance(job, GenerationJob) else None


def _complete(job: GenerationJob, item: JobImage, path: Path, params: Any) -> None:
    """The host writes its own texts into PNG only; other formats get the record from us."""
    if path.suffix.lower() == ".png" or "parameters" not in (params.pnginfo or {}):
        return
    record = from_json(record_json(job, item))
    if record is None:
        return
    try:
        embed(path, record, keep_mtime=True)
    except KeepersError as error:
        job.note(f"{path.suffix} files carry no record: {one_line(error)}")


def _remember(job: GenerationJob, p: Any, path: Path) -> None:
    stage = Stage(path.resolve(), Path(p.outpath_samples).resolve())
    iteration = int(getattr(p, "iteration", 0))
    if BEFORE[0] in path.stem:
        # Saved while the batch is sampled, one an image in their order; the batch has no items yet.
        job.before.setdefault((iteration, job.sampled), []).append(stage)
        job.sampled += 1
    elif (item := job.current(p)) is not None:
        item.before.append(stage)
