"""What an image costs at each step of a scan, measured on this machine with the code that the scan runs."""

from __future__ import annotations

import hashlib
import itertools
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ...collection.reading import seen_image
from ...collection.store import SeenImage
from ...core.errors import UnreadableImage
from ...core.gates.gate import Gate, Verdict
from ...core.judging.classifier import Classifier, Prepared
from ...core.judging.judge import Judge, Subject
from ...core.pictures.open import open_image, read_image_file
from ...core.prediction import Answer
from ..sources.item import SourceItem
from .inline import inline
from .planner import BLOCK_DRIVING, BLOCK_OVERHEAD, JOIN, LEAST_BLOCK, STARTUP, Costs, ModelCost, PlanError, reaches

if TYPE_CHECKING:
    from ...core.spec import ModelSpec

T = TypeVar("T")

ROUNDS = 5
"""How often everything is measured, after one warm-up; the median counts."""
PATIENCE = 5.0
"""Seconds after which no new round begins."""
ROWS = 512
"""Rows of the Parquet file on which writing is measured."""


@dataclass(frozen=True)
class MeasuredCosts:
    """Costs, and what they were measured on."""

    costs: Costs
    images: int
    """How many could be read."""
    unread: tuple[str, ...]
    """Why others could not be read."""
    megapixels: float
    """Of an average image."""
    devices: Mapping[str, str]
    """The device each model ran on here; models that did not run are missing."""
    waited: float
    """Wall-clock time of decoding divided by its processor time: above 1, other processes kept the machine busy."""
    asked: Mapping[str, int] = field(default_factory=dict[str, int])
    """How many of the images each model was asked about, if that was measured."""


@dataclass(frozen=True)
class Workload:
    """The scan whose costs are measured."""

    judge: Judge
    gate: Gate
    elsewhere: Mapping[str, float] = field(default_factory=dict[str, float])
    """Seconds that a net takes per image on a GPU of another machine, by model: such a net is not timed here."""
    passes: Mapping[str, float] = field(default_factory=dict[str, float])
    """As in `planner.reaches`."""
    shares: bool = False
    """Whether shares missing from `passes` are measured by applying the gate to the images."""

    @property
    def specs(self) -> list[ModelSpec]:
        """The models as they are asked, cheapest first, without those derived from one asked before."""
        found = (self.judge.registry.spec(model, self.judge.store) for model in self.gate.models)
        asked: list[ModelSpec] = []
        for spec in sorted(found, key=lambda spec: spec.cost):
            if not spec.base or all(one.id != spec.base for one in asked):
                asked.append(spec)
        return asked


def measure_costs(
    workload: Workload, paths: Sequence[Path], say: Callable[[str], None] = lambda _: None
) -> MeasuredCosts:
    """Measures every step on some image files; `say` is called with the name of each next part.

    Raises PlanError, and whatever loading a model raises.
    """
    specs = workload.specs
    say("loading")
    start = perf_counter()
    nets = [workload.judge.classifier(spec.id) for spec in specs]
    startup = STARTUP + perf_counter() - start
    say("reading, decoding, preparing")
    files = _Files(nets, workload.judge.batch)
    for path in paths:
        files.take(path)
    if not files.images:
        raise PlanError(f"No image of the sample can be read. {next(iter(files.unread), '')}")
    say("the nets")
    free = inline(specs)
    models = [_model_cost(net, files, net.spec.id in free, workload.elsewhere.get(net.spec.id)) for net in nets]
    asked = asked_of(workload, files.paths) if workload.shares else {}
    shares = {model: count / len(files.paths) for model, count in asked.items()}
    reach = reaches([spec.id for spec in specs], shares, workload.passes)
    megapixels, size = files.size()
    block = max(LEAST_BLOCK, 2 * workload.judge.batch)
    costs = Costs(
        *(files.mean(part) for part in ("read", "describe", "decode")),
        write=_write_seconds(nets, files.images),
        models=tuple(replace(one, reach=reach[one.model]) for one in models),
        bytes=size,
        overhead=BLOCK_OVERHEAD / block,
        driving=BLOCK_DRIVING / block,
        join=JOIN if any(spec.compare for spec in specs) else 0.0,
        startup=startup,
    )
    ran = {net.spec.id: net.device.type for net in nets if net.spec.id not in workload.elsewhere}
    return MeasuredCosts(costs, len(files.paths), tuple(files.unread), megapixels, ran, files.waited(), asked)


def spent(work: Callable[[], T], rounds: int = ROUNDS) -> tuple[float, float, T]:
    """Median processor seconds of all threads, median wall-clock seconds, and the result of the work."""
    processor: list[float] = []
    clock: list[float] = []
    while True:
        before = process_time(), perf_counter()
        result = work()
        processor.append(process_time() - before[0])
        clock.append(perf_counter() - before[1])
        if len(clock) >= rounds or sum(clock) > PATIENCE:
            return statistics.median(processor), statistics.median(clock), result


