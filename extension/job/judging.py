"""Asks the models about an image of a job: first the cheap ones, early, and then all, when it is final."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ...core.errors import Cancelled, KeepersError
from ...core.gates.gate import Gate, Verdict, not_judged
from ...core.gates.unjudged import Unjudged, flawed
from ...core.judging.case import Subject
from ...core.prediction import Answer, Prediction
from ...models.registry import REGISTRY
from ..host import host
from ..host.pictures import same
from .job import GenerationJob, JobImage, one_line
from .nearness import nearness

if TYPE_CHECKING:
    from PIL.Image import Image

CHEAP = 20.0
"""GFLOP per image. Models up to this cost are asked before face restoration: `signals` and `coherence`, not FARAMIR."""


def judge_final(job: GenerationJob, item: JobImage, picture: Image) -> None:
    """Fill in the verdict on the picture as it will be saved. Never raises: an error becomes `trouble`."""
    if item.flaw:
        item.verdict = not_judged(flawed(item.flaw))
        return
    if job.gate is None:
        item.verdict = not_judged(Unjudged("", "failure", job.trouble))
        item.trouble = job.trouble
        return
    try:
        host.check_interrupt()
        known = item.known if item.early is not None and same(item.early, picture) else {}
        judged = _ask(job, job.gate, item, picture, known)
    except Cancelled:
        item.trouble = "the job was interrupted before it was judged"
        return
    except Exception as error:
        item.trouble = f"Keepers failed ({one_line(error)})"
        item.verdict = not_judged(Unjudged("", "failure", item.trouble))
        return
    finally:
        item.early, item.known = None, {}
    item.answers, item.verdict = judged
    item.fidelity = nearness(job.gate, item.answers, item.outcome)


def judge_early(job: GenerationJob, item: JobImage, picture: Image) -> bool:
    """Ask the cheap models about the unfinished picture, and return whether they reject it. Raises Cancelled."""
    assert job.gate is not None
    item.early = picture
    found: dict[str, Answer] = {}
    for model in cheap_models(job.gate):
        if job.gate.decide(found).verdict is None:
            found[model] = predict(picture, model)
    item.known = found_predictions(found)
    decided = job.gate.decide(found).verdict
    if decided is None or decided.outcome != "reject":
        return False
    item.answers, item.verdict = found, decided
    item.fidelity = nearness(job.gate, found, decided.outcome)
    return True


def cheap_models(gate: Gate) -> tuple[str, ...]:
    """The cheap models of a gate, the cheapest first."""
    costs = {model: _cost(model) for model in gate.models}
    return tuple(sorted((m for m in gate.models if costs[m] <= CHEAP), key=lambda model: costs[model]))


def predict(
    picture: Image,
    model: str,
    known: dict[str, Prediction] | None = None,
    near: Callable[[Prediction], bool] | None = None,
) -> Answer:
    """One model's answer about a picture; `near` as for Judge.predict. Raises Cancelled."""
    return host.judge().predict([Subject(lambda: picture, known or {})], model, near)[0]


def found_predictions(answers: dict[str, Answer]) -> dict[str, Prediction]:
    """The answers that are not failures."""
    return {model: answer for model, answer in answers.items() if isinstance(answer, Prediction)}


def _ask(
    job: GenerationJob, gate: Gate, item: JobImage, picture: Image, known: dict[str, Prediction]
) -> tuple[dict[str, Answer], Verdict]:
    subject = Subject(lambda: picture, known, name=_name(item))
    judged = host.judge().judge([subject], gate, everything=job.choices.everything, run=job.run)[0]
    return dict(judged.answers), judged.verdict


def _name(item: JobImage) -> str:
    return f"image {item.iteration + 1}.{item.place + 1} (seed {item.seed})"


def _cost(model: str) -> float:
    try:
        return REGISTRY.spec(model, host.judge().store).cost
    except KeepersError:
        return float("inf")
