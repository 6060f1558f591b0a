"""The stages of a scan as Ray Data runs them: each class is created once per worker and called with batches.

Batches have one column, "work", of `Work` objects. The first stage receives rows of the manifest; the last returns
counts.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...collection.reading import GIVE_UP, seen_image, window_of
from ...core.captions.writer import CaptionWriter, taggers
from ...core.errors import KeepersError, UnreadableImage
from ...core.gates.gate import not_judged
from ...core.gates.unjudged import flawed
from ...core.judging.case import Case, predict_each
from ...core.judging.classifier import Classifier, Prepared
from ...core.judging.derive import Derived
from ...core.judging.spot_checks import SpotChecks, chosen
from ...core.prediction import Failure, Prediction
from ..output.manifest import items_from
from ..output.output import Output
from ..output.schema import ImageRow, ModelColumn, to_table
from ..sources.item import SourceItem
from ..sources.read_item import ItemReader
from .task import Task
from .work import Mind, Work

Batch: TypeAlias = Mapping[str, NDArray[Any]]
READERS = 4
"""How many pictures one worker reads and decodes at a time: reading waits for the disk or the network."""


class Look:
    """Reads and decodes, asks the models that need no files, and prepares the views of the first net."""

    def __init__(self, task: Task) -> None:
        self._task, self._mind, self._reader = task, Mind(task), ItemReader()
        store, runtime = task.weights.store(), task.runtime()
        self._free = [Classifier.load(task.spec(model), store, runtime, "exact") for model in task.free]
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="keepers-look")
        self._failed_in_a_row = 0

    def __call__(self, batch: Batch) -> dict[str, Any]:
        """From rows of the manifest to work. Raises UnreadableImage if nothing can be read any more."""
        return self.each(items_from(batch))

    def each(self, listed: Sequence[SourceItem]) -> dict[str, Any]:
        """As above, from items."""
        done = list(self._pool.map(self._look, listed))
        for work in done:
            self._failed_in_a_row = self._failed_in_a_row + 1 if work.error == "io" and not work.data else 0
            if self._failed_in_a_row >= GIVE_UP:
                detail = (
                    f"{GIVE_UP} images in a row could not be read, so the scan stops ({work.flaw}). What was done is "
                    "kept; once the source can be read again, run the same command."
                )
                raise UnreadableImage(work.item.name, "io", detail)
        return column(done)

    def _look(self, item: SourceItem) -> Work:
        work = Work(item)
        try:
            data = self._reader.read(item)
        except UnreadableImage as error:
            work.error, work.flaw = error.code, str(error)
            return work
        work.data = data
        work.image = seen_image(hashlib.sha256(data).hexdigest(), data)
        self._ask(work)
        return work

    def _ask(self, work: Work) -> None:
        case = work.case(self._task, work.data)
        for classifier in self._free:
            model = classifier.spec.id
            if self._mind.wants(work, model):
                prepared = case.prepare(model, classifier.network.views)
                answer = case.answers[model] if prepared is None else predict_each(classifier, [prepared])[0]
                work.take(case)
                work.hear(answer)
        staged = self._task.staged
        first = next((model for model in staged if self._mind.wants(work, model)), "")
        if first and (first == staged[0] or not work.data):  # an empty file looks like one that no net needs
            _prepare(work, case, self._task, first)
        if not self._mind.open(work, staged[1:]):  # the first net already has its views
            work.data = b""


class Prepare:
    """Decodes again the pictures that a later net still needs: far fewer than at the start."""

    def __init__(self, task: Task, model: str) -> None:
        self._task, self._model, self._mind = task, model, Mind(task)
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="keepers-prepare")

    def __call__(self, batch: Batch) -> dict[str, Any]:
        """From work to work."""
        return column(list(self._pool.map(self._prepare, batch["work"])))

    def _prepare(self, work: Work) -> Work:
        if work.data and self._mind.wants(work, self._model):
            _prepare(work, work.case(self._task, work.data), self._task, self._model)
        return work


class Classify:
    """One net in memory, asked about the images for which the gate still needs its answer."""

    def __init__(self, task: Task, model: str) -> None:
        self._task, self._model, self._mind = task, model, Mind(task)
        self._spec, self._store, self._runtime = task.spec(model), task.weights.store(), task.runtime()
        staged = task.staged
        self._later = staged[staged.index(model) + 1 :]
        if task.threads:
            import torch

            torch.set_num_threads(task.threads)
        self._derived = Derived.load(self._spec, self._store, self._runtime)
        self._net = self._load()
        self._exact = self._net if task.precision == "exact" else None
        self._checks = SpotChecks(dict(task.tolerances))
        captions = task.recipe if model in task.taggers else None
        self._captions = CaptionWriter(captions, taggers([self._spec])) if captions else None

    def _load(self, exact: bool = False) -> Classifier:
        wanted = "exact" if exact else self._runtime.resolve(self._runtime.torch_device())
        return Classifier.load(self._spec, self._store, self._runtime, wanted)

    def __call__(self, batch: Batch) -> dict[str, Any]:
        """From work to work, in the windows of a plain scan: the last bits depend on which images share a batch."""
        works: list[Work] = list(batch["work"])
        window = window_of(self._task.batch)
        for start in range(0, len(works), window):
            self._judge(works[start : start + window])
        return column(works)

    def _judge(self, works: Sequence[Work]) -> None:
        asked = [work for work in works if work.views]
        self._ask([work for work in asked if not self._follows(work)], self._net)
        self._widen(asked)
        self._spot_check([work for work in asked if chosen(work.image.content.encode())])
        while near := [work for work in asked if self._near(work)]:
            self._ask_exactly(near)
            self._widen(asked)
        for work in works:
            work.views = ()
            if work.data and not self._mind.open(work, self._later):
                work.data = b""

    def _near(self, work: Work) -> bool:
        """Whether the answer is too near a threshold, of the gate or of a tag in a caption, for its tolerance."""
        answer = self._mind.answers(work).get(self._model)
        tagged = self._captions is not None and isinstance(answer, Prediction) and self._captions.near(answer)
        return tagged or self._mind.blurred(work, self._model)

    def _ask_exactly(self, works: Sequence[Work]) -> None:
        """Replace fast answers by exact ones, and learn from the difference how far the others may be off."""
        before = [self._mind.answers(work).get(self._model) for work in works]
        self._exact = self._exact or self._load(exact=True)
        self._ask(works, self._exact)
        for work, fast in zip(works, before, strict=True):
            exact = self._mind.answers(work).get(self._model)
            if isinstance(fast, Prediction) and fast.tolerance and isinstance(exact, Prediction):
                off = self._checks.compare(work.item.name, fast, exact)
                if off.times(fast.labels) > 1:  # said of every such image, whatever is allowed by now
                    work.strayed = (*work.strayed, off)

    def _spot_check(self, works: Sequence[Work]) -> None:
        """Ask some images exactly too; where that fails, the fast answer stays."""
        fast = [work for work in works if self._fast(work)]
        if not fast:
            return
        before = [work.answers[self._model] for work in fast]
        self._ask_exactly(fast)
        for work, answer in zip(fast, before, strict=True):
            if isinstance(work.answers[self._model], Failure):
                work.answers[self._model] = answer
        self._widen(works)

    def _fast(self, work: Work) -> bool:
        answer = work.answers.get(self._model)
        return not isinstance(answer, Failure | None) and bool(answer.tolerance)

    def _widen(self, works: Sequence[Work]) -> None:
        """Give fast answers the tolerance that was found; the rows keep it."""
        for work in works:
            answer = self._mind.answers(work).get(self._model)
            if isinstance(answer, Prediction):
                work.hear(self._checks.widened(answer))

    def _follows(self, work: Work) -> bool:
        """Whether the answer can be derived from another model's; it is then filled in."""
        base = self._mind.answers(work).get(self._spec.base) if self._derived else None
        if self._derived is None or not isinstance(base, Prediction):
            return False
        work.hear(self._derived(base))
        return True

    def _ask(self, works: Sequence[Work], net: Classifier) -> None:
        size = min(self._task.batch, net.network.batch or self._task.batch)
        for start in range(0, len(works), size):
            part = works[start : start + size]
            for work, answer in zip(part, predict_each(net, [_tensors(work) for work in part]), strict=True):
                work.hear(answer)