class _Files:
    """Takes files one by one through all the work done on processors, and records what it costs."""

    def __init__(self, nets: Sequence[Classifier], batch: int) -> None:
        self.nets = nets
        self.paths: list[Path] = []
        self.images: list[SeenImage] = []
        self.unread: list[str] = []
        self.ready: dict[str, list[Prepared]] = {net.spec.id: [] for net in nets}
        """The views of the first pictures, as many as go through a net at once."""
        self._batch = batch
        self._bytes: list[int] = []
        self._seconds: dict[str, list[float]] = {}
        self._clock: dict[str, list[float]] = {}

    def take(self, path: Path) -> None:
        try:
            data = self._timed("read", lambda: read_image_file(path))
            picture = self._timed("decode", lambda: open_image(data, name=str(path)))
        except UnreadableImage as error:
            self.unread.append(str(error))
            return
        self.images.append(self._timed("describe", lambda: seen_image(hashlib.sha256(data).hexdigest(), data)))
        self.paths.append(path)
        self._bytes.append(len(data))
        for net in self.nets:
            views = self._timed(f"prepare {net.spec.id}", lambda net=net: net.prepare(picture))
            if len(self.ready[net.spec.id]) < self._batch:
                self.ready[net.spec.id].append(views)

    def _timed(self, part: str, work: Callable[[], T]) -> T:
        if part not in self._seconds:
            work()  # the first call is a warm-up
        processor, clock, result = spent(work)
        self._seconds.setdefault(part, []).append(processor)
        self._clock.setdefault(part, []).append(clock)
        return result

    def mean(self, part: str) -> float:
        """Processor seconds of an average file."""
        return statistics.fmean(self._seconds[part])

    def waited(self) -> float:
        """As `MeasuredCosts.waited`."""
        return sum(self._clock["decode"]) / max(sum(self._seconds["decode"]), 1e-9)

    def size(self) -> tuple[float, float]:
        """Megapixels and bytes of an average file."""
        pixels = statistics.fmean(image.width * image.height for image in self.images)
        return pixels / 1e6, statistics.fmean(self._bytes)


def _model_cost(net: Classifier, files: _Files, free: bool, elsewhere: float | None) -> ModelCost:
    """The cost of one net. A net on a GPU of another machine also keeps a core busy: torch waits for a GPU actively."""
    name = net.spec.id
    batch = min(len(files.ready[name]), net.network.batch or len(files.ready[name]))
    ready = files.ready[name][:batch]
    if elsewhere is None:
        net.predict(ready)
        processor, clock, _ = spent(lambda: net.predict(ready))
        on_gpu = net.device.type != "cpu" and not free
        seconds = processor / batch, clock / batch if on_gpu else 0.0
    else:
        seconds = elsewhere, elsewhere
    weights = sum(one.nbytes for one in itertools.chain(net.network.module.parameters(), net.network.module.buffers()))
    views = sum(view.nbytes for view in ready[0])
    return ModelCost(name, files.mean(f"prepare {name}"), *seconds, free, 1.0, weights, views)


def asked_of(workload: Workload, paths: Sequence[Path]) -> dict[str, int]:
    """How many of the images each model is asked about, up to the first model that `passes` gives a share for."""
    subjects = [Subject(lambda path=path: open_image(path), name=str(path)) for path in paths]
    answers: list[dict[str, Answer]] = [{} for _ in subjects]
    asked: dict[str, int] = {}
    models = [spec.id for spec in workload.specs]
    for model in models:
        wanted = [place for place, known in enumerate(answers) if model in workload.gate.decide(known).models]
        asked[model] = len(wanted)
        if model in workload.passes or model == models[-1]:
            break  # no model follows the last one
        found = workload.judge.predict([subjects[place] for place in wanted], model)
        for place, answer in zip(wanted, found, strict=True):
            answers[place][model] = answer
    return asked


def _write_seconds(nets: Sequence[Classifier], images: Sequence[SeenImage]) -> float:
    """Processor seconds to write one image's row, in a file of ROWS."""
    from ..output.output import Output
    from ..output.schema import ImageRow, ModelColumn, to_table

    columns = [ModelColumn(net.spec.id, net.fingerprint, net.labels) for net in nets]
    random = np.random.RandomState(0)
    rows = [
        ImageRow(
            SourceItem(f"s3://bucket/images/{number:09}.png", size=1 << 20, mtime_ns=number),
            images[number % len(images)],
            Verdict("accept", "accept: all that was asked for"),
            answers={net.spec.id: net.prediction(random.rand(len(net.labels)).astype(np.float32)) for net in nets},
        )
        for number in range(ROWS)
    ]
    with tempfile.TemporaryDirectory() as folder:
        output = Output.at(folder)
        output.write_rows(to_table(rows, columns))
        return spent(lambda: output.write_rows(to_table(rows, columns)))[0] / ROWS
