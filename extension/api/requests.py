"""API requests without any web framework: from JSON to an answer, within limits.

Pictures come as base64 in the request; a path or address in a request is never used.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, cast

from ...core.errors import KeepersError
from ...core.gates.gate import Gate, Verdict
from ...core.gates.unjudged import as_table
from ...core.judging.case import Subject
from ...core.judging.judge import Judge
from ...core.pictures.open import open_image
from ...core.prediction import Answer, Failure
from ...models.presets import PRESETS
from ...models.registry import REGISTRY
from ..job.captions import caption_of, tagger_ids
from ..options.choices import Choices, WrongChoice, chosen, schema

BODY_LIMIT = 64 << 20
"""The most bytes of a request: a dozen large PNGs in base64."""
PICTURE_LIMIT = 32
PIXEL_LIMIT = 50_000_000


class BadRequest(KeepersError):
    """A request that cannot be answered."""

    code = "bad_request"

    def __init__(self, message: str, status: int = 422) -> None:
        self.status = status
        super().__init__(message)


def parse(body: bytes, allowed: set[str]) -> dict[str, Any]:
    """The JSON object of a request. Raises BadRequest."""
    try:
        data: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"The request is not JSON: {error}", 400) from error
    if not isinstance(data, dict):
        raise BadRequest("The request must be a JSON object.", 400)
    found = cast("dict[str, Any]", data)
    if unknown := sorted(set(found) - allowed):
        raise BadRequest(f"Unknown: {', '.join(unknown)[:200]}. Known are {', '.join(sorted(allowed))}.")
    return found


def pictures(data: Mapping[str, Any]) -> list[bytes]:
    """The bytes of a request's `images`, or of its one `image`. Raises BadRequest."""
    given = data.get("images", [data["image"]] if "image" in data else [])
    if not isinstance(given, list) or not given:
        raise BadRequest('Give "image", or "images": pictures as base64 text.')
    several = cast("list[object]", given)
    if len(several) > PICTURE_LIMIT:
        raise BadRequest(f"{len(several)} images; at most {PICTURE_LIMIT} fit into one request.", 413)
    return [_bytes(one, place) for place, one in enumerate(several)]


def _bytes(text: object, place: int) -> bytes:
    if not isinstance(text, str):
        raise BadRequest(f"Image {place} is not base64 text.")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(f"Image {place} is not base64 text: {error}") from error


def score(judge: Judge, body: bytes) -> dict[str, Any]:
    """Verdicts and scores: {"image" or "images", "preset" or "gate", or "models"}. Raises KeepersError."""
    data = parse(body, {"image", "images", "preset", "gate", "models"})
    files = pictures(data)
    subjects = [Subject(_opener(content, place)) for place, content in enumerate(files)]
    if "models" in data:
        gate = None
        models = _models(data["models"])
        answers = [dict[str, Answer]() for _ in subjects]
        for model in models:
            REGISTRY.spec(model, judge.store)
            for found, answer in zip(answers, judge.predict(subjects, model), strict=True):
                found[model] = answer
        verdicts = [None for _ in subjects]
    else:
        gate = _gate(data)
        judge.check(gate)
        judged = judge.judge(subjects, gate, everything=True)
        answers, verdicts = [dict(one.answers) for one in judged], [one.verdict for one in judged]
    results = [{**_answered(found), **(_decided(v) if v else {})} for found, v in zip(answers, verdicts, strict=True)]
    return {"results": results, **({"gate": str(gate)} if gate else {})}


def tag(body: bytes) -> dict[str, Any]:
    """Captions: {"image" or "images", "tagger", "threshold", "style", "first", "exclude", "recipe"}.

    Raises KeepersError.
    """
    options = {"tagger", "threshold", "style", "first", "exclude", "recipe"}
    data = parse(body, {"image", "images", *options})
    choices = chosen({"tagger": next(iter(tagger_ids()), None), **{k: v for k, v in data.items() if k in options}})
    if not choices.captions:
        raise BadRequest(f"Give a tagger: {', '.join(tagger_ids()) or 'there is none yet'}.")
    recipe = choices.caption_recipe(".txt")
    found = [_opener(content, place)() for place, content in enumerate(pictures(data))]
    return {"tagger": choices.tagger, "captions": [caption_of(one, choices.tagger, recipe) for one in found]}


def models(judge: Judge) -> dict[str, Any]:
    """Every model, whether its files are here, and the presets and options of requests."""
    listed = [
        {
            "id": spec.id,
            "title": spec.title,
            "summary": spec.summary,
            "licence": spec.licence,
            "source": spec.source,
            "gate": spec.gate,
            "tagger": bool(spec.tags),
            "here": all(judge.store.find(file) is not None for file in spec.weights if not file.optional),
            "variants": [one.id for one in REGISTRY.variants(spec, judge.store)],
        }
        for spec in REGISTRY
    ]
    presets = {name: {"gate": one.gate, "summary": one.summary} for name, one in PRESETS.items()}
    return {"models": listed, "presets": presets, "options": schema()}


def _opener(content: bytes, place: int) -> Callable[[], Any]:
    return lambda: open_image(content, name=f"image {place}", pixel_limit=PIXEL_LIMIT)


def _models(given: object) -> list[str]:
    named = [given] if isinstance(given, str) else given
    if not isinstance(named, list) or not named or not all(isinstance(one, str) for one in cast("list[object]", named)):
        raise BadRequest('"models" must be a list of model names.')
    return list(dict.fromkeys(cast("list[str]", named)))[:32]


def _gate(data: Mapping[str, Any]) -> Gate:
    if data.get("gate") and data.get("preset"):
        raise WrongChoice('Give "gate" or "preset", not both.')
    return chosen({k: data[k] for k in ("gate", "preset") if k in data}, Choices()).parsed_gate


def _decided(verdict: Verdict) -> dict[str, Any]:
    """`unjudged` is empty if the gate reached its outcome."""
    unjudged = [as_table(one) for one in verdict.unjudged]
    return {"verdict": verdict.outcome, "reason": verdict.reason, "unjudged": unjudged}


def _answered(answers: Mapping[str, Answer]) -> dict[str, Any]:
    found: dict[str, Any] = {"scores": {}, "labels": {}, "failures": {}}
    for model, answer in answers.items():
        if isinstance(answer, Failure):
            found["failures"][model] = {"code": answer.code, "reason": answer.reason}
            continue
        values = zip(answer.labels.names, answer.values.tolist(), strict=True)
        found["scores"][model] = {name: value if math.isfinite(value) else None for name, value in values}
        if answer.label:
            found["labels"][model] = answer.label
    return found
