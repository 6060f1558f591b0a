"""From pictures and a gate to verdicts: cheapest model first, and none that can no longer change the outcome."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol
from weakref import WeakValueDictionary

from ..errors import Cancelled, DownloadFailed, KeepersError, MissingWeights
from ..gates.gate import Gate
from ..prediction import Answer, Failure, Labels, Prediction
from ..runtime import Runtime
from .case import Case, Judged, Subject, predict_each
from .classifier import Classifier, Prepared
from .derive import Derived
from .near_duplicates import Run, Stream
from .netless import Netless
from .spot_checks import SpotChecks

if TYPE_CHECKING:
    from torch import nn

    from ..spec import ModelSpec, Precision
    from ..weights.store import WeightStore


class Registry(Protocol):
    """Where the judge finds models by id."""

    def spec(self, model: str, store: WeightStore) -> ModelSpec:
        """The description of a model or variant. Raises UnknownName."""
        ...


class Judge:
    """Judges images, and keeps the nets it has loaded. One judgement at a time: callers in other threads wait."""

    def __init__(
        self,
        registry: Registry,
        store: WeightStore,
        runtime: Runtime | None = None,
        *,
        batch: int = 8,
        threads: int = min(8, os.cpu_count() or 1),
    ) -> None:
        """`batch` images go through a net at once, while `threads` open and preprocess pictures.

        Threads are enough: Pillow lets other threads run while it decodes and resizes.
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
        self.checks = SpotChecks()
        """What became of fast numbers that were also computed exactly."""

    def classifier(self, model: str, precision: Precision | None = None) -> Classifier:
        """A model, loaded on first use.

        Raises UnknownName, and what Classifier.load raises; a failure to load is remembered until `release`.
        """
        with self._lock:
            wanted = precision or self.runtime.own_precision()
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

    def missing(self, models: Iterable[str]) -> dict[str, KeepersError]:
        """Find the files of models, or download them where that is allowed: those models that lack one, and why.

        To be asked before the first image, so that it does not depend on the images whether a file is missed.
        Raises UnknownName, and what finding and downloading raise besides MissingWeights and DownloadFailed.
        """
        return {model: error for model in models if (error := self._lack(model))}

    def _lack(self, model: str) -> KeepersError | None:
        try:
            for file in self.registry.spec(model, self.store).weights:
                if not file.optional:
                    self.store.path(file, model=model)
        except (MissingWeights, DownloadFailed) as error:
            return error
        return None

    def release(self) -> None:
        """Forget all nets, so that their memory can be freed."""
        with self._lock:
            self._loaded.clear()
            self._failed.clear()
            self._specs.clear()
            self._derived.clear()

    def retry(self) -> None:
        """Forget what was not found or failed to load, so that files added since are found."""
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
        """Refuse a gate with unknown models or labels, or thresholds out of range. Raises GateError."""
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

        Models are asked in order of cost, each only about images whose outcome it can still change; with `everything`,
        every model of the gate is asked about every image. A prediction too imprecise to settle the outcome is made
        again at `exact`, and so is one image in 50: if it strays, the tolerance grows, and what that touches is decided
        again. `run` knows the other images, for the search for near-duplicates; by default, these are all.
        """
        with self._lock:
            cases = [Case(subject, self.checks) for subject in subjects]
            run = Stream() if run is None else run  # an empty one is false
            self._ask_in_turn(cases, gate, everything, run)
            self._spot_check(cases)
            while sum(case.widen() for case in cases):
                self._ask_in_turn(cases, gate, everything, run)
                self._spot_check(cases)
            return [case.judged(gate) for case in cases]

    def predict(
        self, subjects: Sequence[Subject], model: str, near: Callable[[Prediction], bool] | None = None
    ) -> list[Answer]:
        """One model's answer for every subject, in order, at the runtime's precision.

        With `near`, a fast prediction of which it is true is made again exactly: one that is too near a threshold.
        """
        with self._lock:
            cases = [Case(subject, self.checks) for subject in subjects]
            self._ask(model, [case for case in cases if model not in case.answers], None)
            self._spot_check(cases)
            again: Sequence[Case] = cases
            while near and again:
                for case in cases:
                    case.widen()
                again = [case for case in cases if _is_near(case.answers[model], near)]
                self._ask(model, again, "exact")
            for case in cases:
                case.widen()
            self._tell()
            return [case.answers[model] for case in cases]

    def predict_exactly(self, subjects: Sequence[Subject], model: str) -> list[Answer]:
        """As `predict`, at the precision `exact`, whatever the runtime's is."""
        with self._lock:
            cases = [Case(subject) for subject in subjects]
            self._ask(model, cases, "exact")
            return [case.answers[model] for case in cases]

    def derive(self, model: str, answers: Mapping[str, Answer], *, exact: bool = False) -> Prediction | None:
        """The prediction of a model that reads another one's numbers; None if those are not among the answers.

        With `exact`, only exact numbers will do. None also if the model's files are damaged; loading it reports that.
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
        """The model whose numbers this model reads; empty if it looks at pictures itself."""
        spec = self._spec(model)
        return spec.base if spec else ""

    def _ask_in_turn(self, cases: Sequence[Case], gate: Gate, everything: bool, run: Run) -> None:
        by_cost = sorted(gate.models, key=self._cost)
        for place, model in enumerate(by_cost):
            for cheaper in by_cost[:place]:  # a closer look costs less than asking a more expensive model in vain
                near = [case for case in cases if case.wants(model, gate, everything) and case.blurred(cheaper, gate)]
                self._ask(cheaper, near, "exact")
            self._ask(model, [case for case in cases if case.wants(model, gate, everything)], None)
            self._compare(model, cases, run)
        for model in by_cost:
            self._ask(model, [case for case in cases if case.blurred(model, gate)], "exact")

    def _compare(self, model: str, cases: Iterable[Case], run: Run) -> None:
        """Fill in what a model that looks for near-duplicates says of the images of this run."""
        spec = self._spec(model)
        compare = spec.compare if spec else None
        for case in cases if compare else ():
            answer = case.answers.get(model)
            if compare and isinstance(answer, Prediction) and model not in case.compared:
                case.compared.add(model)
                case.answers[model] = compare(answer, run, case.subject.name)

    def _spot_check(self, cases: Sequence[Case]) -> None:
        """Compute some images exactly that were only asked at `fast`; where that fails, the fast answer stays."""
        checked = [case for case in cases if case.coarse and case.checked]
        self._tell()  # of those that were asked again because a threshold is near
        for model in dict.fromkeys(model for case in checked for model in case.coarse):
            mine = [(case, case.answers[model]) for case in checked if model in case.coarse]
            self._ask(model, [case for case, _ in mine], "exact")
            for case, before in mine:
                if isinstance(case.answers[model], Failure):
                    case.answers[model] = before
        self._tell()

    def _tell(self) -> None:
        """Say which fast numbers were further off than stated."""
        while self.checks.untold:
            self.runtime.tell(self.checks.untold.pop(0))

    def _cost(self, model: str) -> float:
        spec = self._spec(model)
        return spec.cost if spec else 0.0

    def _spec(self, model: str) -> ModelSpec | None:
        """A model's description, looked up once, because finding the user's own models means searching folders."""
        if model not in self._specs:
            try:
                self._specs[model] = self.registry.spec(model, self.store)
            except KeepersError:
                self._specs[model] = None
        return self._specs[model]

    def _ask(self, model: str, cases: Sequence[Case], precision: Precision | None) -> None:
        """Fill in the model's answer for every case: a prediction, or the reason why there is none."""
        cases = [case for case in cases if not self._follows(model, case, precision)]
        if not cases:
            return
        if netless := Netless.of(self._spec(model), self.store):
            self._measure(netless, cases)
            return
        try:
            classifier = self.classifier(model, precision)
        except Cancelled:
            raise
        except KeepersError as error:
            for case in cases:
                case.answers[model] = Failure(model, error.code, str(error))
            return
        views = classifier.network.views
        coming = [self._pool.submit(case.prepare, model, views) for case in cases]
        try:
            self._ask_batches(classifier, cases, coming)
        finally:
            for future in coming:
                future.cancel()

    def _measure(self, netless: Netless, cases: Sequence[Case]) -> None:
        """Ask a model without a net, picture by picture in the threads that open them."""
        coming = [self._pool.submit(case.measure, netless) for case in cases]
        try:
            for start in range(0, len(cases), self.batch):
                self.runtime.check()
                for future in coming[start : start + self.batch]:
                    future.result()
                self.runtime.progress(min(start + self.batch, len(cases)), len(cases), netless.spec.id)
        finally:
            for future in coming:
                future.cancel()

    def _follows(self, model: str, case: Case, precision: Precision | None) -> bool:
        """Whether the answer follows from what another model said of this image; it is then filled in."""
        wanted = precision or self.runtime.own_precision() if self.base(model) else "exact"
        answer = self.derive(model, case.answers, exact=wanted == "exact")
        if answer is not None:
            case.receive(answer)
        return answer is not None

    def _ask_batches(
        self, classifier: Classifier, cases: Sequence[Case], coming: Sequence[Future[Prepared | None]]
    ) -> None:
        size = min(self.batch, classifier.network.batch or self.batch)
        for start in range(0, len(cases), size):
            self.runtime.check()
            batch = zip(cases[start : start + size], coming[start : start + size], strict=True)
            ready = [(case, prepared) for case, future in batch if (prepared := future.result()) is not None]
            for (case, _), answer in zip(ready, predict_each(classifier, [p for _, p in ready]), strict=True):
                case.receive(answer)
            self.runtime.progress(min(start + size, len(cases)), len(cases), classifier.spec.id)


def _is_near(answer: Answer, near: Callable[[Prediction], bool]) -> bool:
    return isinstance(answer, Prediction) and answer.tolerance > 0 and near(answer)
