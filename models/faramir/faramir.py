"""FARAMIR: whether a picture is fit for a fantasy art data set, and why (redhottensors/FARAMIR)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from ...core.spec import Build, ModelSpec, Network
from ..aesthetic import HEAD, aesthetic_head
from ..arniqa import ENCODER, encoder
from ..siglip import SIGLIP, tower
from . import tuned
from .labels import LABELS, name
from .own import OWN, own_part
from .views import PictureView, QualityView

HELP = (
    "The model was trained on 6,500 hand-labelled images for a fantasy art data set: `accept` means fit for that. "
    "Its authors found 0.5 the best threshold; for another, write a gate such as faramir.accept >= 0.7. The "
    "label is the strongest of nine accepting classes when accepted at 0.5, else the strongest of 21 rejecting "
    "ones.\n"
    "faramir:fixed differs from the original on purpose: ARNIQA sees the centre of the picture, not its top left "
    "corner, colour profiles are honoured under transparency, and pixels are not rounded to float16. The "
    "published weights were probably trained with the original's ways, so faramir itself keeps them.\n"
    "Where the original refuses a picture (grey or palette with transparency, a broken colour profile), it is "
    "answered as the nearest mode that the original takes.\n"
    "Limits: its authors warn that it is not reliable enough to act as a safety filter. ARNIQA sees at most 512 x 512 "
    "pixels of a picture. Nothing limits aesthetic_on_faramir_view to 1 to 10."
)


def build(given: Build, faithful: bool = True) -> Network:
    """The ensemble; it shares its towers with `aesthetic` and `arniqa`. Raises what the weight readers raise."""
    from .net import Faramir

    trunk, damage = tower(given), encoder(given)
    score, own = aesthetic_head(given), own_part(given)
    return Network(
        module=Faramir(trunk, damage, score, own),
        labels=LABELS,
        views=(PictureView(faithful), QualityView(faithful)),
        name=name,
        tolerance=1.0 if given.precision == "fast" else 0.0,
        parts=(trunk, damage, score, own),
        batch=1 if given.device.type == "cpu" else 0,
    )


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
    variants=(
        replace(
            SPEC,
            id="faramir:fixed",
            build=partial(build, faithful=False),
            gate="accept: faramir:fixed.accept >= 0.5",
        ),
    ),
    find=partial(tuned.find, SPEC),
)
