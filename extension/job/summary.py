"""What became of a job's images: the summary below the gallery, and the details for programs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ...core.gates.unjudged import as_table
from ...core.metadata.record import record_of
from .infotext import reason_of
from .job import UNJUDGED, GenerationJob, JobImage

_WORDS = {"review": "to review", "reject": "rejected", UNJUDGED: "could not be judged"}


def summary(job: GenerationJob) -> str:
    """The lines for the comment below the gallery and for the log."""
    count = Counter(item.fate for item in job.items)
    best = next((item for item in job.items if item.best), None)
    parts = [f"Keepers accepted {count['accept']} of {len(job.items)}"]
    parts += [_fate(job, fate, count[fate]) for fate in _WORDS if count[fate]]
    if count[""]:
        parts.append(f"{count['']} kept without a verdict")
    lines = [", ".join(parts) + "."]
    if best is not None:
        lines.append(f"None was accepted; the best (seed {best.seed}) was kept.")
    lines += _reasons(job.items)
    return "\n".join([*lines, *job.notes])


def _fate(job: GenerationJob, fate: str, count: int) -> str:
    items = [item for item in job.items if item.fate == fate and not item.best]
    did = Counter(_did(job, item) for item in items)
    fates = " and ".join(f"{number} {what}" if len(did) > 1 else what for what, number in did.items())
    return f"{count} {_WORDS[fate]}" + (f" ({fates})" if fates else "")


def _did(job: GenerationJob, item: JobImage) -> str:
    match job.policy(item):
        case "drop":
            return "dropped" if item.gone or item.path is None else "kept"
        case "subfolder" if item.path is not None:
            return f"saved in {item.path.parent}"
        case _:
            return "kept"


def _reasons(items: Iterable[JobImage]) -> list[str]:
    """The five most frequent reasons, each with its count."""
    said = Counter(reason_of(item) for item in items if item.outcome != "accept" or item.trouble)
    return [f"{count} × {reason}" for reason, count in said.most_common(5) if reason]


def details(job: GenerationJob) -> list[dict[str, Any]]:
    """For programs: one entry per image of the job, in order, including those that are not in the result."""
    return [_detail(item) for item in job.items]


def _detail(item: JobImage) -> dict[str, Any]:
    record = record_of(item.answers)
    found: dict[str, Any] = {"seed": item.seed, "verdict": item.verdict.outcome if item.verdict else None}
    found |= {"unjudged": [as_table(one) for one in item.verdict.unjudged] if item.verdict else []}
    found |= {"reason": reason_of(item), "in_result": not item.gone, "best": item.best, "caption": item.caption}
    found |= {"labels": dict(record.labels), "failures": dict(record.failures), "scores": _finite(record.scores)}
    return found


def _finite(scores: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float | None]]:
    return {m: {k: round(v, 6) if math.isfinite(v) else None for k, v in row.items()} for m, row in scores.items()}
