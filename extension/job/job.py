"""The state of one job: the images made so far, and what became of them.

It is one object, attached to the host's processing object `p`. Copies of `p` share it; the next job gets its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ...core.errors import KeepersError
from ...core.gates.gate import Gate, Verdict
from ...core.judging.near_duplicates import Stream
from ...core.prediction import Answer, Prediction
from ..options.choices import Choices, Policy
from ..options.settings import Settings

if TYPE_CHECKING:
    from PIL.Image import Image

ATTRIBUTE = "_keepers_job"
MARK = "_keepers_item"
"""The attribute by which a picture is recognised when it is saved and when the job ends."""


UNJUDGED = "unjudged"


class Stage(NamedTuple):
    """A file with an image before hires fix, face restoration or color correction."""

    path: Path
    below: Path
    """The folder that the host was told to save to; date folders come below it."""


@dataclass(eq=False)
class JobImage:
    """One image of a job."""

    iteration: int
    place: int
    """Its place in the batch as generated."""
    seed: int = -1
    subseed: int = -1
    prompt: str = ""
    negative: str = ""
    verdict: Verdict | None = None
    """None if nothing judged it; it is then treated as if Keepers were off."""
    answers: dict[str, Answer] = field(default_factory=dict[str, Answer])
    known: dict[str, Prediction] = field(default_factory=dict[str, Prediction])
    """The answers about `early`, the picture before face restoration."""
    early: Image | None = None
    flaw: str = ""
    trouble: str = ""
    """Why it could not be judged, or what went wrong afterwards; it is then kept."""
    gone: Literal["", "early", "late"] = ""
    """When it was removed from the job's result."""
    best: bool = False
    caption: str = ""
    path: Path | None = None
    """The file in which it was saved."""
    base: Path | None = None
    """The folder in which it would be saved without Keepers."""
    before: list[Stage] = field(default_factory=list[Stage])
    fidelity: float = 0.0
    """How near it is to being accepted; larger is better."""

    @property
    def outcome(self) -> str:
        """Its verdict in one word; "accept" if nothing judged it."""
        return self.verdict.outcome if self.verdict else "accept"

    @property
    def fate(self) -> str:
        """Its outcome, "unjudged" if the gate could not reach one, or "" if it was never asked."""
        if self.verdict is None:
            return ""
        return self.verdict.outcome if self.verdict.judged else UNJUDGED


@dataclass(eq=False)
class GenerationJob:
    """Everything that Keepers knows about one job."""

    choices: Choices
    settings: Settings
    gate: Gate | None = None
    """None if the gate cannot be read; every image then goes to review, with `trouble` as the reason."""
    trouble: str = ""
    only_notes: bool = False
    """Whether another script combines the images; then none is removed."""
    keeps_one: bool = False
    """Whether the caller needs at least one image."""
    in_list: bool = False
    """Whether its result is appended to those of other jobs; it then has one infotext per image, even for none."""
    run: Stream = field(default_factory=Stream)
    items: list[JobImage] = field(default_factory=list[JobImage])
    """In the order of generation."""
    batch: list[JobImage] = field(default_factory=list[JobImage])
    """Those still in the current batch, in the host's order."""
    before: dict[tuple[int, int], list[Stage]] = field(default_factory=dict[tuple[int, int], list[Stage]])
    """Files saved before their image had an entry, by iteration and place."""
    sampled: int = 0
    """How many files were saved while the current batch was sampled."""
    over: bool = False
    asked_iterations: int = 0
    asked_images: int = 0
    wanted: int = 0
    stopped: bool = False
    """Whether this job told the host to stop generating."""
    outpath: str = ""
    no_grid: bool = False
    own_grid: bool = False
    notes: list[str] = field(default_factory=list[str])
    dropped: TemporaryDirectory[str] | None = None
    extra_keys: list[str] = field(default_factory=list[str])

    def policy(self, item: JobImage) -> Policy:
        """What happens to an image; one that could not be judged is never dropped."""
        if item.verdict is None or item.outcome == "accept" or item.best:
            return "keep"
        wanted = self.choices.on_reject if item.outcome == "reject" else self.choices.on_review
        return "subfolder" if wanted == "drop" and not item.verdict.judged else wanted

    def current(self, p: Any) -> JobImage | None:
        """The entry of the image that the host is working on."""
        place = int(getattr(p, "batch_index", -1))
        return self.batch[place] if 0 <= place < len(self.batch) else None

    def accepted(self) -> int:
        """How many images have been accepted so far."""
        return sum(1 for item in self.items if item.verdict is not None and item.outcome == "accept")

    def note(self, text: str) -> None:
        """Tell the user something once."""
        if text not in self.notes:
            self.notes.append(text)

    def shown(self) -> Iterator[JobImage]:
        """The images that reached the end, in the order of the host's list."""
        return (item for item in self.items if item.gone != "early")


def job_of(p: Any) -> GenerationJob | None:
    """The running job of a processing object; None if Keepers is off for it, or its job is over."""
    job = getattr(p, ATTRIBUTE, None)
    return job if isinstance(job, GenerationJob) and not job.over else None


def job_image_of(picture: Any) -> JobImage | None:
    """The entry of a picture; None if it has none."""
    found = getattr(picture, MARK, None)
    return found if isinstance(found, JobImage) else None


def one_line(error: BaseException) -> str:
    """An error in one line for the user."""
    text = str(error) if isinstance(error, KeepersError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:600]
