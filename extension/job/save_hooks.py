"""Callbacks around every file that the host saves: metadata before, captions and earlier stages after.

They see all files of all scripts, and touch only those of a running job's own images. `params.p` may be anything, even
None.
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
    """Add the image's record, and give an image in one of our subfolders a name that no other file has."""
    item, job = job_image_of(params.image), _job(params)
    if item is None or job is None:
        return
    if "parameters" in (params.pnginfo or {}):
        params.pnginfo[KEY] = record_json(job, item)
    # The host's own folder keeps its own naming rules; in a folder of ours, no file is ever overwritten.
    if job.policy(item) == "subfolder" and os.path.lexists(params.filename):
        params.filename = str(unique(Path(params.filename), (".txt",)))


def after_saved(params: Any) -> None:
    """Remember where an image was saved, write its caption beside it, and track its earlier stages."""
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
    """The job that a file belongs to, even while that job is finishing."""
    job = getattr(getattr(params, "p", None), ATTRIBUTE, None)
    return job if isinstance(job, GenerationJob) else None


def _complete(job: GenerationJob, item: JobImage, path: Path, params: Any) -> None:
    """Embed the record in formats other than PNG; the host writes texts only into PNG."""
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
        # Saved while the batch is sampled, one per image in order; the batch has no entries yet.
        job.before.setdefault((iteration, job.sampled), []).append(stage)
        job.sampled += 1
    elif (item := job.current(p)) is not None:
        item.before.append(stage)
