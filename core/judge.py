"""From pictures and a gate to verdicts: the cheapest model first, and none that can no longer change the outcome."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from weakref import WeakValueDictionary

from .classifier import Classifier, Prepared
from .derive import Derived
from .errors import Cancelled, KeepersError, one_line
from .gate import Gate, Verdict
from .near_duplicates import Run
from .prediction import Answer, Failure, Labels, Prediction
from .runtime import Runtime

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor, nn

    from .spec import ModelSpec, Precision, View
    from .weights import WeightStore


class Registry(Protocol):
    """Where the judge finds models by id."""

    def spec(self, model: str, store: WeightStore) -> ModelSpec:
        """The description of a model or variant. Raises UnknownName."""
        ...


@dataclass(frozen=True)
class Subject:
    """One image to be judged."""

    open: Callable[[], Image]
    """Gives the picture; called at most once for a judgement, and not at all when `known` suffices."""
    known: Mapping[str, Prediction] = field(default_factory=dict[str, Prediction])
    """Predictions made earlier, by model id."""
    flaw: str = ""
    """Why the image cannot be judged whatever a model says (NaN in its pixels): the verdict is then review."""
    name: str = ""
    """How duplicates of it call it."""
    settled: Verdict | None = None
    """A verdict that stands already: no model is asked, but the search for near-duplicates still sees the image."""


@dataclass(frozen=True)
class Judged:
    """What became of one image."""

    verdict: Verdict
    answers: Mapping[str, Answer]
    """By model id; only models that were asked or known."""
    fresh: Mapping[str, Prediction] = field(default_factory=dict[str, Prediction])
    """The predictions that were made now, without what depends on the other images of this run: fit to be stored."""
    notes: tuple[str, ...] = ()
    """What is worth knowing of the file ("first of 3 frames")."""
    error: str = ""
    """The code of what made the image itself unreadable; empty where a picture was there to judge."""


class Judge:
    """Keeps the nets it has loaded, and judges. One judgement at a time: callers in other threads wait."""

    def __init__(
        self,
        registry: Registry,
        store: WeightStore,
        runtime: Runtime | None = None,
        *,
        batch: int = 8,
        threads: int = min(8, os.cpu_count() or 1),
    ) -> None:
        """`batch` images go through a net at once; `threads` open and preprocess pictures meanwhile.

        Threads suffice: Pillow lets other threads run while it decodes and resizes.
        """
        self.registry = registry
        self.store = store
        self.runtime = runtime or Runtime()
        self.batch = batch
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="keepers-prepare")
        self._lock = threading.RLock()
        self._loaded: dict[tuple[str, Precision], Classifier] = {}
        self._failed: dict[tuple[str, Precision], KeepersError] = {}
        self._shared: WeakValueDictionary[str, nn.Module] = WeakValueDictionary()
        self._specs: dict[str, ModelSpec | None] = {}
        self._derived: dict[str, Derived | None] = {}

    def classifier(self, model: str, precision: Precision | None = None) -> Classifier:
        """A model, loaded on first use.

        Raises UnknownName, and what Classifier.load raises; a failure to load is remembered until `release`.
        """
        with self._lock:
            wanted = precision or self.runtime.resolve(self.runtime.torch_device())
            key = (model, wanted)
            if key in self._failed:
                raise self._failed[key]
            if key not in self._loaded:
                try:
                    spec = self.registry.spec(model, self.store)
                    self._loaded[key] = Classifier.load(spec, self.store, self.runtime, wanted, self._share)
                except Cancelled:
                    raise
                except KeepersError as error:
                    self._failed[key] = error
                    raise
            return self._loaded[key]

    def release(self) -> None:
        """Forget all nets, so that their memory can go."""
        with self._lock:
            self._loaded.clear()
            self._failed.clear()
            self._specs.clear()
            self._derived.clear()

    def retry(self) -> None:
        """Forget what was not found and what failed to load, so that a file that was added since is found."""
        with self._lock:
            self._failed.clear()
            self._specs.clear()
            self._derived = {model: found for model, found in self._derived.items() if found is not None}

    def _share(self, key: str, make: Callable[[], nn.Module]) -> nn.Module:
        module = self._shared.get(key)
        if module is None:
            module = make()
            self._shared[key] = module
        return module

    def check(self, gate: Gate) -> None:
        """Refuse a gate that names models, labels or thresholds that do not exist. Raises GateError."""
        gate.check(self._labels)

    def _labels(self, model: str) -> Labels | None:
        spec = self.registry.spec(model, self.store)
        for (loaded, _), classifier in self._loaded.items():
            if loaded == model:
                return classifier.labels
        return spec.labels() if spec.labels else None

    def judge(
        self, subjects: Sequence[Subject], gate: Gate, *, everything: bool = False, run: Run | None = None
    ) -> list[Judged]:
        """A verdict for every subject, in order.

        Models are asked in order of cost, each only about the images that it can still decide; with `everything`,
        every model of the gate is asked about every image. A prediction of limited precision that leaves the outcome
        open is made again at `exact`. `run` remembers earlier images, for the search for near-duplicates.
        """
        with self._lock:
            cases = [_Case(subject) for subject in subjects]
            self._ask_in_turn(cases, gate, everything, Run() if run is None else run)  # an empty Run is false
            return [case.judged(gate) for case in cases]

    def predict(self, subjects: Sequence[Subject], model: str) -> list[Answer]:
        """What one model says of every subject, in order, at the runtime's precision."""
        with self._lock:
            cases = [_Case(subject) for subject in subjects]
            self._ask(model, [case for case in cases if model not in case.answers], None)
            return [case.answers[model] for case in cases]

    def derive(self, model: str, answers: Mapping[str, Answer], *, exact: bool = False) -> Prediction | None:
        """What a model that reads another one's numbers makes of them; None where they are not among the answers.

        With `exact`, only exact numbers serve. A model whose files are damaged is left to be loaded, which says so.
        """
        spec = self._spec(model)
        base = answers.get(spec.base) if spec and spec.base else None
        if spec is None or not isinstance(base, Prediction) or (exact and base.tolerance):
            return None
        with self._lock:
            if model not in self._derived:
                try:
                    self._derived[model] = Derived.load(spec, self.store, self.runtime)
                except KeepersError:
                    self._derived[model] = None
            derived = self._derived[model]
        return derived(base) if derived else None

    def base(self, model: str) -> str:
        """The model whose numbers are all that a model reads; empty for one that looks at pictures itself."""
        spec = self._spec(model)
        return spec.base if spec else ""

    def _ask_in_turn(self, cases: Sequence[_Case], gate: Gate, everything: bool, run: Run) -> None:
        by_cost = sorted(gate.models, key=self._cost)
        for place, model in enumerate(by_cost):
            for cheaper in by_cost[:place]:  # a closer look costs less than asking a dearer model in vain
                near = [case for case in cases if case.wants(model, gate, everything) and case.blurred(cheaper, gate)]
                self._ask(cheaper, near, "exact")
            self._ask(model, [case for case in cases if case.wants(model, gate, everything)], None)
            self._compare(model, cases, run)
        for model in by_cost:
            self._ask(model, [case for case in cases if case.blurred(model, gate)], "exact")

    def _compare(self, model: str, cases: Iterable[_Case], run: Run) -> None:
        """Let a model that looks for near-duplicates see the images of this run in their order."""
        spec = self._spec(model)
        compare = spec.compare if spec else None
        for case in cases if compare else ():
            answer = case.answers.get(model)
            if compare and isinstance(answer, Prediction):
                case.answers[model] = compare(answer, run, case.subject.name)

    def _cost(self, model: str) -> float:
        spec = self._spec(model)
        return spec.cost if spec else 0.0

    def _spec(self, model: str) -> ModelSpec | None:
        """A model's description, looked up once: finding what the user made means looking into folders."""
        if model not in self._specs:
            try:
                self._specs[model] = self.registry.spec(model, self.store)
            except KeepersError:
                self._specs[model] = None
        return self._specs[model]

    def _ask(self, model: str, cases: Sequence[_Case], precision: Precision | None) -> None:
        """Fill in the model's answer for every case: a prediction, or the reason why there is none."""
        cases = [case for case in cases if not self._follows(model, case, precision)]
        if not cases:
            return
        try:
            classifier = self.classifier(model, precision)
        except Cancelled:
            raise
        except KeepersError as error:
            for case in cases:
                case.answers[model] = Failure(model, error.code, str(error))
            return
        coming = [self._pool.submit(case.prepare, classifier) for case in cases]
        try:
            self._ask_batches(classifier, cases, coming)
        finally:
            for future in coming:
                future.cancel()

    def _follows(self, model: str, case: _Case, precision: Precision | None) -> bool:
        """Whether the answer follows from what another model said of this image; it is then filled in."""
        wanted = precision or self.runtime.resolve(self.runtime.torch_device()) if self.base(model) else "exact"
        answer = self.derive(model, case.answers, exact=wanted == "exact")
        if answer is not None:
            case.receive(answer)
        return answer is not None

    def _ask_batches(
        self, classifier: Classifier, cases: Sequence[_Case], coming: Sequence[Future[Prepared | None]]
    ) -> None:
        size = min(self.batch, classifier.network.batch or self.batch)
        for start in range(0, len(cases), size):
            self.runtime.check()
            batch = zip(cases[start : start + size], coming[start : start + size], strict=True)
            ready = [(case, prepared) for case, future in batch if (prepared := future.result()) is not None]
            for (case, _), answer in zip(ready, self._predict(classifier, [p for _, p in ready]), strict=True):
                case.receive(answer)
            self.runtime.progress(min(start + size, len(cases)), len(cases), classifier.spec.id)

    def _predict(self, classifier: Classifier, prepared: Sequence[Prepared]) -> Sequence[Answer]:
        """Never raises: what a net cannot do becomes a Failure, image by image."""
        try:
            return classifier.predict(prepared)
        except Exception as error:  # out of memory, a lost device, an odd shape: each image by itself, then its reason
            if len(prepared) == 1:
                return [_failed(classifier.spec.id, error)]
            return [answer for one in prepared for answer in self._predict(classifier, [one])]


