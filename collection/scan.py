"""A scan: many files through the judge, skipping everything that is already known."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import KeepersError, UnreadableImage
from ..core.gates.gate import Gate, Verdict
from ..core.judging.case import Judged, Subject
from ..core.judging.classifier import model_fingerprint
from ..core.judging.judge import Judge
from ..core.judging.near_duplicates import Run
from ..core.metadata.read import read_generation
from ..core.pictures.open import PIXEL_LIMIT, image_size, open_image, read_image_file
from ..core.pictures.walk import Found
from ..core.prediction import Answer, Prediction
from .recall import Predictions, limited, recall
from .reread import known_images
from .store import SeenFile, SeenImage, SeenVerdict, Store
from .unsure import Unsure

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..core.spec import ModelSpec

WINDOW = 16
"""The least number of images judged together; it is two batches if that is more. The next are decoded meanwhile."""

WINDOW_PIXELS = 64_000_000
"""A window ends earlier when its pictures are large: two windows are decoded at a time, and memory stays bounded."""

GIVE_UP = 20
"""This many read errors in a row mean that the disk or the network share is gone."""


@dataclass(frozen=True)
class Scanned:
    """What became of one file."""

    path: Path
    verdict: Verdict
    image: SeenImage
    answers: Mapping[str, Answer] = field(default_factory=dict[str, Answer])
    error: str = ""
    """The code of what made the file unreadable; empty if there was a picture to judge."""
    known: bool = False
    """Whether the verdict was taken from the store."""
    thumbnail: str = ""
    mtime: float = 0.0
    """Seconds since 1970."""


@dataclass(frozen=True)
class ScanPlan:
    """What a scan is going to do, in the order of the files."""

    files: tuple[Found, ...]
    known: Mapping[Path, SeenVerdict]
    """Files whose verdict under this gate is in the store."""

    @property
    def to_scan(self) -> int:
        """How many files have to be opened."""
        return len(self.files) - len(self.known)


@dataclass(frozen=True)
class ScanOptions:
    """How a scan works."""

    everything: bool = False
    """Ask every model of the gate about every image."""
    fresh: bool = False
    """Take nothing from the store."""
    details: bool = False
    """Look up predictions, metadata and thumbnails of files whose verdict is known."""
    thumbnail: Callable[[Image], str] | None = None
    pixel_limit: int = PIXEL_LIMIT
    threads: int = 4


class Scan:
    """Plans, then runs. One scan at a time over one store object."""

    def __init__(
        self, judge: Judge, gate: Gate, store: Store | None = None, options: ScanOptions | None = None
    ) -> None:
        self.judge = judge
        self.gate = gate
        self.store = store
        self.options = options or ScanOptions()
        self._run = Run()
        self._window = window_of(judge.batch)
        self._recalls = self._needs_recall()
        self.fingerprints = self._fingerprints()
        self._base_models = self._base_fingerprints()
        self._exact_basis, self._fast_basis = self._basis(exact=True), self._basis(exact=False)
        self._unsure = Unsure(gate)
        self._distrusted: dict[str, float] = {}
        self.taken_back: list[Path] = []
        """Images judged before a fast number turned out to be further off than stated, whose verdicts hang on it."""

    def _needs_recall(self) -> bool:
        """Whether files with a known verdict still matter: to be shown, or to be recognised as near-duplicates."""
        if self.options.details:
            return True
        return any(spec.compare for model in self.gate.models if (spec := self._spec(model)))

    def _fingerprints(self) -> dict[str, str]:
        """By the gate's models; empty for a model without weights here, whose verdicts are not worth storing."""
        found: dict[str, str] = {}
        for model in self.gate.models:
            spec = self._spec(model)
            found[model] = model_fingerprint(spec, self.judge.store) if spec else ""
        return found

    def _base_fingerprints(self) -> dict[str, str]:
        """Fingerprints of the models from whose stored numbers some of the gate's models derive their own."""
        bases = {spec.base for model in self.gate.models if (spec := self._spec(model)) and spec.base}
        found = {base: model_fingerprint(spec, self.judge.store) for base in bases if (spec := self._spec(base))}
        return {base: fingerprint for base, fingerprint in found.items() if fingerprint}

    def _spec(self, model: str) -> ModelSpec | None:
        try:
            return self.judge.registry.spec(model, self.judge.store)
        except KeepersError:
            return None

    def basis(self, *, exact: bool) -> str:
        """The basis that a verdict of this scan is stored under; `exact`: whether all numbers behind it are exact.

        With the precision "auto", a verdict from exact numbers counts as exact wherever it was found.
        """
        precision = self.judge.runtime.precision
        return self._exact_basis if precision == "exact" or (exact and precision == "auto") else self._fast_basis

    def _serving(self) -> Sequence[str]:
        """The bases under which a stored verdict spares opening the image, the preferred one first.

        With the precision "auto" both are: no verdict depends on it, and only torch knows what "auto" means here.
        """
        either = {"exact": (self._exact_basis,), "fast": (self._fast_basis,)}
        return either.get(self.judge.runtime.precision, (self._exact_basis, self._fast_basis))

    def _basis(self, *, exact: bool) -> str:
        parts = [str(self.gate), f"exact={exact}", f"everything={self.options.everything}"]
        parts += [] if exact else self._drifts()
        parts += [f"{model}={fingerprint}" for model, fingerprint in sorted(self.fingerprints.items())]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def _drifts(self) -> list[str]:
        """What is stated of fast numbers: when that changes, verdicts from them are given anew."""
        specs = [spec for model in self.gate.models if (spec := self._spec(model)) and spec.labels]
        return [f"{spec.id} may drift by {spec.labels().drifts}" for spec in specs if spec.labels]

    def plan(self, files: Iterable[Found]) -> ScanPlan:
        """What has to be opened, and what is known. Raises StoreError."""
        listed = tuple(files)
        if self.store is None or self.options.fresh:
            return ScanPlan(listed, {})
        seen = self.store.files(found.path for found in listed)
        same = {found.path: seen[found.path].content for found in listed if _unchanged(found, seen.get(found.path))}
        verdicts: dict[str, SeenVerdict] = {}
        for basis in self._serving():
            verdicts |= self.store.verdicts(set(same.values()) - verdicts.keys(), basis)
        return ScanPlan(listed, {path: verdicts[content] for path, content in same.items() if content in verdicts})

    def run(self, plan: ScanPlan) -> Generator[Scanned]:
        """One result for each file, in the order of the plan; stored window by window.

        Closing the generator stops cleanly: what was yielded is stored. Raises StoreError, what the runtime raises to
        cancel, and UnreadableImage when nothing can be read any more.
        """
        with ThreadPoolExecutor(self.options.threads, thread_name_prefix="keepers-read") as pool:
            try:
                yield from self._windows_judged(plan, pool)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _windows_judged(self, plan: ScanPlan, pool: ThreadPoolExecutor) -> Iterator[Scanned]:
        windows = self._windows(self._loads(plan, pool))
        nothing: list[_Loaded] = []
        ready = self._subjects(next(windows, nothing), pool)
        while ready:
            following = self._subjects(next(windows, nothing), pool)  # decoded while this window is judged
            yield from self._judged(ready)
            ready = following

    # --- reading -------------------------------------------------------------------------------------------------

    def _loads(self, plan: ScanPlan, pool: ThreadPoolExecutor) -> Iterator[_Loaded]:
        """The plan's files in order, read ahead by one window."""
        ahead: deque[Future[_Loaded]] = deque()
        waiting = iter(plan.files)
        failed_in_a_row = 0
        while True:
            for found in itertools.islice(waiting, self._window - len(ahead)):
                ahead.append(pool.submit(self._load, found, plan.known.get(found.path)))
            if not ahead:
                return
            loaded = ahead.popleft().result()
            failed_in_a_row = failed_in_a_row + 1 if loaded.code == "io" else 0
            if failed_in_a_row >= GIVE_UP:
                detail = (
                    f"{GIVE_UP} files in a row could not be read, so the scan stops: is the disk or share still there?"
                )
                raise UnreadableImage(loaded.found.path, "io", detail)
            yield loaded

    def _load(self, found: Found, known: SeenVerdict | None) -> _Loaded:
        if known is not None:
            return _Loaded(found, known.content, known=known)
        try:
            data = read_image_file(found.path)
        except UnreadableImage as error:
            return _Loaded(found, code=error.code, flaw=str(error))
        content = hashlib.sha256(data).hexdigest()
        return _Loaded(found, content, data, image=seen_image(content, data))

    def _windows(self, loads: Iterator[_Loaded]) -> Iterator[list[_Loaded]]:
        window: list[_Loaded] = []
        pixels = 0
        for loaded in loads:
            window.append(loaded)
            pixels += loaded.image.width * loaded.image.height if loaded.data else 0
            if len(window) >= self._window or pixels >= WINDOW_PIXELS:
                yield window
                window, pixels = [], 0
        if window:
            yield window

    def _subjects(self, window: Sequence[_Loaded], pool: ThreadPoolExecutor) -> list[tuple[_Loaded, Subject]]:
        """What the judge gets; decoding starts for pictures that a model still has to see."""
        known = self._known([one for one in window if one.content and (one.known is None or self._recalls)])
        return [(loaded, self._subject(loaded, known.get(loaded.content, {}), pool)) for loaded in window]

    def _known(self, window: Sequence[_Loaded]) -> Predictions:
        """Stored predictions: with a verdict, as exact as those behind it; else those that this judge may use."""
        if self.store is None or self.options.fresh:
            return {}
        fingerprints = {model: fingerprint for model, fingerprint in self.fingerprints.items() if fingerprint}
        fingerprints |= self._base_models
        found = recall(
            self.store, self.judge.runtime, [one.content for one in window if one.known is None], fingerprints
        )
        for basis in self._serving():
            settled = [one.content for one in window if one.known and one.known.basis == basis]
            found |= self.store.predictions(settled, fingerprints, exact=basis == self._exact_basis)
        if self._base_models:
            self._derive(found)
        return found

    def _derive(self, known: Predictions) -> None:
        """Add what follows from the numbers of other models."""
        for answers in known.values():
            missing = [model for model in self.fingerprints if model not in answers]
            made = {model: self.judge.derive(model, answers) for model in missing}
            answers.update({model: answer for model, answer in made.items() if answer is not None})

    def _subject(self, loaded: _Loaded, known: Mapping[str, Prediction], pool: ThreadPoolExecutor) -> Subject:
        name = str(loaded.found.path)
        if loaded.flaw:
            return Subject(_never, flaw=loaded.flaw, flaw_code=loaded.code, name=name)
        if loaded.known:
            return Subject(_never, known=known, name=name, settled=loaded.known.verdict)
        decided = not self.options.everything and self.gate.decide(known).verdict is not None
        decided = decided or all(model in known for model in self.gate.models)
        if decided and not self.options.thumbnail:
            return Subject(lambda: self._open(loaded), known=known, name=name, content=loaded.content)
        future = pool.submit(self._open, loaded)
        return Subject(future.result, known=known, name=name, content=loaded.content)

    def _open(self, loaded: _Loaded) -> Image:
        picture = open_image(loaded.data, name=str(loaded.found.path), pixel_limit=self.options.pixel_limit)
        loaded.data = b""  # the picture is decoded; its file's bytes can go
        if self.options.thumbnail:
            loaded.thumbnail = self.options.thumbnail(picture)
        return picture

    # --- judging -------------------------------------------------------------------------------------------------

    def _judged(self, window: Sequence[tuple[_Loaded, Subject]]) -> Iterator[Scanned]:
        judged = self.judge.judge(
            [subject for _, subject in window], self.gate, everything=self.options.everything, run=self._run
        )
        results = [(loaded, one) for (loaded, _), one in zip(window, judged, strict=True)]
        self._distrust(results)
        for loaded, one in results:
            loaded.image = replace(loaded.image, notes=tuple(dict.fromkeys((*loaded.image.notes, *one.notes))))
        self._remember(results)
        yield from self._scanned(results)

    def _distrust(self, results: Sequence[tuple[_Loaded, Judged]]) -> None:
        """Take back what was decided before a fast number strayed: the next scan decides it from wider tolerances."""
        new = {m: found for m, found in self.judge.checks.tolerances.items() if self._distrusted.get(m) != found}
        for model, tolerance in new.items():
            if self.store is not None and (fingerprint := self.fingerprints.get(model)):
                self.store.distrust(fingerprint, tolerance, self._fast_basis)
        if new:
            self._distrusted |= new
            self.taken_back += self._unsure.taken_back(new)
        for loaded, judged in results:
            if self._distrusted and loaded.known and loaded.known.basis == self._fast_basis:
                self.taken_back.append(loaded.found.path)  # decided by an earlier scan, from numbers trusted too much
            else:
                self._unsure.remember(loaded.found.path, judged.answers)

    def _remember(self, results: Sequence[tuple[_Loaded, Judged]]) -> None:
        new = [(loaded, judged) for loaded, judged in results if loaded.content and not loaded.known]
        if self.store is None:
            return
        self.store.settle(loaded.content for loaded, _ in results if loaded.known)
        if not new:
            return
        now = time.time()
        self.store.add(
            files=[SeenFile(one.found.path, one.found.size, one.found.mtime_ns, one.content) for one, _ in new],
            images=[loaded.image for loaded, judged in new if judged.fresh or not judged.verdict.judged],
            predictions=[(loaded.content, answer) for loaded, judged in new for answer in judged.fresh.values()],
            verdicts=[self._verdict(loaded, judged, now) for loaded, judged in new],
            thumbnails=[(loaded.content, loaded.thumbnail) for loaded, _ in new if loaded.thumbnail],
        )

    def _verdict(self, loaded: _Loaded, judged: Judged, now: float) -> SeenVerdict:
        verdict, basis = judged.verdict, self.basis(exact=not limited(judged.answers))
        told = verdict.outcome, verdict.reason, judged.error, now, verdict.unjudged
        return SeenVerdict(loaded.content, basis, self.gate.text, *told, final=is_final(judged))

    def _scanned(self, results: Sequence[tuple[_Loaded, Judged]]) -> Iterator[Scanned]:
        known = [loaded.content for loaded, _ in results if loaded.known]
        details = self.options.details and self.store is not None and bool(known)
        images = known_images(self.store, known) if details and self.store else {}
        thumbnails = self.store.thumbnails(known) if details and self.store and self.options.thumbnail else {}
        for loaded, judged in results:
            error = loaded.known.error if loaded.known else loaded.code or judged.error
            yield Scanned(
                path=loaded.found.path,
                verdict=judged.verdict,
                image=images.get(loaded.content, loaded.image),
                answers=judged.answers,
                error=error,
                known=loaded.known is not None,
                thumbnail=thumbnails.get(loaded.content, "") if loaded.known else loaded.thumbnail,
                mtime=loaded.found.mtime_ns / 1e9,
            )


def is_final(judged: Judged) -> bool:
    """Whether the same image would have the same verdict and numbers the next time: not if a model did not answer."""
    answered = all(isinstance(answer, Prediction) for answer in judged.answers.values())
    return judged.verdict.lasts and (bool(judged.error) or answered)


def window_of(batch: int) -> int:
    """How many images are judged together if a net takes batches of this size."""
    return max(WINDOW, 2 * batch)


def seen_image(content: str, data: bytes) -> SeenImage:
    """What a file's header and metadata say about its image; no pixel is decoded."""
    width, height = image_size(data)
    return SeenImage(content, width, height).saying(read_generation(data))


@dataclass
class _Loaded:
    """A file on its way to the judge. Its bytes are dropped as soon as the picture is decoded."""

    found: Found
    content: str = ""
    data: bytes = b""
    image: SeenImage = field(default_factory=lambda: SeenImage(""))
    known: SeenVerdict | None = None
    thumbnail: str = ""
    code: str = ""
    flaw: str = ""


def _unchanged(found: Found, seen: SeenFile | None) -> bool:
    return seen is not None and (seen.size, seen.mtime_ns) == (found.size, found.mtime_ns)


def _never() -> Image:
    raise AssertionError("an image with a known verdict is not opened")
