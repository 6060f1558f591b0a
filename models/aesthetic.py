"""Aesthetic Predictor V2.5, as published (discus0434/aesthetic-predictor-v2-5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.pictures.preprocess import Preprocess
from ..core.prediction import Labels, Range, no_name
from ..core.spec import Build, ModelSpec, Network
from ..core.weights.weight_file import WeightFile
from .siglip import SIGLIP, tower

if TYPE_CHECKING:
    from .nets.aesthetic import AestheticHead

LABELS = Labels(("score",), ranges=(Range(1.0, 10.0, "score"),), drifts=(("", 0.3),))
VIEW = Preprocess(384, "squash", "bicubic")
"""As transformers' SigLIP processor: squashed, alpha dropped, -1 to 1."""

HEAD = WeightFile(
    name="aesthetic_predictor_v2_5.pth",
    url="https://github.com/discus0434/aesthetic-predictor-v2-5/raw/main/models/aesthetic_predictor_v2_5.pth",
    sha256="a6caf256b3dc434273c98dcb12f6bf17c5d4fc647d8df11f038386923dd06220",
    git_sha1="60efe17c0a08919dba527940b8af1dd02732bf78",
    size=2_644_834,
    licence="AGPL-3.0 (Aesthetic Predictor V2.5)",
    folder="aesthetic",
)


def build(given: Build) -> Network:
    """The published predictor; its backbone is shared with FARAMIR. Raises what the weight readers raise."""
    from .nets.aesthetic import Aesthetic

    trunk, head = tower(given), aesthetic_head(given)
    return Network(
        module=Aesthetic(trunk, head),
        labels=LABELS,
        views=(VIEW,),
        name=no_name,
        tolerance=1.0 if given.precision == "fast" else 0.0,
        parts=(trunk, head),
        batch=1 if given.device.type == "cpu" else 0,
    )


def aesthetic_head(given: Build) -> AestheticHead:
    """The five layers in float32, although they were saved in bfloat16. Raises WrongWeights."""
    from ..core.weights.assign import assign, build_on_meta
    from .nets.aesthetic import AestheticHead

    tensors = given.tensors(HEAD)
    first = tensors.get("scoring_head.0.weight")
    head = build_on_meta(lambda: AestheticHead(1152 if first is None or first.ndim < 2 else first.shape[1]))
    assign(head, tensors, path=given.path(HEAD), model="aesthetic")
    return head


SPEC = ModelSpec(
    id="aesthetic",
    title="Aesthetic Predictor V2.5",
    summary="How pleasing a picture is, from 1 to 10; 5.5 and above is considered great.",
    source="https://github.com/discus0434/aesthetic-predictor-v2-5",
    licence="AGPL-3.0; with SigLIP (Apache-2.0)",
    weights=(HEAD, SIGLIP),
    cost=670.0,
    gate="accept: aesthetic.score >= 5.5",
    labels=lambda: LABELS,
    build=build,
    help=(
        "FARAMIR's aesthetic_on_faramir_view is another number: the same head on FARAMIR's view of the image.\n"
        "Limits: nothing limits the score to 1 to 10, so it may fall a little outside. The image is squashed to "
        "384 x 384, whatever its shape, as published."
    ),
)
