"""An image's infotext (verdict, reason and answers, by key), and the record in its metadata."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from ...core.gates.gate import Gate, Verdict
from ...core.gates.tree import ANSWER
from ...core.metadata.record import record_of, to_json
from ...core.prediction import Answer, Failure
from ..options import infotext_keys as keys
from .job import GenerationJob, JobImage

NOT_JUDGED = "not judged"
REASON_LENGTH = 200
"""The most characters of a reason in an infotext; the comment and the record hold the whole reason."""
_NO_KEY = re.compile(r"[^\w \-/]+")


def key_of(model: str) -> str:
    """The infotext key of a model's answer; hosts accept only letters, digits, spaces, "_", "-" and "/" in keys."""
    return f"Keepers {_NO_KEY.sub('-', model)}"


def texts(job: GenerationJob, item: JobImage) -> dict[str, str]:
    """All our keys and values for one image's infotext."""
    found = {keys.VERDICT: shown_outcome(item), **keys.written(job.choices)}
    if (item.outcome != "accept" or item.trouble) and (reason := reason_of(item)):
        found[keys.REASON] = reason if len(reason) <= REASON_LENGTH else f"{reason[: REASON_LENGTH - 1]}…"
    named = named_values(job.gate) if job.gate else {}
    for model, answer in item.answers.items():
        found[key_of(model)] = shown(answer, named.get(model, ()))
    return found


def shown_outcome(item: JobImage) -> str:
    """The verdict in a few words."""
    word = shown_verdict(item.verdict) if item.verdict else NOT_JUDGED
    return f"{word} (kept as the best)" if item.best else word


def shown_verdict(verdict: Verdict) -> str:
    """The outcome, and whether it is only there because the image could not be judged."""
    return verdict.outcome if verdict.judged else f"{verdict.outcome} ({NOT_JUDGED})"


def reason_of(item: JobImage) -> str:
    """The reason, without the outcome."""
    reason = item.verdict.reason.partition(": ")[2] if item.verdict else ""
    return " and ".join(dict.fromkeys(part for part in (reason, item.trouble) if part))


def shown(answer: Answer, named: Iterable[str] = ()) -> str:
    """An answer in a few words: the model's label, and the values that the gate compares, else the highest."""
    if isinstance(answer, Failure):
        return f"failed ({answer.code})"
    values = [(label, answer[label]) for label in named if label in answer.labels]
    if not values and len(answer.labels) <= 12 and answer.label in answer.labels:
        values = [(answer.label, answer[answer.label])]
    if not values and not answer.label:
        values = [(score.label, score.value) for score in answer.top(1)]
    words = [f"{'' if label == answer.label else f'{label} '}{_number(value)}" for label, value in values]
    return " ".join([*([answer.label] if answer.label else []), *words])


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 100 and math.isfinite(value) else f"{value:.0f}"


def named_values(gate: Gate) -> dict[str, list[str]]:
    """The labels that a gate compares, by model."""
    found: dict[str, list[str]] = {}
    for value in gate.values:
        if value.label != ANSWER and value.label not in found.get(value.model, ()):
            found.setdefault(value.model, []).append(value.label)
    return found


def record_json(job: GenerationJob, item: JobImage) -> str:
    """The record for the image's metadata, in the form that all of Keepers reads and writes."""
    record = record_of(item.answers, item.verdict, str(job.gate or ""), item.caption)
    return to_json(record if item.verdict else replace(record, reason=item.trouble))


def install_keys(job: GenerationJob, p: Any, current: Callable[[Any], JobImage | None]) -> None:
    """Put callables into the infotext's parameters, so that each image gets its own values and a grid gets none."""
    for key in all_keys(job):
        p.extra_generation_params[key] = _Reader(job, key, current)


def all_keys(job: GenerationJob) -> list[str]:
    """Every key that an image of this job may have."""
    models = job.gate.models if job.gate else ()
    return list(dict.fromkeys([keys.VERDICT, keys.REASON, *keys.KEYS.values(), *map(key_of, models)]))


class _Reader:
    """The value of one key for the current image."""

    def __init__(self, job: GenerationJob, key: str, current: Callable[[Any], JobImage | None]) -> None:
        self._job, self._key, self._current = job, key, current

    def __call__(self, p: Any = None, use_main_prompt: bool = False, **_: Any) -> str | None:
        item = None if use_main_prompt or p is None or self._job.over else self._current(p)
        return texts(self._job, item).get(self._key) if item is not None else None