class _Case:
    """A subject on its way to a verdict."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.answers: dict[str, Answer] = dict(subject.known)
        self.fresh: dict[str, Prediction] = {}
        self.notes: tuple[str, ...] = ()
        self.flaw = subject.flaw
        self.error = "non_finite" if subject.flaw else ""
        self._image: Image | None = None
        self._views: dict[View, Tensor] = {}

    def wants(self, model: str, gate: Gate, everything: bool) -> bool:
        if model in self.answers or self.subject.settled:
            return False
        return not self.flaw and (everything or model in gate.decide(self.answers).models)

    def blurred(self, model: str, gate: Gate) -> bool:
        return not self.flaw and not self.subject.settled and model in gate.decide(self.answers).blurred

    def prepare(self, classifier: Classifier) -> Prepared | None:
        """The model's views of the picture, computed once; where that fails, the reason becomes the model's answer."""
        model = classifier.spec.id
        if not self._opened():
            self.answers[model] = Failure(model, self.error, self.flaw)
            return None
        assert self._image is not None
        try:
            for view in classifier.network.views:
                if view not in self._views:
                    self._views[view] = view(self._image)
        except Exception as error:  # whatever breaks a view, the image goes to review, and the others go on
            self.answers[model] = _failed(model, error)
            return None
        return classifier.prepare(self._image, self._views)

    def _opened(self) -> bool:
        if self._image is None and not self.flaw:
            try:
                self._image = self.subject.open()
                self.notes = tuple(self._image.info.get("keepers_notes", ()))
            except Exception as error:  # as above
                known = isinstance(error, KeepersError)
                self.flaw = str(error) if known else f"it cannot be opened ({_say(error)})"
                self.error = error.code if known else "io"
        return not self.flaw

    def receive(self, answer: Answer) -> None:
        self.answers[answer.model] = answer
        if isinstance(answer, Prediction):
            self.fresh[answer.model] = answer

    def judged(self, gate: Gate) -> Judged:
        return Judged(self._verdict(gate), self.answers, self.fresh, self.notes, self.error)

    def _verdict(self, gate: Gate) -> Verdict:
        if self.subject.settled:
            return self.subject.settled
        if self.flaw:
            return Verdict("review", f"review: {self.flaw}")
        verdict = gate.decide(self.answers).verdict
        assert verdict is not None, "every model was asked"
        return verdict


def _failed(model: str, error: Exception) -> Failure:
    if isinstance(error, KeepersError):
        return Failure(model, error.code, str(error))
    return Failure(model, "model_failed", _say(error))


def _say(error: Exception) -> str:
    return one_line(f"{type(error).__name__}: {error}")[:300]