class Write:
    """Decides, writes captions, and writes the rows to a file; returns the counts by outcome."""

    def __init__(self, task: Task, where: str) -> None:
        self._task, self._mind, self._output = task, Mind(task), Output.at(where)
        specs = [task.spec(model) for model in task.taggers]
        self._captions = CaptionWriter(task.recipe, taggers(specs)) if task.recipe else None

    def __call__(self, batch: Batch) -> dict[str, Any]:
        """From work to counts."""
        done = [self.row(work) for work in batch["work"]]
        self._output.write_rows(to_table(done, self._task.columns))
        counts = Counter("error" if row.error else row.verdict.outcome for row in done)
        return {name: [counts[name]] for name in ("accept", "review", "reject", "error")}

    @property
    def columns(self) -> Sequence[ModelColumn]:
        """How predictions are stored."""
        return self._task.columns

    def row(self, work: Work) -> ImageRow:
        """One image as it is written if it repeats no other."""
        verdict = not_judged(flawed(work.flaw, work.error))
        row = ImageRow(work.item, work.image, verdict, work.error, self._mind.answers(work), strayed=work.strayed)
        return self.decided(row)

    def decided(self, row: ImageRow) -> ImageRow:
        """The row with the verdict that follows from its answers, and with a caption if it is accepted."""
        if row.error:
            return row
        answers = row.answers
        if row.twin:
            answers = self._mind.as_twin(answers, row.twin) or answers
        row = replace(row, verdict=self._mind.verdict(answers), caption=None)
        return self._captioned(row) if self._captions and row.verdict.outcome == "accept" else row

    def sure(self, row: ImageRow) -> bool:
        """Whether exact numbers within the tolerances of the row's could give it no other verdict or caption."""
        if row.error:
            return True
        tagged = [(row.answers.get(one.model), one) for one in self.columns if one.model in self._task.taggers]
        near = self._captions.near if self._captions else lambda _: False
        return self._mind.sure(row.answers) and not any(
            isinstance(answer, Prediction) and near(_at_most(answer, column)) for answer, column in tagged
        )

    def _captioned(self, row: ImageRow) -> ImageRow:
        """The row with its caption, or with a note why it has none."""
        assert self._captions is not None
        failed = [answer for model in self._task.taggers if isinstance(answer := row.answers.get(model), Failure)]
        heard = [answer for model in self._task.taggers if isinstance(answer := row.answers.get(model), Prediction)]
        try:
            if not failed:
                return replace(row, caption=self._captions(heard, row.image).text)
            reason = failed[0].reason
        except KeepersError as error:  # too long, and the recipe forbids cutting
            reason = str(error)
        notes = tuple(dict.fromkeys((*row.image.notes, f"no caption: {reason}")))
        return replace(row, image=replace(row.image, notes=notes))


def _prepare(work: Work, case: Case, task: Task, model: str) -> None:
    prepared = case.prepare(model, task.tried[model].views)
    work.take(case)
    if prepared is None:
        work.hear(case.answers[model])
    else:
        work.views = tuple(view.numpy() for view in prepared)


def _at_most(answer: Prediction, column: ModelColumn) -> Prediction:
    """A tagger's stored answer with the largest values that it may have had: those below the floor are not kept."""
    return replace(answer, values=np.maximum(answer.values, np.float32(column.floor or 0)))


def _tensors(work: Work) -> Prepared:
    import torch

    return tuple(torch.from_numpy(view) for view in work.views)


def column(works: Sequence[Work]) -> dict[str, Any]:
    """Work as a batch."""
    batch = np.empty(len(works), dtype=object)
    batch[:] = works
    return {"work": batch}
