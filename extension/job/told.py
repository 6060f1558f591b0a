"""What users read: the keys of an image's infotext, and the summary of a job."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ...core.gates.gate import Gate
from ...core.gates.tree import ANSWER, Comparison, Value, terms
from ...core.metadata.record import record_of, to_json
from ...core.prediction import Answer, Failure
from .. import infotext_keys as keys
from .job import Item, Job

REASON_LENGTH = 200
"""Characters of a reason in an infotext; the comment and the record have all of it."""
_NO_KEY = re.compile(r"[^\w \-/]+")


def key_of(model: str) -> str:
    """The infotext key of a model's answer: hosts read only letters, digits, blanks, "-" and "/" in keys."""
    return f"Keepers {_NO_KEY.sub('-', model)}"


def texts(job: Job, item: Item) -> dict[str, str]:
    """Every key of one image's infotext."""
    found = {keys.VERDICT: shown_outcome(item), **keys.written(job.choices)}
    if (item.outcome != "accept" or item.trouble) and (reason := reason_of(item)):
        found[keys.REASON] = reason if len(reason) <= REASON_LENGTH else f"{reason[: REASON_LENGTH - 1]}…"
    named = named_values(job.gate) if job.gate else {}
    for model, answer in item.answers.items():
        found[key_of(model)] = shown(answer, named.get(model, ()))
    return found


def shown_outcome(item: Item) -> str:
    """The verdict in one word or two."""
    word = item.verdict.outcome if item.verdict else "not judged"
    return f"{word} (kept as the best)" if item.best else word


def reason_of(item: Item) -> str:
    """Why, without the outcome itself."""
    reason = item.verdict.reason.partition(": ")[2] if item.verdict else ""
    return " and ".join(dict.fromkeys(part for part in (reason, item.trouble) if part))


def shown(answer: Answer, named: Iterable[str] = ()) -> str:
    """An answer in a few words: the model's own word, and the values that the gate looks at, else the highest."""
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
    for clause in gate.clauses:
        for term in terms(clause.when):
            for value in term.operands if isinstance(term, Comparison) else ():
                if isinstance(value, Value) and value.label != ANSWER and value.label not in found.get(value.model, ()):
                    found.setdefault(value.model, []).append(value.label)
    return found


def record_json(job: Job, item: Item) -> str:
    """What goes into the image's own metadata, in the form that all of Keepers writes and reads."""
    verdict, reason = (item.verdict.outcome, item.verdict.reason) if item.verdict else ("", item.trouble)
    return to_json(record_of(item.answers, verdict, reason, str(job.gate or ""), item.caption))


def summary(job: Job) -> str:
    """One or more lines for the comment below the gallery, and for the log."""
    count = Counter(item.outcome if item.verdict else "not judged" for item in job.items)
    best = next((item for item in job.items if item.best), None)
    parts = [f"Keepers accepted {count['accept']} of {len(job.items)}"]
    parts += [_fate(job, outcome, count[outcome]) for outcome in ("review", "reject") if count[outcome]]
    if count["not judged"]:
        parts.append(f"{count['not judged']} kept without a verdict")
    lines = [", ".join(parts) + "."]
    if best is not None:
        lines.append(f"None was accepted; the best (seed {best.seed}) was kept.")
    lines += _reasons(job.items)
    return "\n".join([*lines, *job.notes])


def _fate(job: Job, outcome: str, count: int) -> str:
    items = [item for item in job.items if item.verdict is not None and item.outcome == outcome and not item.best]
    did = Counter(_did(job, item) for item in items)
    told = " and ".join(f"{number} {what}" if len(did) > 1 else what for what, number in did.items())
    return f"{count} {'to review' if outcome == 'review' else 'rejected'}" + (f" ({told})" if told else "")


def _did(job: Job, item: Item) -> str:
    match job.policy(item):
        case "drop":
            return "dropped" if item.gone or item.path is None else "kept"
        case "subfolder" if item.path is not None:
            return f"saved in {item.path.parent}"
        case _:
            return "kept"


def _reasons(items: Iterable[Item]) -> list[str]:
    """Every reason once, with how often it was given, the most frequent first."""
    said = Counter(reason_of(item) for item in items if item.outcome != "accept" or item.trouble)
    return [f"{count} × {reason}" for reason, count in said.most_common(5) if reason]


def details(job: Job) -> list[dict[str, Any]]:
    """One entry for each image of the job, in order, also for those that are not in the result: for programs."""
    return [_detail(item) for item in job.items]


def _detail(item: Item) -> dict[str, Any]:
    record = record_of(item.answers)
    found: dict[str, Any] = {"seed": item.seed, "verdict": item.verdict.outcome if item.verdict else None}
    found |= {"reason": reason_of(item), "in_result": not item.gone, "best": item.best, "caption": item.caption}
    found |= {"labels": dict(record.labels), "failures": dict(record.failures), "scores": _finite(record.scores)}
    return found


def _finite(scores: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float | None]]:
    return {m: {k: round(v, 6) if math.isfinite(v) else None for k, v in row.items()} for m, row in scores.items()}


def install_keys(job: Job, p: Any, current: Callable[[Any], Item | None]) -> None:
    """Put callables into the infotext's parameters: each image then gets its own values, and a grid gets none."""
    for key in all_keys(job):
        p.extra_generation_params[key] = _Reader(job, key, current)


def all_keys(job: Job) -> list[str]:
    """Every key that an image of this job may have."""
    models = job.gate.models if job.gate else ()
    return list(dict.fromkeys([keys.VERDICT, keys.REASON, *keys.KEYS.values(), *map(key_of, models)]))


class _Reader:
    """The value of one key for the image at hand."""

    def __init__(self, job: Job, key: str, current: Callable[[Any], Item | None]) -> None:
        self._job, self._key, self._current = job, key, current

    def __call__(self, p: Any = None, use_main_prompt: bool = False, **_: Any) -> str | None:
        item = None if use_main_prompt or p is None or self._job.over else self._current(p)
        return texts(self._job, item).get(self._key) if item is not None else None
