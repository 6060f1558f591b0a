"""The state of one job: the images it has made so far, and what became of them.

One object, hung on the host's processing object `p`: copies of `p` share it, and the next job gets its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ...core.errors import KeepersError
from ...core.gates.gate import Gate, Verdict
from ...core.judging.near_duplicates import Run
from ...core.prediction import Answer, Failure, Prediction
from ..options.choices import Choices, Policy
from ..options.settings import Settings

if TYPE_CHECKING:
    from PIL.Image import Image

ATTRIBUTE = "_keepers_job"
MARK = "_keepers_item"
"""On a picture: which item it is, so that it is known again when it is saved and when the job ends."""


class Stage(NamedTuple):
    """A file that shows an image before hires fix, face restoration or color correction."""

    path: Path
    below: Path
    """The folder that the host was told to save into; date folders come below it."""


@dataclass(eq=False)
class JobImage:
    """One image of a job."""

    iteration: int
    place: int
    """Its place in the batch as it was generated."""
    seed: int = -1
    subseed: int = -1
    prompt: str = ""
    negative: str = ""
    verdict: Verdict | None = None
    """None where nothing judged it: it is then treated as if Keepers were off."""
    answers: dict[str, Answer] = field(default_factory=dict[str, Answer])
    known: dict[str, Prediction] = field(default_factory=dict[str, Prediction])
    """What was answered about `early`, the picture before face restoration."""
    early: Image | None = None
    flaw: str = ""
    trouble: str = ""
    """Why it could not be judged, or what went wrong with it afterwards; it is kept then."""
    gone: Literal["", "early", "late"] = ""
    """When it was taken out of the job's result."""
    best: bool = False
    caption: str = ""
    path: Path | None = None
    """The file it was saved in."""
    base: Path | None = None
    """The folder it would be in without Keepers."""
    before: list[Stage] = field(default_factory=list[Stage])
    fidelity: float = 0.0
    """How far it is from being accepted; larger is better."""

    @property
    def outcome(self) -> str:
        """Its verdict in one word; "accept" for what nothing judged."""
        return self.verdict.outcome if self.verdict else "accept"

    @property
    def failed(self) -> bool:
        """Whether a model could not answer: then it is never dropped."""
        return bool(self.flaw or self.trouble) or any(isinstance(a, Failure) for a in self.answers.values())


@dataclass(eq=False)
class GenerationJob:
    """Everything that Keepers knows of one job."""

    choices: Choices
    settings: Settings
    gate: Gate | None = None
    """None where the gate cannot be read: then every image goes to review, with `trouble` as the reason."""
    trouble: str = ""
    only_notes: bool = False
    """Whether another script puts the images together: then none is taken out."""
    keeps_one: bool = False
    """Whether whoever started the job needs at least one image of it."""
    in_list: bool = False
    """Whether its result is put behind those of others: then it has as many infotexts as images, also none."""
    run: Run = field(default_factory=Run)
    items: list[JobImage] = field(default_factory=list[JobImage])
    """In the order in which they were made."""
    batch: list[JobImage] = field(default_factory=list[JobImage])
    """Those of the current batch that are still in it, in the host's order."""
    before: dict[tuple[int, int], list[Stage]] = field(default_factory=dict[tuple[int, int], list[Stage]])
    """What was saved before its image had an item, by iteration and place."""
    sampled: int = 0
    """How many files were saved while the current batch was made."""
    over: bool = False
    asked_iterations: int = 0
    asked_images: int = 0
    wanted: int = 0
    stopped: bool = False
    """Whether this job told the host to stop making more."""
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
        return "subfolder" if wanted == "drop" and item.failed else wanted

    def current(self, p: Any) -> JobImage | None:
        """The item of the image that the host works on."""
        place = int(getattr(p, "batch_index", -1))
        return self.batch[place] if 0 <= place < len(self.batch) else None

    def accepted(self) -> int:
        """How many images were accepted so far."""
        return sum(1 for item in self.items if item.verdict is not None and item.outcome == "accept")

    def note(self, text: str) -> None:
        """Tell the user something once."""
        if text not in self.notes:
            self.notes.append(text)

    def shown(self) -> Iterator[JobImage]:
        """The items that went through to the end, in the order of the host's list."""
        return (item for item in self.items if item.gone != "early")


def job_of(p: Any) -> GenerationJob | None:
    """The running job of a processing object; None where Keepers is off for it, or its job is over."""
    job = getattr(p, ATTRIBUTE, None)
    return job if isinstance(job, GenerationJob) and not job.over else None


def job_image_of(picture: Any) -> JobImage | None:
    """The item that a picture is."""
    found = getattr(picture, MARK, None)
    return found if isinstance(found, JobImage) else None


def one_line(error: BaseException) -> str:
    """An error in one line for the user."""
    text = str(error) if isinstance(error, KeepersError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:600]
