"""JTP-1, the Joint Tagger Project's e621 tagger: PILOT and PILOT2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import WrongWeights
from ..core.pictures.preprocess import Preprocess
from ..core.prediction import Labels, no_name
from ..core.spec import Build, ModelSpec, Network
from ..core.weights.weight_file import WeightFile
from .tag_files import read_tag_index

if TYPE_CHECKING:
    from torch import Tensor, nn

    from .nets.jtp import PlainHead

BUILT_IN_TAGS = Path(__file__).parent / "labels" / "jtp_tags.json"
TAG_COUNT = 9083
REPO = "RedRocket/JointTaggerProject"
LICENCE = "Apache-2.0"
DRIFTS = (("", 0.04),)
"""For every tag; see benchmarks/drift.py."""

VIEW = Preprocess(size=384, fit="pad", resample="lanczos", alpha="composite", background=0.5)
"""As in the original: small pictures are enlarged, mid-grey lies under transparency and pads the square."""

HELP = """The card recommends a threshold of 0.2.
PILOT2 (JTP-1.1) multiplies each probability by a gate, and is recognised by its tensors, whatever the file is called.
Plain `jtp` takes PILOT where both files are there, because the card's threshold was measured on it; `jtp:pilot` and
`jtp:pilot2` choose one. A `tags.json` next to the weights replaces the built-in list, once it has been checked.
Limits: it knows e621's tags with over 500 posts and no others: no artists and no characters."""


def _file(name: str, folder: str, alternatives: tuple[WeightFile, ...] = ()) -> WeightFile:
    return WeightFile(
        f"{name}-vit_so400m_patch14_siglip_384.safetensors",
        repo=REPO,
        path=f"{folder}/{name}-vit_so400m_patch14_siglip_384.safetensors",
        licence=LICENCE,
        alternatives=alternatives,
    )


PILOT2 = _file("JTP_PILOT2-e3", "JTP_PILOT2")
PILOT = _file("JTP_PILOT-e4", "JTP_PILOT")
EITHER = _file("JTP_PILOT-e4", "JTP_PILOT", alternatives=(PILOT2,))


@lru_cache(maxsize=1)
def built_in_labels() -> Labels:
    """The 9,083 tags in the order of the outputs; PILOT2's own list only has spaces for underscores."""
    return Labels(read_tag_index(BUILT_IN_TAGS, "jtp", TAG_COUNT), drifts=DRIFTS)


def build(request: Build, file: WeightFile = EITHER) -> Network:
    """The net of a PILOT or PILOT2 file. Raises what the weight readers raise, and WrongWeights."""
    from .nets.jtp import Tagger

    path = request.path(file)
    head = _head(request.tensors(file), path)
    return Network(
        Tagger(_tower(request, file), head),
        labels=_labels(path, head.count),
        views=(VIEW,),
        name=no_name,
        tolerance=1.0 if request.precision == "fast" else 0.0,
        batch=2,
    )


def _tower(request: Build, file: WeightFile) -> nn.Module:
    """SigLIP's image tower with JTP's own weights: the authors trained all of it, so nothing is shared."""
    from ..core.weights.assign import Renamed
    from .siglip import load

    def tensors(_file: WeightFile) -> Mapping[str, Tensor]:
        return Renamed(request.tensors(file), lambda name: None if name.startswith("head.") else name)

    return load(replace(request, tensors=tensors, path=lambda _file: request.path(file)))


def _head(tensors: Mapping[str, Tensor], path: Path) -> PlainHead:
    """The head that the file's own keys call for."""
    from ..core.weights.formats.read import require_finite
    from .nets.jtp import GatedHead, PlainHead

    kind, prefix = (GatedHead, "head.linear") if "head.linear.weight" in tensors else (PlainHead, "head")
    names = {f"{prefix}.weight", f"{prefix}.bias"}
    found = {key for key in tensors if key.startswith("head.")}
    if found != names:
        raise WrongWeights(path, "jtp", missing=names - found, unexpected=found - names)
    require_finite({name: tensors[name] for name in names}, path)
    weight, bias = (tensors[f"{prefix}.{part}"] for part in ("weight", "bias"))
    if weight.ndim != 2 or bias.shape != weight.shape[:1] or weight.shape[0] % kind.outputs:
        detail = f"its head has the shapes {tuple(weight.shape)} and {tuple(bias.shape)}"
        raise WrongWeights(path, "jtp", detail=detail)
    return kind(weight, bias)


def _labels(weights: Path, count: int) -> Labels:
    """The tags next to the weights, or the built-in ones; either must fit the head."""
    beside = weights.parent / "tags.json"
    if beside.is_file():
        return Labels(read_tag_index(beside, "jtp", count), drifts=DRIFTS)
    if count != TAG_COUNT:
        detail = f"its head has {count} outputs, and the built-in tag list {TAG_COUNT}; put its tags.json next to it"
        raise WrongWeights(weights, "jtp", detail=detail)
    return built_in_labels()


def _spec(model: str, title: str, file: WeightFile, variants: tuple[ModelSpec, ...] = ()) -> ModelSpec:
    return ModelSpec(
        id=model,
        title=title,
        summary="Tags an image with 9,083 e621 tags, mainly for furry art. A tag counts from a probability of 0.2.",
        source=f"https://huggingface.co/{REPO}",
        licence=LICENCE,
        build=lambda request: build(request, file),
        weights=(file,),
        cost=667.0,
        labels=built_in_labels,
        tags={"": 0.2},
        variants=variants,
        help=HELP,
    )


SPEC = _spec(
    "jtp",
    "JTP-1 tagger",
    EITHER,
    (_spec("jtp:pilot", "JTP-1 PILOT tagger", PILOT), _spec("jtp:pilot2", "JTP-1.1 PILOT2 tagger", PILOT2)),
)
