"""Where an image's files go: the host's own folder, a subfolder, or nowhere.

The host saves to `p.outpath_samples` right after the last hook, and then the masks. So this is set for every image and
restored at the end. The host cannot skip saving one image of a batch, so a dropped image goes to a temporary folder,
which is removed at the next image.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...core.errors import KeepersError
from ...core.files import move_whole
from ...core.paths import under_free_name
from .job import GenerationJob, JobImage, Stage

BEFORE = ("-before-highres-fix", "-before-face-restoration", "-before-color-correction")
"""The suffixes by which hosts mark files of an image's earlier stages."""
_BESIDE = (".txt",)


def direct(job: GenerationJob, p: Any, item: JobImage) -> None:
    """Send this image's files to the folder for its verdict, and its earlier stages after it."""
    base = Path(job.outpath or p.outpath_samples)
    item.base = base
    old, job.dropped = job.dropped, None
    target = folder_for(job, item)
    p.outpath_samples = str(target)
    for stage in item.before:
        follow(job, stage, item)
    if old is not None:
        old.cleanup()


def folder_for(job: GenerationJob, item: JobImage) -> Path:
    """The folder for an image; a subfolder is created."""
    base = item.base or Path(job.outpath)
    match job.policy(item):
        case "keep":
            return base
        case "subfolder":
            target = job.settings.subfolder(item.outcome, base)
            target.mkdir(parents=True, exist_ok=True)
            return target
        case _:
            job.dropped = job.dropped or TemporaryDirectory(prefix="keepers-", ignore_cleanup_errors=True)
            return Path(job.dropped.name)


def put_back(job: GenerationJob, p: Any) -> None:
    """Restore the host's folders."""
    if job.outpath:
        p.outpath_samples = job.outpath
    if job.dropped is not None:
        job.dropped.cleanup()
        job.dropped = None


def is_before(path: Path) -> bool:
    """Whether a file shows an earlier stage of an image."""
    return path.stem.rstrip("0123456789").removesuffix("-").endswith(BEFORE) or path.stem.endswith(BEFORE)


def follow(job: GenerationJob, stage: Stage, item: JobImage) -> None:
    """Move an earlier stage's file to its image's folder, or delete it if the image is dropped."""
    if not stage.path.is_file():
        return
    if job.policy(item) == "drop":
        for each in with_text(stage.path):
            each.unlink(missing_ok=True)
        return
    try:
        target = folder_for(job, item) / stage.path.parent.relative_to(stage.below)
        if target.resolve() != stage.path.parent.resolve():
            for each in with_text(stage.path):
                move_free(each, target)
    except (KeepersError, OSError, ValueError) as error:
        job.note(f"{stage.path.name} could not follow its image: {error}")


def move_free(path: Path, folder: Path) -> Path:
    """Move a file into a folder under its own name, or under the next free one. Raises WriteFailed, UnreadableImage."""
    return under_free_name(folder / path.name, lambda target: move_whole(path, target))


def with_text(path: Path) -> list[Path]:
    """A file, and the infotext file beside it if the host wrote one."""
    return [path, *(beside for ending in _BESIDE if (beside := path.with_suffix(ending)).is_file())]
