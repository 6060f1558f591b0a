"""One node per family of models: a score, a label and a yes or no for every image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ..core.gates.gate import Gate
from ..core.gates.tree import Number, Value
from ..models.registry import REGISTRY
from .host import host
from .host.api import CATEGORY, ScoresSocket, io
from .host.images import frames
from .judging.inputs import images_input, list_schema, machine_inputs, one, run_options
from .judging.judging import JudgingNode, judge_frames
from .judging.menus import label_names, variants
from .judging.refusals import refused_model
from .judging.scores import rank, report_json, summary, word


@dataclass(frozen=True)
class ModelQuestion:
    """What a node asks, and which models."""

    node: str
    title: str
    families: tuple[str, ...]
    label: str
    """The label asked about; empty for models that give a single number."""
    threshold: float
    highest: float
    description: str


class ModelNode(JudgingNode):
    """What these nodes share."""

    question: ClassVar[ModelQuestion]

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node as ComfyUI shows it."""
        asked = cls.question
        models = variants(asked.families)
        labels = label_names(models)
        inputs: list[Any] = [
            images_input("ask about"),
            io.Combo.Input("model", options=models, default=models[0], tooltip="The model, or a variant of it."),
        ]
        if asked.label:
            names = labels if asked.label in labels else [asked.label, *labels]
            inputs.append(
                io.Combo.Input(
                    "class_name", options=names, default=asked.label, tooltip="The class that the score is for."
                )
            )
        inputs.append(
            io.Float.Input(
                "threshold",
                default=asked.threshold,
                min=0.0,
                max=asked.highest,
                step=0.01,
                tooltip="Images with at least this score are accepted.",
            )
        )
        return list_schema(
            asked.node,
            asked.title,
            asked.description,
            category=f"{CATEGORY}/models",
            inputs=[*inputs, *machine_inputs()],
            outputs=[
                io.Float.Output("score", is_output_list=True, tooltip="The number, for every image."),
                io.String.Output("label", is_output_list=True, tooltip="The model's answer in one word."),
                io.Boolean.Output("accept", is_output_list=True, tooltip="Whether the threshold is reached."),
                io.String.Output("report", tooltip="All numbers of all images as JSON."),
                ScoresSocket.Output("scores", tooltip="For Gate, Save Keepers and Retry."),
            ],
        )

    @classmethod
    def validate_inputs(cls, model: Any = (None,), download: Any = (False,)) -> bool | str:
        """Refuse a missing model or model file before anything is generated."""
        return refused_model(model, cls.question.families, download)

    @classmethod
    def execute(
        cls,
        images: list[Any],
        model: list[str],
        threshold: list[float],
        class_name: list[str] | None = None,
        **machine: list[Any],
    ) -> io.NodeOutput:
        """Ask about all images of the list in one run."""
        label = one(class_name) if class_name else label_names([one(model)])[0]
        by = Value(one(model), label)
        gate = Gate.parse(f"accept: {by} >= {Number(one(threshold))}")
        scores = judge_frames(frames(images), gate, run_options(**machine))
        host.say(summary(scores), cls.hidden.unique_id)
        every = scores.images
        return io.NodeOutput(
            [rank(each, by) for each in every],
            [word(each, by, gate) for each in every],
            [each.outcome == "accept" for each in every],
            report_json(scores),
            scores,
        )


class KeepersCoherence(ModelNode):
    """Whether a generated picture makes sense as a whole."""

    question = ModelQuestion(
        "KeepersCoherence",
        "Coherence (Keepers)",
        ("coherence",),
        "coherent",
        0.5,
        1.0,
        "Whether a generated picture makes sense as a whole: coherent, semi-incoherent or incoherent.",
    )


class KeepersFaramir(ModelNode):
    """Whether a picture is fit for a fantasy art data set."""

    question = ModelQuestion(
        "KeepersFaramir",
        "FARAMIR (Keepers)",
        ("faramir",),
        "accept",
        0.5,
        1.0,
        "Whether a picture is fit for a fantasy art data set, and the strongest of 30 reasons.",
    )


class KeepersQuality(ModelNode):
    """How pleasing, or how undamaged, a picture is."""

    question = ModelQuestion(
        "KeepersQuality",
        "Aesthetic and quality (Keepers)",
        ("aesthetic", "arniqa"),
        "",
        5.5,
        10.0,
        "aesthetic: how pleasing a picture is, from 1 to 10. arniqa: how free of damage it is, from 0 to 1.",
    )


class KeepersRealism(ModelNode):
    """Real or generated, by a detector that the user trained."""

    question = ModelQuestion(
        "KeepersRealism",
        "Realism (Keepers)",
        ("realism",),
        "real",
        0.5,
        1.0,
        "Real or generated, by a detector that you trained with: keepers train realism. realism is the one trained "
        "last; the menu names the others.",
    )


_NODES: tuple[type[ModelNode], ...] = (KeepersCoherence, KeepersFaramir, KeepersQuality, KeepersRealism)


def model_nodes() -> list[type[io.ComfyNode]]:
    """The nodes whose models are in the registry."""
    return [node for node in _NODES if set(node.question.families) & set(REGISTRY.ids())]
