"""Which numbers of a prediction, and which facts of an image, are worth showing to a person."""

from __future__ import annotations

from collections.abc import Mapping

from ...collection.store import SeenImage
from ...core.errors import encodable
from ...core.prediction import Answer, Prediction

FEW = 40
"""A model with at most this many labels is shown whole; of a larger one, the strongest labels are shown."""
STRONGEST = 30
HIDDEN_GROUPS = frozenset({"hash", "logit", "raw", "gate", "input"})
"""Groups that serve the machine: perceptual hashes, logits, inputs of a decision."""


def shown(prediction: Prediction) -> dict[str, float]:
    """The labels and values worth showing, in label order for small models, strongest first for taggers."""
    labels = prediction.labels
    hidden = {index for group in HIDDEN_GROUPS for index in labels.members(group)}
    if len(labels) - len(hidden) <= FEW:
        return {labels.names[i]: float(prediction.values[i]) for i in range(len(labels)) if i not in hidden}
    secret = {labels.names[index] for index in hidden}
    ranked = (score for score in prediction.top(STRONGEST + len(hidden)) if score.label not in secret)
    return {score.label: score.value for score, _ in zip(ranked, range(STRONGEST), strict=False)}


def shown_by_model(answers: Mapping[str, Answer]) -> dict[str, dict[str, float]]:
    """As `shown`, for every model that gave a prediction."""
    return {model: shown(answer) for model, answer in answers.items() if isinstance(answer, Prediction)}


def words(answers: Mapping[str, Answer]) -> dict[str, str]:
    """The answers in one word, for the models that have one."""
    return {m: answer.label for m, answer in answers.items() if isinstance(answer, Prediction) and answer.label}


def image_facts(image: SeenImage) -> dict[str, object]:
    """How an image was generated, as JSON values."""
    return {
        "width": image.width,
        "height": image.height,
        "prompt": encodable(image.positive),
        "negative": encodable(image.negative),
        "seed": image.seed,
        "generator": encodable(image.model),
    }
