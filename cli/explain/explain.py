"""`keepers explain`: why FARAMIR accepts or rejects one image, or where a detector found its answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from ...core.errors import KeepersError, NotExplainable
from ...core.files import atomic_write
from ...core.heatmaps.heatmap import Method, heatmaps, overlay
from ...core.judging.case import Subject
from ...core.judging.judge import Judge
from ...core.pictures.open import open_image
from ...core.prediction import Failure
from ...models.faramir.explain import Explanation
from ...models.faramir.explain import explain as explain_prediction
from ...models.faramir.notes import notes
from ..console import console
from ..exit_codes import escaped
from ..looking import Looking
from ..machine import Machine
from ..options import Fields, examples, in_panel
from .map import MapOptions, explain_map
from .measured import explain_signals
from .page import page
from .view import Beside, show

if TYPE_CHECKING:
    from PIL.Image import Image

    from ...core.judging.classifier import Classifier
    from ...models.faramir.net import Faramir

_what = in_panel("What to explain")
_output = in_panel("Output")

BESIDE = (("aesthetic", "score"), ("arniqa", "quality"))
"""Models whose scores are shown beside FARAMIR's, where their weights are here."""


@examples(
    "keepers explain image.png",
    "keepers explain image.png --heatmap map.png --plot why.html",
    "keepers explain photos --model realism:mine --plot sheet.html",
)
def explain(
    image: Annotated[Path, typer.Argument(help="The image; for realism also a folder, with --plot.")],
    *,
    model: Annotated[str, _what(help="faramir, coherence, realism, or a variant of them; or signals.")] = "faramir",
    heatmap: Annotated[
        Path | None,
        _output(help="Write the image under its map to this PNG: where the attention pool read what matters."),
    ] = None,
    label: Annotated[str, _what(help="For --heatmap: accept, or a class. Default: the class that FARAMIR names.")] = "",
    plot: Annotated[Path | None, _output(help="Write the explanation as one HTML page.")] = None,
    method: Annotated[
        Method, _what(help="For realism: grad-cam, or smooth (SmoothGradCAM++, as in its study).")
    ] = "grad-cam",
    raw: Annotated[Path | None, _output(help="For realism: write the map as a numpy array.")] = None,
    as_json: Annotated[bool, _output("--json", help="Print JSON.")] = False,
    top: Annotated[int, _output(min=1, max=32, help="How many classes and inputs are shown.")] = 8,
    looking: Looking,
    beside: Annotated[bool, _what(help="Also ask aesthetic and arniqa, where their weights are here.")] = True,
    machine: Annotated[
        Machine, Fields("device", "precision", "folders", "weights", "download", precision="exact", batch=1)
    ],
) -> None:
    """Say why FARAMIR accepts or rejects an image, or where a realism detector found its answer.

    It shows the decision, the strongest classes with their gates, and what each of the decision's 32 inputs adds:
    integrated gradients along the straight line from all inputs at 0 (every gate closed) to this image, so that the
    parts and the start add up to the decision's logit. The slope is how much one more unit of an input would change it.

    The heatmap splits what FARAMIR's attention pool has read among its 27 x 27 patches, by the gradient of its label's
    logit. It shows where FARAMIR read, not what would change its mind: patches have already exchanged information,
    and neither ARNIQA's view nor the aesthetic head is part of it. For coherence and realism it is Grad-CAM: what in
    the image speaks for the label. signals shows what it measured, beside the limits that decide.
    """
    if model == "signals":
        if heatmap or raw or label:
            raise KeepersError("signals measures whole pictures and has no heatmap; --plot writes its numbers.")
        explain_signals(image, plot, as_json)
        return
    judge = machine.judge()
    if model.partition(":")[0] != "faramir":
        explain_map(
            judge.classifier(model), image, MapOptions(label, method, heatmap, raw, plot, as_json, looking.search())
        )
        return
    if label and not heatmap:
        raise KeepersError("--label says what --heatmap shows: also give --heatmap FILE.")
    picture = open_image(image)
    classifier = judge.classifier(model)
    found = _explained(classifier, picture)
    scores = _beside(judge, picture) if beside else ()
    if heatmap:
        _write_heatmap(classifier, picture, label, heatmap)
    if plot:
        atomic_write(plot, page(found, scores, image.name, picture).encode())
        console.print(f"The page is {escaped(str(plot))}")
    if as_json:
        typer.echo(json.dumps(facts(found, scores), indent=2))
    else:
        show(found, scores, top, notes(picture, faithful=model != "faramir:fixed"))


def _explained(classifier: Classifier, picture: Image) -> Explanation:
    prediction = classifier.classify([picture])[0]
    if not prediction.label:
        raise NotExplainable("FARAMIR gave no numbers for this image.")
    net = cast("Faramir", classifier.network.module)
    return explain_prediction(prediction, net.own.head)


def _beside(judge: Judge, picture: Image) -> tuple[Beside, ...]:
    found: list[Beside] = []
    for model, label in BESIDE:
        answer = judge.predict([Subject(lambda: picture)], model)[0]
        if isinstance(answer, Failure):
            missing = answer.code == "missing_weights"
            found.append(
                Beside(model, label, None, f"get it with: keepers fetch {model}" if missing else answer.reason)
            )
        else:
            found.append(Beside(model, label, answer[label]))
    return tuple(found)


def _write_heatmap(classifier: Classifier, picture: Image, label: str, path: Path) -> None:
    found = heatmaps(classifier, [picture], label)[0]
    result = overlay(picture, found)
    atomic_write(path, lambda file: result.save(file, "PNG"))
    what = escaped(found.label)
    nothing = "" if found.values.max() > 0 else f" Nothing in the image speaks for {what}."
    console.print(f"The map for {what} is {escaped(str(path))}.{nothing}")


def facts(found: Explanation, scores: tuple[Beside, ...]) -> dict[str, Any]:
    """The explanation as JSON values."""
    prediction = found.prediction
    return {
        "model": prediction.model,
        "accept": prediction["accept"],
        "label": prediction.label,
        "logit": found.logit,
        "start": found.start,
        "accepting": [vars(reason) for reason in found.accepting],
        "rejecting": [vars(reason) for reason in found.rejecting],
        "contributions": [vars(one) for one in found.contributions],
        "beside": {f"{one.model}.{one.label}": one.value for one in scores},
    }
