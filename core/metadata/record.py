"""The record that Keepers writes into an image: the verdict, its reason and the values behind it, as JSON.

    {"keepers": 1, "verdict": "accept", "reason": "...", "gate": "...",
     "scores": {model: {label: value or null}}, "labels": {model: label}, "failures": {model: reason}, "caption": "...",
     "unjudged": [{"model": "...", "kind": "missing", "reason": "..."}], "duplicate_of": "...", "duplicates": ["..."]}

"keepers" is the version of this format and always present; everything else may be missing, which means empty. Values
are rounded to six digits; null stands for a value that is not a number. Readers ignore unknown keys.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from ..errors import encodable
from ..gates.gate import OUTCOMES, Outcome, Verdict
from ..gates.unjudged import Unjudged, as_table, from_tables
from ..judging.near_duplicates import HASH_GROUP
from ..prediction import Answers, Prediction, twins_of

KEY = "keepers"
"""The keyword of the PNG text, and the prefix of the XMP property's namespace."""
VERSION = 1
_SIZE_LIMIT = 1 << 20

Scores = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Record:
    """What is written into one image and read from it."""

    verdict: str = ""
    """"accept", "review" or "reject"; empty if there was no gate."""
    reason: str = ""
    gate: str = ""
    scores: Scores = field(default_factory=dict[str, dict[str, float]])
    """By model, then label; of large taggers only the highest."""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    """The one-word answers, by model, of models that give one."""
    failures: Mapping[str, str] = field(default_factory=dict[str, str])
    """Why a model could not judge, by model."""
    caption: str = ""
    unjudged: tuple[Unjudged, ...] = ()
    """As in `Verdict.unjudged`."""
    duplicate_of: str = ""
    """The better image that looks the same and is kept instead, where one was found."""
    duplicates: tuple[str, ...] = ()
    """All others that look the same."""

    @property
    def given(self) -> Verdict | None:
        """The verdict; None if there was no gate, or if it is none that we know."""
        outcome: Outcome | None = next((one for one in OUTCOMES if one == self.verdict), None)
        return Verdict(outcome, self.reason, self.unjudged) if outcome else None


def record_of(
    answers: Answers, verdict: Verdict | None = None, gate: str = "", caption: str = "", top: int = 32
) -> Record:
    """The record of an image's answers, with the `top` highest values of each model."""
    given = {model: answer for model, answer in answers.items() if isinstance(answer, Prediction)}
    failures = {model: answer.reason for model, answer in answers.items() if not isinstance(answer, Prediction)}
    scores = {model: _scores(answer, top) for model, answer in given.items()}
    labels = {model: answer.label for model, answer in given.items() if answer.label}
    told = (verdict.outcome, verdict.reason) if verdict else ("", "")
    unjudged, twins = verdict.unjudged if verdict else (), twins_of(answers)
    return Record(*told, gate, scores, labels, failures, caption, unjudged, twins.kept, twins.others)


def to_json(record: Record) -> str:
    """The record as one line of ASCII, without empty fields."""
    data: dict[str, Any] = {KEY: VERSION}
    data |= {name: value for name in _TEXTS if (value := getattr(record, name))}
    data |= {name: dict(value) for name in ("labels", "failures") if (value := getattr(record, name))}
    if record.unjudged:
        data["unjudged"] = [as_table(one) for one in record.unjudged]
    if record.duplicates:
        data["duplicates"] = list(map(encodable, record.duplicates))
    if record.scores:
        data["scores"] = {model: {k: _rounded(v) for k, v in row.items()} for model, row in record.scores.items()}
    return json.dumps(data, separators=(",", ":"), allow_nan=False)


def from_json(text: str) -> Record | None:
    """The record in a text, or None if it holds none. Entries of the wrong type are dropped. Never raises."""
    if len(text) > _SIZE_LIMIT:
        return None
    try:
        data: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    found = _table(data)
    if not isinstance(found.get(KEY), int):
        return None
    scores = {model: _values(row) for model, row in _table(found.get("scores")).items()}
    texts = {name: text for name, text in _strings(found).items() if name in _TEXTS}
    return Record(
        scores=scores,
        labels=_strings(found.get("labels")),
        failures=_strings(found.get("failures")),
        unjudged=from_tables(found.get("unjudged")),
        duplicates=_list(found.get("duplicates")),
        **texts,
    )


_TEXTS = ("verdict", "reason", "gate", "caption", "duplicate_of")


def _scores(answer: Prediction, top: int) -> dict[str, float]:
    """The highest values, in the order of the labels, so that equal answers give equal texts; no fingerprint."""
    hidden = {answer.labels.names[place] for place in answer.labels.members(HASH_GROUP)}
    names = [name for name in answer.labels.names if name not in hidden]
    ranked = [score.label for score in answer.top(len(answer.labels)) if score.label not in hidden]
    kept = set(names if len(names) <= top else ranked[:top])
    return {name: answer[name] for name in names if name in kept}


def _rounded(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _table(data: object) -> dict[str, object]:
    return cast(dict[str, object], data) if isinstance(data, dict) else {}


def _values(data: object) -> dict[str, float]:
    row = {label: math.nan if value is None else value for label, value in _table(data).items()}
    return {k: float(v) for k, v in row.items() if isinstance(v, float) or (type(v) is int and abs(v) < 1 << 53)}


def _list(data: object) -> tuple[str, ...]:
    return tuple(one for one in cast(list[object], data) if isinstance(one, str)) if isinstance(data, list) else ()


def _strings(data: object) -> dict[str, str]:
    return {key: value for key, value in _table(data).items() if isinstance(value, str)}
