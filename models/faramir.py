"""FARAMIR: whether a picture is fit for a fantasy art data set, and why (redhottensors/FARAMIR)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np

from ..core.prediction import LOGIT, PROBABILITY, Floats, Labels, Range
from ..core.spec import Build, ModelSpec, Network, WeightFile
from . import faramir_tuned
from .aesthetic import HEAD, aesthetic_head
from .arniqa import ENCODER, encoder
from .faramir_views import PictureView, QualityView
from .siglip import SIGLIP, tower

if TYPE_CHECKING:
    from torch import Tensor

    from .nets.faramir import Own

ACCEPTED = (
    *("3d_realism", "3d_human", "3d_scene", "3d_environment", "3d_untex", "3d_untex_human"),
    *("2d_fantasy", "2d_human", "2d_anime"),
)
REJECTED = (
    *("2d_sketch", "2d_bad", "2d_cute", "3d_model_bad", "3d_model_simple", "3d_scene_bad", "3d_untex_bad"),
    *("3d_multi", "3d_untex_multi", "2d_multi", "multi_img", "3d_cute", "3d_no_fur", "3d_miniature", "3d_rig"),
    *("3d_wireframe", "text", "real_human", "technology", "ui", "degraded"),
)
CLASSES = (*ACCEPTED, *REJECTED)
AESTHETIC = "aesthetic_on_faramir_view"
"""Not the published aesthetic score, which comes from another view of the picture: that is `aesthetic.score`."""

COLUMNS: tuple[tuple[str, str, Range], ...] = (
    ("accept", "decision", PROBABILITY),
    *((name, "accept", PROBABILITY) for name in ACCEPTED),
    *((name, "reject", PROBABILITY) for name in REJECTED),
    ("confidence", "decision", PROBABILITY),
    ("accept logit", "decision", LOGIT),
    *((f"{name} logit", "logit", LOGIT) for name in CLASSES),
    *((f"{name} raw", "raw", LOGIT) for name in CLASSES),
    *((f"{name} gate", "gate", LOGIT) for name in CLASSES),
    ("free 1", "free", LOGIT),
    ("free 2", "free", LOGIT),
    (AESTHETIC, "aesthetic", Range(1.0, 10.0, "score")),
)
"""Label, group and range. `confidence` is the original's own name for the probability of acceptance.

A class's logit is its raw logit times the sigmoid of its gate; the thirty logits and the two free values are the exact
inputs of the decision.
"""

LABELS = Labels(*cast("tuple[tuple[str, ...], tuple[str, ...], tuple[Range, ...]]", tuple(zip(*COLUMNS, strict=True))))
THRESHOLD = 0.5
LOGITS = slice(LABELS.index(f"{CLASSES[0]} logit"), LABELS.index(f"{CLASSES[-1]} logit") + 1)

FAST_TOLERANCE = 0.03

OWN = WeightFile(
    name="faramir-v1.pth",
    url="https://github.com/redhottensors/FARAMIR/raw/main/faramir-v1.pth",
    git_sha1="405fc91604d0f6f01af63846dd550927f88c54a2",
    licence="MPL-2.0 (FARAMIR)",
    folder="faramir",
)

HELP = (
    "The model was trained on 6,500 hand-labelled images for a fantasy art data set: `accept` means fit for that. "
    "Its authors found 0.5 the best threshold; any other is a gate of yours, such as faramir.accept >= 0.7. The "
    "label is the strongest of nine accepting classes when accepted at 0.5, else the strongest of 21 rejecting "
    "ones. Its authors warn that it is not reliable enough to act as a safety filter.\n"
    "faramir:fixed differs from the original on purpose: ARNIQA sees the centre of the picture, not its top left "
    "corner, colour profiles are honoured under transparency, and pixels are not rounded to float16. The "
    "published weights were probably trained with the original's ways, so faramir itself keeps them.\n"
    "Where the original refuses a picture (grey or palette with transparency, a broken colour profile), it is "
    "answered as the nearest mode that the original takes."
)


def build(given: Build, faithful: bool = True) -> Network:
    """The ensemble, its backbone and encoder shared with `aesthetic` and `arniqa`. Raises as the files' readers do."""
    from .nets.faramir import Faramir

    trunk, damage = tower(given), encoder(given)
    score, own = aesthetic_head(given), own_part(given)
    return Network(
        module=Faramir(trunk, damage, score, own),
        labels=LABELS,
        views=(PictureView(faithful), QualityView(faithful)),
        name=name,
        tolerance=FAST_TOLERANCE if given.precision == "fast" else 0.0,
        parts=(trunk, damage, score, own),
        batch=1 if given.device.type == "cpu" else 0,
    )


def own_part(given: Build) -> Own:
    """The attention pool, norm and head of faramir-v1.pth. Raises WrongWeights."""
    import torch

    from ..core.assign import Renamed, assign, build_on_meta
    from .nets.faramir import Own

    tensors = Renamed(given.tensors(OWN), _needed)
    own = build_on_meta(lambda: Own(**_sizes(tensors)))
    assign(own, tensors, path=given.path(OWN), model="faramir")
    if given.precision == "fast":
        own.attn_pool.to(torch.bfloat16)
    return own


def _needed(key: str) -> str | None:
    """Leaves out the counts from which the means and deviations were computed in training."""
    return None if key.startswith("norm.") and key.endswith((".weight", ".m2")) else key


def _sizes(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    sources = {"width": "norm.ap_norm.mean", "hidden": "attn_pool.mlp.fc1.bias", "quality": "norm.q_norm.mean"}
    return {size: int(tensors[key].shape[0]) for size, key in sources.items() if key in tensors and tensors[key].ndim}


def name(values: Floats) -> tuple[str, float]:
    """The strongest accepting class when accepted at 0.5, else the strongest rejecting one.

    The margin is in probability: how far the decision is from the threshold, or the two strongest classes are from
    where they meet, whichever is less.
    """
    accept = float(values[0])
    logits = values[LOGITS]
    if np.isnan(accept) or np.isnan(logits).any():
        return "", 0.0
    start, stop = (0, len(ACCEPTED)) if accept > THRESHOLD else (len(ACCEPTED), len(CLASSES))
    order = start + np.argsort(-logits[start:stop], kind="stable")
    first, second = (float(values[1 + index]) for index in order[:2])
    return CLASSES[int(order[0])], min(abs(accept - THRESHOLD), (first - second) / 2)


SPEC = ModelSpec(
    id="faramir",
    title="FARAMIR v1",
    summary="Whether a picture is fit for a fantasy art data set, and the strongest of 30 reasons. No safety filter.",
    source="https://github.com/redhottensors/FARAMIR",
    licence="MPL-2.0; with SigLIP (Apache-2.0), ARNIQA (Apache-2.0) and Aesthetic Predictor V2.5 (AGPL-3.0)",
    weights=(OWN, SIGLIP, ENCODER, HEAD),
    cost=717.0,
    gate="accept: faramir.accept >= 0.5",
    labels=lambda: LABELS,
    build=build,
    help=HELP,
)
SPEC = replace(
    SPEC,
    variants=(replace(SPEC, id="faramir:fixed", build=partial(build, faithful=False)),),
    find=partial(faramir_tuned.find, SPEC),
)
