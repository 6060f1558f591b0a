"""One node for each family of models: a number, a word and a yes or no for every image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ..core.gates.gate import Gate
from ..core.gates.tree import Number, Value
from ..models.registry import REGISTRY
from . import host
from .api import CATEGORY, ScoresSocket, io, named
from .asking import AsksModels, judge_frames, machine_inputs, one, options, refused_model
from .images import frames
from .menus import label_names, variants
from .scores import rank, report_json, summary, word


@dataclass(frozen=True)
class Question:
    """What a node asks of which models."""

    node: str
    title: str
    families: tuple[str, ...]
    label: str
    """The label asked about; empty for models that give a single number."""
    threshold: float
    highest: float
    description: str


class AskModel(AsksModels):
    """What these nodes have in common."""

    question: ClassVar[Question]

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node as ComfyUI shows it."""
        asked = cls.question
        models = variants(asked.families)
        labels = label_names(models)
        inputs: list[Any] = [
            io.Image.Input("images", tooltip="The images to ask about: a batch, or a list of any sizes."),
            io.Combo.Input("model", options=models, default=models[0], tooltip="The model, or a variant of it."),
        ]
        if asked.label:
            names = labels if asked.label in labels else [asked.label, *labels]
            inputs.append(
                io.Combo.Input("class_name", options=names, default=asked.label, tooltip="What the number is for.")
            )
        inputs.append(
            io.Float.Input(
                "threshold",
                default=asked.threshold,
                min=0.0,
                max=asked.highest,
                step=0.01,
                tooltip="From this number on an image is accepted.",
            )
        )
        return io.Schema(
            node_id=asked.node,
            display_name=asked.title,
            category=f"{CATEGORY}/models",
            description=asked.description,
            is_input_list=True,
            hidden=[io.Hidden.unique_id],
            inputs=[*inputs, *machine_inputs()],
            outputs=named(
                io.Float.Output("score", is_output_list=True, tooltip="The number, for every image."),
                io.String.Output("label", is_output_list=True, tooltip="The model's answer in one word."),
                io.Boolean.Output("accept", is_output_list=True, tooltip="Whether the threshold is reached."),
                io.String.Output("report", tooltip="All numbers of all images as JSON."),
                ScoresSocket.Output("scores", tooltip="For Gate, Save Keepers and Retry."),
            ),
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
        batch_size: list[int],
        precision: list[host.Precision],
        download: list[bool],
        class_name: list[str] | None = None,
    ) -> io.NodeOutput:
        """Ask about all images of the list in one run."""
        label = one(class_name) if class_name else label_names([one(model)])[0]
        by = Value(one(model), label)
        gate = Gate.parse(f"accept: {by} >= {Number(one(threshold))}")
        scores = judge_frames(frames(images), gate, options(batch_size, precision, download))
        host.say(summary(scores), cls.hidden.unique_id)
        every = scores.images
        return io.NodeOutput(
            [rank(each, by) for each in every],
            [word(each, by, gate) for each in every],
            [each.outcome == "accept" for each in every],
            report_json(scores),
            scores,
        )


class KeepersCoherence(AskModel):
    """Whether a generated picture makes sense as a whole."""

    question = Question(
        "KeepersCoherence",
        "Coherence (Keepers)",
        ("coherence",),
        "coherent",
        0.5,
        1.0,
        "Whether a generated picture makes sense as a whole: coherent, semi-incoherent or incoherent.",
    )


class KeepersFaramir(AskModel):
    """Whether a picture is fit for a fantasy art data set."""

    question = Question(
        "KeepersFaramir",
        "FARAMIR (Keepers)",
        ("faramir",),
        "accept",
        0.5,
        1.0,
        "Whether a picture is fit for a fantasy art data set, and the strongest of 30 reasons.",
    )


class KeepersQuality(AskModel):
    """How pleasing, or how undamaged, a picture is."""

    question = Question(
        "KeepersQuality",
        "Aesthetic and quality (Keepers)",
        ("aesthetic", "arniqa"),
        "",
        5.5,
        10.0,
        "aesthetic: how pleasing a picture is, from 1 to 10. arniqa: how free of damage it is, from 0 to 1.",
    )


class KeepersRealism(AskModel):
    """Real or generated, by a detector that the user trained."""

    question = Question(
        "KeepersRealism",
        "Realism (Keepers)",
        ("realism",),
        "real",
        0.5,
        1.0,
        "Real or generated, by a detector that you trained with: keepers train realism. realism is the one trained "
        "last; the menu names the others.",
    )


_NODES: tuple[type[AskModel], ...] = (KeepersCoherence, KeepersFaramir, KeepersQuality, KeepersRealism)


def ask_nodes() -> list[type[io.ComfyNode]]:
    """The nodes whose models are in the registry."""
    return [node for node in _NODES if set(node.question.families) & set(REGISTRY.ids())]
