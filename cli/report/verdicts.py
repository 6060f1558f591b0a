"""The verdict on every file in the store: the latest one, or that of a gate over the stored predictions."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from ...collection.comparison import Comparison
from ...collection.store import CHUNK, SeenVerdict, Store
from ...core.errors import GateError, KeepersError
from ...core.gates.gate import Gate, Verdict
from ...core.judging.classifier import model_fingerprint
from ...core.judging.judge import Judge
from ...core.judging.near_duplicates import with_duplicate
from ...core.pictures.walk import Found
from ...core.prediction import Answer, Prediction

CHANGED, UNKNOWN = "changed since they were scanned", "not scanned yet"


class Judged(NamedTuple):
    """A file with its verdict."""

    found: Found
    content: str
    verdict: Verdict
    error: str
    compared: Mapping[str, Prediction]
    """Predictions that depend on the other files: near-duplicates."""


@dataclass(frozen=True)
class Verdicts:
    """Goes through files in order, without opening any."""

    store: Store
    judge: Judge
    gate: Gate | None
    """None stands for the verdict that was given last."""
    left_out: Counter[str] = field(default_factory=Counter[str])
    """How many files have no verdict, by the reason."""
    gates: Counter[str] = field(default_factory=Counter[str])
    """How many of the latest verdicts each gate gave."""
    passing: Counter[str] = field(default_factory=Counter[str])
    """How many of the verdicts shown do not stand, by gate: the next scan looks again."""
    _comparisons: dict[str, Comparison] = field(default_factory=dict[str, Comparison])
    """By model."""

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """For every model in the store: the fingerprint of its files on this machine, else the latest one."""
        return {model: self._fingerprint(model) or last for model, last in self.store.fingerprints().items()}

    def compare(self, files: Iterable[Found]) -> None:
        """Find the near-duplicates among all files that `of` will be asked about. Raises StoreError."""
        models = [model for model in self.fingerprints if not self.gate or model in self.gate.models]
        for model in filter(self._compares, models):
            self._comparisons[model] = Comparison(self.judge, model, self.fingerprints[model], self.store)
        waiting = iter(files)
        while self._comparisons and (part := list(islice(waiting, CHUNK))):
            known = {str(one.path): (one, content) for one, content, _ in self._seen(part) if content}
            for comparison in self._comparisons.values():
                comparison.recall(self.store, known)
        for comparison in self._comparisons.values():
            comparison.settle()

    def of(self, files: Sequence[Found]) -> Iterator[Judged]:
        """The files about which something is known, a few hundred at a time."""
        known = self._unchanged(files)
        contents = [content for _, content in known]
        newest = self.store.newest_verdicts(contents)
        answers = self.store.predictions(contents, self._wanted(newest.values()))
        for found, content in known:
            seen, said = newest.get(content), dict[str, Answer](answers.get(content, {}))
            if seen is None and not (self.gate and said):
                self.left_out[UNKNOWN] += 1
                continue
            compared = {} if seen and seen.error else self._compared(said, str(found.path))
            if seen and (seen.error or self.gate is None):
                self.gates[seen.gate] += 1
                self.passing[seen.gate] += not seen.final
                yield self._last(found, seen, {**said, **compared}, compared)
            elif self.gate:
                verdict = self._decided(self.gate, {**said, **compared})
                if not verdict.judged and seen and not seen.final and self._same(seen.gate):
                    verdict = seen.verdict  # says why the numbers are not there
                    self.passing[seen.gate] += 1
                yield Judged(found, content, verdict, "", compared)

    def _last(
        self, found: Found, seen: SeenVerdict, answers: Mapping[str, Answer], compared: dict[str, Prediction]
    ) -> Judged:
        """The verdict given last. It is stored by content, so that of two equal files the kept one is found here."""
        kept = [one.kept_instead(str(found.path))[1] for one in self._comparisons.values()]
        verdict = seen.verdict
        if seen.content in (*kept, seen.duplicate_of) and (gate := _parsed(seen.gate)):
            verdict = self._decided(gate, {**self._stored(gate, seen.content), **answers})
            verdict = seen.verdict if not (verdict.judged or seen.final) else verdict  # says why numbers are missing
        elif seen.duplicate_of not in (kept or [""]):  # another one was kept than would be by the usual order
            compared = {}
        return Judged(found, seen.content, verdict, seen.error, compared)

    def _unchanged(self, files: Sequence[Found]) -> list[tuple[Found, str]]:
        """The files that the store knows in their present state, with their contents; counts the others."""
        known: list[tuple[Found, str]] = []
        for one, content, before in self._seen(files):
            if content:
                known.append((one, content))
            else:
                self.left_out[CHANGED if before else UNKNOWN] += 1
        return known

    def _seen(self, files: Sequence[Found]) -> Iterator[tuple[Found, str, bool]]:
        """Each file with its content, empty unless the store knows its present state, and whether it knows any.

        The store knows a file by the path under which it was scanned, which may have been relative.
        """
        names = {one.path: _names(one.path) for one in files}
        seen = self.store.files({path for several in names.values() for path in several})
        for one in files:
            before = [seen[path] for path in names[one.path] if path in seen]
            same = [told.content for told in before if told.is_still(one)]
            yield one, same[0] if same else "", bool(before)

    def _wanted(self, newest: Iterable[SeenVerdict]) -> dict[str, str]:
        """The models whose predictions are needed, with their fingerprints."""
        if self.gate is None:
            asked = {model for text in {one.gate for one in newest} for model in self._models(text)}
            models = [model for model in asked if self._compares(model)]
        else:
            models = [*self.gate.models, *filter(None, map(self.judge.base, self.gate.models))]
        return {model: self.fingerprints[model] for model in models if model in self.fingerprints}

    def _stored(self, gate: Gate, content: str) -> Mapping[str, Prediction]:
        models = [model for text in gate.models for model in (text, self.judge.base(text)) if model]
        wanted = {model: self.fingerprints[model] for model in models if model in self.fingerprints}
        return self.store.predictions([content], wanted).get(content, {})

    def _decided(self, gate: Gate, answers: Mapping[str, Answer]) -> Verdict:
        """The verdict from the stored predictions; review if one is missing."""
        made = {model: self.judge.derive(model, answers) for model in gate.models if model not in answers}
        return gate.decide({**answers, **{model: one for model, one in made.items() if one}}).closed()

    def _compared(self, answers: Mapping[str, Answer], name: str) -> dict[str, Prediction]:
        found = {model: (answers.get(model), one.settled) for model, one in self._comparisons.items()}
        return {m: with_duplicate(a, settled, name) for m, (a, settled) in found.items() if isinstance(a, Prediction)}

    def _compares(self, model: str) -> bool:
        """Whether a model looks for near-duplicates."""
        try:
            return self.judge.registry.spec(model, self.judge.store).compare is not None
        except KeepersError:
            return False

    def _fingerprint(self, model: str) -> str:
        try:
            return model_fingerprint(self.judge.registry.spec(model, self.judge.store), self.judge.store)
        except KeepersError:
            return ""

    def _same(self, text: str) -> bool:
        try:
            return Gate.parse(text) == self.gate
        except GateError:
            return False

    def _models(self, text: str) -> tuple[str, ...]:
        """The models of a gate that was used before; none if it is of another version."""
        gate = _parsed(text)
        return gate.models if gate else ()


def _parsed(text: str) -> Gate | None:
    """A gate that was used before; None if it is of another version."""
    try:
        return Gate.parse(text)
    except GateError:
        return None


def _names(path: Path) -> tuple[Path, ...]:
    """The paths under which the store may know a file."""
    whole = Path(os.path.abspath(path))  # noqa: PTH100  links stay as they are
    try:
        return path, whole, Path(os.path.relpath(whole))
    except ValueError:  # another drive on Windows
        return path, whole
