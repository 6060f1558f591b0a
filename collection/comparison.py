"""The near-duplicates of a scan, found before anything is judged, so that every verdict knows its whole set.

Each file is looked at once: what the store does not know yet is read, measured and stored, window by window, so that an
interrupted scan goes on here too. Of each image only its fingerprint and what decides between near-duplicates stay in
memory, a few hundred bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..core.judging.better import KeepDuplicate, Merits, is_intermediate
from ..core.judging.case import Subject
from ..core.judging.judge import Judge
from ..core.judging.near_duplicates import Numbers, Settled, comparable, fingerprint, settle
from ..core.pictures.open import PIXEL_LIMIT
from ..core.pictures.phash import FINGERPRINT_WORDS
from ..core.pictures.walk import Found
from ..core.prediction import Prediction
from .reading import Loaded, load, opened, read_ahead, window_of, windows
from .store import CHUNK, SeenFile, SeenImage, Store

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..core.judging.alike import Words


@dataclass(frozen=True)
class Member:
    """One file of the set."""

    found: Found
    """Where it is now."""
    content: str
    pixels: int
    quality: int
    words: Words | None
    """[1, FINGERPRINT_WORDS]; None for a failed picture, which is not compared."""
    prediction: Prediction | None = None
    """Where no store keeps it."""
    notes: tuple[str, ...] = ()
    """What decoding it has shown, where no store keeps it."""


@dataclass
class Comparison:
    """The set of one scan. It may grow: a folder that is watched does."""

    judge: Judge
    model: str
    """The one that looks for near-duplicates."""
    fingerprint: str
    store: Store | None = None
    fresh: bool = False
    """Measure again, whatever the store knows."""
    pixel_limit: int = PIXEL_LIMIT
    thumbnail: Callable[[Image], str] | None = None
    keep: KeepDuplicate = "largest"
    members: dict[str, Member] = field(default_factory=dict[str, Member])
    """By name: the path under which a file is scanned, wherever it is now."""
    settled: Settled = field(default_factory=lambda: Settled({}))

    def look(self, files: Mapping[str, Found], pool: ThreadPoolExecutor, tell: Callable[[int, int], None]) -> None:
        """Add files by name, and tell how many of how many were looked at.

        Raises StoreError, what the runtime raises to cancel, and UnreadableImage as a scan does.
        """
        waiting = iter(files.items())
        done = 0
        while part := dict(islice(waiting, CHUNK)):
            new = {name: found for name, found in part.items() if not self._has(name, found)}
            lacking = new if self.fresh else self._recall(new)
            done += len(part) - len(lacking)
            names = {found.path: name for name, found in lacking.items()}
            loads = read_ahead(lacking.values(), load, pool, window_of(self.judge.batch))
            for window in windows(loads, window_of(self.judge.batch)):
                self._measure(window, names)
                done += len(window)
                tell(done, len(files))

    def _has(self, name: str, found: Found) -> bool:
        known = self.members.get(name)
        return known is not None and (known.found.size, known.found.mtime_ns) == (found.size, found.mtime_ns)

    def _recall(self, files: Mapping[str, Found]) -> dict[str, Found]:
        """Take what the store knows; returns the others."""
        if self.store is None:
            return dict(files)
        seen = self.store.files(map(Path, files))
        same = {
            name: (found, one.content)
            for name, found in files.items()
            if (one := seen.get(Path(name))) and one.is_still(found)
        }
        self.recall(self.store, same)
        return {name: found for name, found in files.items() if not self._has(name, found)}

    def recall(self, store: Store, files: Mapping[str, tuple[Found, str]]) -> None:
        """Add those files, by name and with their contents, of which the store knows enough. Raises StoreError."""
        contents = {content for _, content in files.values()}
        images, answers = store.images(contents), self._predictions(contents)
        for name, (found, content) in files.items():
            if content in images and content in answers:
                self._add(name, found, images[content], answers[content])

    def _predictions(self, contents: Iterable[str]) -> dict[str, Prediction]:
        if self.store is None or not self.fingerprint:
            return {}
        found = self.store.predictions(contents, {self.model: self.fingerprint}, exact=True)
        return {content: answers[self.model] for content, answers in found.items()}

    def _measure(self, window: Sequence[Loaded], names: Mapping[Path, str]) -> None:
        readable = [loaded for loaded in window if not loaded.flaw]
        known = {} if self.fresh else self._predictions(loaded.content for loaded in readable)
        subjects = [self._subject(loaded, known.get(loaded.content)) for loaded in readable]
        answers = self.judge.predict(subjects, self.model)
        done = [(loaded, a) for loaded, a in zip(readable, answers, strict=True) if isinstance(a, Prediction)]
        for loaded, answer in done:
            self._add(names[loaded.found.path], loaded.found, loaded.image, answer)
        if self.store and done:
            files = [(Path(names[one.found.path]), one) for one, _ in done]
            self.store.add(
                files=[SeenFile(path, one.found.size, one.found.mtime_ns, one.content) for path, one in files],
                images=[loaded.image for loaded, answer in done if known.get(loaded.content) is not answer],
                predictions=[(one.content, answer) for one, answer in done if known.get(one.content) is not answer],
                thumbnails=[(loaded.content, loaded.thumbnail) for loaded, _ in done if loaded.thumbnail],
            )

    def _subject(self, loaded: Loaded, known: Prediction | None) -> Subject:
        open_it = partial(opened, loaded, self.pixel_limit, self.thumbnail)
        return Subject(open_it, {self.model: known} if known else {}, name=str(loaded.found.path))

    def _add(self, name: str, found: Found, image: SeenImage, answer: Prediction) -> None:
        words = fingerprint(answer) if comparable(answer) else None
        kept = (None, ()) if self.store else (answer, image.notes)
        self.members[name] = Member(found, image.content, image.width * image.height, image.quality, words, *kept)

    def settle(self, numbers: Callable[[Sequence[Member]], list[float]] = lambda some: [math.nan] * len(some)) -> None:
        """Compare all members, and remember the result in `settled`.

        `numbers` is asked what the gate reads of some of them, if the best by that are to be kept.
        """
        compared = [(name, one, one.words) for name, one in self.members.items() if one.words is not None]
        compared.sort(key=lambda each: Path(each[0]).parts)
        merits = Merits(
            np.array([one.pixels for _, one, _ in compared], dtype=np.int64),
            np.array([one.quality for _, one, _ in compared], dtype=np.int16),
            np.array([is_intermediate(name) for name, _, _ in compared], dtype=np.bool_),
            np.array([one.found.mtime_ns for _, one, _ in compared], dtype=np.int64),
        )
        words = np.concatenate([np.zeros((0, FINGERPRINT_WORDS), np.uint16), *(words for _, _, words in compared)])
        asked: Numbers = lambda places: np.array(numbers([compared[place][1] for place in places]), dtype=np.float64)  # noqa: E731
        self.settled = settle([name for name, _, _ in compared], words, merits, self.keep, asked)

    def kept_instead(self, name: str) -> tuple[str, str]:
        """Name and content of the image that is kept in the place of this one; empty if this one is kept."""
        twin = self.settled.found.get(name)
        kept = twin.twins.kept if twin else ""
        return kept, self.members[kept].content if kept else ""
