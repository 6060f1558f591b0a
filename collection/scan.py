"""A scan: many files through the judge, skipping everything that is already known."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import KeepersError, one_line
from ..core.gates.gate import Gate, Verdict
from ..core.gates.number import gate_number
from ..core.judging.better import KeepDuplicate
from ..core.judging.case import Judged, Subject
from ..core.judging.classifier import model_fingerprint
from ..core.judging.judge import Judge
from ..core.judging.near_duplicates import Settled, with_duplicate
from ..core.pictures.open import PIXEL_LIMIT
from ..core.pictures.walk import Found
from ..core.prediction import Answer, Prediction
from .comparison import Comparison, Member
from .reading import Loaded, load, opened, read_ahead, window_of, windows
from .recall import Predictions, limited, recall
from .reread import known_images
from .store import SeenFile, SeenImage, SeenVerdict, Store
from .unsure import Unsure

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..core.spec import ModelSpec


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
    keep: KeepDuplicate = "largest"
    """Which of near-duplicates is kept."""


class Scan:
    """Plans, then runs. One scan at a time over one store object."""

    def __init__(
        self, judge: Judge, gate: Gate, store: Store | None = None, options: ScanOptions | None = None
    ) -> None:
        self.judge = judge
        self.gate = gate
        self.store = store
        self.options = options or ScanOptions()
        self._window = window_of(judge.batch)
        self._recalls = self._needs_recall()
        self.fingerprints = self._fingerprints()
        self._base_models = self._base_fingerprints()
        self._exact_basis, self._fast_basis = self._basis(exact=True), self._basis(exact=False)
        self._unsure = Unsure(gate)
        self._distrusted: dict[str, float] = {}
        self.taken_back: list[Path] = []
        """Images judged before a fast number turned out to be further off than stated, whose verdicts hang on it."""
        self.comparison = self._comparison()
        self.looking: Callable[[int, int], None] = lambda done, total: None  # noqa: ARG005
        """Told how many of how many files were looked at for near-duplicates, before the first verdict."""
        self._told: set[str] = set()
        """The names of the files that got a result and may get another one."""

    def _needs_recall(self) -> bool:
        """Whether files with a known verdict still matter: to be shown, or to be recognised as near-duplicates."""
        if self.options.details:
            return True
        return bool(self._comparing())

    def _comparing(self) -> str:
        """The gate's model that looks for near-duplicates; empty without one."""
        return next((model for model in self.gate.models if (spec := self._spec(model)) and spec.compare), "")

    def _comparison(self) -> Comparison | None:
        if not (model := self._comparing()):
            return None
        options = self.options
        return Comparison(
            self.judge,
            model,
            self.fingerprints[model],
            self.store,
            options.fresh,
            options.pixel_limit,
            options.thumbnail if self.store else None,
            options.keep,
        )

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
        same = {found.path: was.content for found in listed if (was := seen.get(found.path)) and was.is_still(found)}
        verdicts: dict[str, SeenVerdict] = {}
        for basis in self._serving():
            verdicts |= self.store.verdicts(set(same.values()) - verdicts.keys(), basis)
        return ScanPlan(listed, {path: verdicts[content] for path, content in same.items() if content in verdicts})

    def run(self, plan: ScanPlan, others: Mapping[str, Found] | None = None) -> Generator[Scanned]:
        """One result for each file, in the order of the plan; stored window by window.

        If the gate asks for near-duplicates, all files are looked at first. `others` are compared too, without getting
        a result: files that were sorted away, by the path under which they were scanned. The files of earlier plans
        count as well; those whose verdict changes with the new ones get a result again, at the end.

        Closing the generator stops cleanly: what was yielded is stored. Raises StoreError, what the runtime raises to
        cancel, and UnreadableImage when nothing can be read any more.
        """
        with ThreadPoolExecutor(self.options.threads, thread_name_prefix="keepers-read") as pool:
            try:
                changed = self._compare(plan, others or {}, pool)
                yield from self._windows_judged(plan, pool)
                if changed:
                    yield from self._windows_judged(ScanPlan(tuple(changed), {}), pool)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _compare(self, plan: ScanPlan, others: Mapping[str, Found], pool: ThreadPoolExecutor) -> list[Found]:
        """Find the near-duplicates; returns files of earlier plans for which another image is kept now."""
        if self.comparison is None:
            return []
        files = {**others, **{str(found.path): found for found in plan.files}}
        earlier = {name: self.comparison.kept_instead(name) for name in self._told - files.keys()}
        self.comparison.look(files, pool, self.looking)
        self.comparison.settle(self._numbers)
        self._told |= {str(found.path) for found in plan.files} & self.comparison.members.keys()
        changed = [name for name, kept in earlier.items() if self.comparison.kept_instead(name) != kept]
        return [replace(self.comparison.members[name].found, path=Path(name)) for name in sorted(changed)]

    def moved(self, name: Path, target: Path) -> None:
        """A file that got a result under the path `name` is elsewhere now; it is still compared."""
        members = self.comparison.members if self.comparison else {}
        called = str(name)
        if called not in members:  # it was moved before
            called = next((one for one, member in members.items() if member.found.path == name), "")
        if called:
            member = members[called]
            members[called] = replace(member, found=replace(member.found, path=target))

    def _numbers(self, members: Sequence[Member]) -> list[float]:
        """What the gate reads of images as if they had no near-duplicates; NaN where it is decided without."""
        found = gate_number(self.gate)
        numbers: list[float] = []
        for start in range(0, len(members), self._window):
            loaded = [
                Loaded(one.found, one.content, pixels=one.pixels) for one in members[start : start + self._window]
            ]
            known = self._known(loaded)
            subjects = [Subject(lambda one=one: self._open(one), known.get(one.content, {})) for one in loaded]
            judged = self.judge.judge(subjects, self.gate, everything=self.options.everything, run=Settled({}))
            both = list(zip(loaded, judged, strict=True))
            if self.store:
                self.store.add(predictions=[(one.content, a) for one, done in both for a in done.fresh.values()])
            numbers += [found.of(done.answers) if found else math.nan for _, done in both]
        return numbers

    def _windows_judged(self, plan: ScanPlan, pool: ThreadPoolExecutor) -> Iterator[Scanned]:
        loads = read_ahead(plan.files, lambda found: self._load(found, plan.known.get(found.path)), pool, self._window)
        waiting = windows(loads, self._window)
        nothing: list[Loaded] = []
        ready = self._subjects(next(waiting, nothing), pool)
        while ready:
            following = self._subjects(next(waiting, nothing), pool)  # decoded while this window is judged
            yield from self._judged(ready)
            ready = following

    # --- reading -------------------------------------------------------------------------------------------------

    def _load(self, found: Found, known: SeenVerdict | None) -> Loaded:
        """A file with its known verdict, with its known content, or with its bytes."""
        if known is not None and self._stands(known, str(found.path)):
            return Loaded(found, known.content, known=known)
        member = self.comparison.members.get(str(found.path)) if self.comparison else None
        if member is not None and self.store:
            return Loaded(member.found, member.content, pixels=member.pixels, called=str(found.path))
        loaded = load(member.found if member else found)
        if member is not None:
            loaded.called = str(found.path)
            loaded.image = replace(loaded.image, notes=member.notes or loaded.image.notes)
        return loaded

    def _stands(self, known: SeenVerdict, name: str) -> bool:
        """Whether a verdict still holds: it depends on which image is kept, and names that one."""
        kept, content = self.comparison.kept_instead(name) if self.comparison else ("", "")
        return known.duplicate_of == content and (not kept or one_line(kept) in known.reason)

    def _subjects(self, window: Sequence[Loaded], pool: ThreadPoolExecutor) -> list[tuple[Loaded, Subject]]:
        """What the judge gets; decoding starts for pictures that a model still has to see."""
        known = self._known([one for one in window if one.content and (one.known is None or self._recalls)])
        self._fill_in([one for one in window if one.content and not one.known and not one.data])
        return [(loaded, self._subject(loaded, known.get(loaded.content, {}), pool)) for loaded in window]

    def _fill_in(self, window: Sequence[Loaded]) -> None:
        """What the store keeps of images that were looked at before."""
        contents = [one.content for one in window]
        if self.store is None or not contents:
            return
        images = known_images(self.store, contents)
        thumbnails = self.store.thumbnails(contents) if self.options.thumbnail else {}
        for loaded in window:
            loaded.image = images.get(loaded.content, loaded.image)
            loaded.thumbnail = thumbnails.get(loaded.content, "")

    def _known(self, window: Sequence[Loaded]) -> Predictions:
        """Stored predictions: with a verdict, as exact as those behind it; else those that this judge may use."""
        if self.store is None:
            held = self.comparison.members if self.comparison else {}
            members = [held[one.name] for one in window if one.name in held]
            return {one.content: {one.prediction.model: one.prediction} for one in members if one.prediction}
        fingerprints = {model: fingerprint for model, fingerprint in self.fingerprints.items() if fingerprint}
        fingerprints |= self._base_models
        if self.options.fresh:  # only what this scan has just measured
            mine = self.comparison.model if self.comparison else ""
            fingerprints = {model: one for model, one in fingerprints.items() if model == mine}
        unknown = [one.content for one in window if one.known is None]
        found = recall(self.store, self.judge.runtime, unknown, fingerprints)
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

    def _subject(self, loaded: Loaded, known: Mapping[str, Prediction], pool: ThreadPoolExecutor) -> Subject:
        if loaded.flaw:
            return Subject(_never, flaw=loaded.flaw, flaw_code=loaded.code, name=loaded.name)
        known = self._with_twins(known, loaded.name)
        if loaded.known:
            return Subject(_never, known=known, name=loaded.name, settled=loaded.known.verdict)
        decided = not self.options.everything and self.gate.decide(known).verdict is not None
        decided = decided or all(model in known for model in self.gate.models)
        if decided and (loaded.thumbnail or not self.options.thumbnail):
            return Subject(lambda: self._open(loaded), known=known, name=loaded.name, content=loaded.content)
        future = pool.submit(self._open, loaded)
        return Subject(future.result, known=known, name=loaded.name, content=loaded.content)

    def _with_twins(self, known: Mapping[str, Prediction], name: str) -> Mapping[str, Prediction]:
        """What is known of an image, and of its near-duplicates: a duplicate may need no further look."""
        model = self.comparison.model if self.comparison else ""
        return {**known, model: with_duplicate(known[model], self._settled(), name)} if model in known else known

    def _settled(self) -> Settled:
        return self.comparison.settled if self.comparison else Settled({})

    def _open(self, loaded: Loaded) -> Image:
        return opened(loaded, self.options.pixel_limit, None if loaded.thumbnail else self.options.thumbnail)

    # --- judging -------------------------------------------------------------------------------------------------

    def _judged(self, window: Sequence[tuple[Loaded, Subject]]) -> Iterator[Scanned]:
        judged = self.judge.judge(
            [subject for _, subject in window], self.gate, everything=self.options.everything, run=self._settled()
        )
        results = [(loaded, one) for (loaded, _), one in zip(window, judged, strict=True)]
        self._distrust(results)
        for loaded, one in results:
            loaded.image = replace(loaded.image, notes=tuple(dict.fromkeys((*loaded.image.notes, *one.notes))))
        self._remember(results)
        yield from self._scanned(results)

    def _distrust(self, results: Sequence[tuple[Loaded, Judged]]) -> None:
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

    def _remember(self, results: Sequence[tuple[Loaded, Judged]]) -> None:
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
            verdicts=[one for each in new if not (one := self._verdict(*each, now)).of_a_copy],
            thumbnails=[(loaded.content, loaded.thumbnail) for loaded, _ in new if loaded.thumbnail],
        )

    def _verdict(self, loaded: Loaded, judged: Judged, now: float) -> SeenVerdict:
        verdict, basis = judged.verdict, self.basis(exact=not limited(judged.answers))
        told = verdict.outcome, verdict.reason, judged.error, now, verdict.unjudged
        _, kept = self.comparison.kept_instead(loaded.name) if self.comparison else ("", "")
        return SeenVerdict(loaded.content, basis, self.gate.text, *told, final=is_final(judged), duplicate_of=kept)

    def _scanned(self, results: Sequence[tuple[Loaded, Judged]]) -> Iterator[Scanned]:
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


def _never() -> Image:
    raise AssertionError("an image with a known verdict is not opened")
