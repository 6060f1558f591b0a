"""SigLIP's own vector of a picture: it judges nothing, but a taste can be learned from it."""

from __future__ import annotations

from ..core.pictures.preprocess import Preprocess
from ..core.prediction import Labels, Range, no_name
from ..core.spec import Build, ModelSpec, Network
from .siglip import LICENCE, SIGLIP, TITLE, tower

WIDTH = 1152
GROUP = "input"
VIEW = Preprocess(384, "squash", "bicubic")
"""As the aesthetic predictor's, so that both share one view of the picture."""


def vector_labels(width: int = WIDTH) -> Labels:
    """One label for each channel: v0, v1, …"""
    return Labels(
        tuple(f"v{index}" for index in range(width)),
        (GROUP,) * width,
        (Range(-1.0, 1.0, "coordinate"),) * width,
        drifts=((GROUP, 0.02),),
    )


def build(given: Build) -> Network:
    """The backbone that FARAMIR and the aesthetic predictor share, and its published pool. Raises WrongWeights."""
    from .nets.siglip import Pooled

    trunk = tower(given)
    return Network(
        module=Pooled(trunk),
        labels=vector_labels(trunk.pos_embed.shape[-1]),
        views=(VIEW,),
        name=no_name,
        tolerance=1.0 if given.precision == "fast" else 0.0,
        parts=(trunk,),
        batch=1 if given.device.type == "cpu" else 0,
    )


SPEC = ModelSpec(
    id="siglip",
    title=f"{TITLE}, pooled",
    summary="SigLIP's feature vector of a picture. It judges nothing; keepers tune taste learns from it.",
    source="https://huggingface.co/timm/vit_so400m_patch14_siglip_384.webli",
    licence=LICENCE,
    weights=(SIGLIP,),
    cost=670.0,
    labels=vector_labels,
    build=build,
    help="Stored once for each image (4.6 KB), it makes any number of tastes cheap: keepers tune taste --on siglip.\n"
    "Limits: a single coordinate means nothing by itself, so a gate on one is of no use. The image is squashed to "
    "384 x 384, so fine detail is lost.",
)
