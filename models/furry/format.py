"""The metadata of a converted furry file: everything that its tensors do not say."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import CorruptWeights, one_line
from ..tag_files import check_tags

FORMAT = "keepers-furry-1"
RATING = "rating"
CUTS = (1 / 3, 2 / 3)
MEAN, STD = 0.5, 0.225
"""The author's normalisation, for all three channels."""


@dataclass(frozen=True)
class Layout:
    """What a converted file holds."""

    backbone: str
    """A timm architecture."""
    size: int
    """Pixels of the square input."""
    tags: Mapping[str, tuple[str, ...]]
    """The tags of each output, in the order of the model's outputs."""
    activations: Mapping[str, tuple[str, ...]]
    """The activation of each dense layer of each output, from the features on."""
    normalised: bool
    cuts: tuple[float, float] = CUTS
    """The ratings from which an image is questionable and explicit."""
    source: str = ""
    """The name of what was converted."""
    source_sha256: str = ""
    """SHA-256 of the tensor data that was converted."""
    handle: str = ""
    """Where the author's tower came from, as the SavedModel says."""

    def scaling(self, raw: bool | None = None) -> tuple[float, float]:
        """Mean and standard deviation for normalising pixels from 0 to 1."""
        return (MEAN, STD) if (self.normalised if raw is None else not raw) else (0.0, 1.0)

    def metadata(self) -> dict[str, str]:
        """The layout as metadata of a safetensors file."""
        return {
            "format": FORMAT,
            "backbone": self.backbone,
            "size": str(self.size),
            "tags": json.dumps(dict(self.tags)),
            "activations": json.dumps(dict(self.activations)),
            "normalised": json.dumps(self.normalised),
            "cuts": json.dumps(self.cuts),
            "source": self.source,
            "source_sha256": self.source_sha256,
            "handle": self.handle,
        }


def read_layout(metadata: Mapping[str, str], path: Path) -> Layout:
    """The layout from a file's metadata. Raises CorruptWeights."""
    if metadata.get("format") != FORMAT:
        found = one_line(metadata.get("format", "none"))
        raise CorruptWeights(
            f"{path} was not made by this version of `keepers convert furry` (format {found}); convert the zip again."
        )
    try:
        layout = Layout(
            backbone=metadata["backbone"],
            size=int(metadata["size"]),
            tags={str(group): check_tags(list(tags), path) for group, tags in json.loads(metadata["tags"]).items()},
            activations={str(group): tuple(names) for group, names in json.loads(metadata["activations"]).items()},
            normalised=json.loads(metadata["normalised"]) is True,
            cuts=check_cuts(json.loads(metadata["cuts"])),
            source=metadata.get("source", ""),
            source_sha256=metadata.get("source_sha256", ""),
            handle=metadata.get("handle", ""),
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise CorruptWeights(f"{path} has damaged metadata ({type(error).__name__}: {error}).") from error
    if not 16 <= layout.size <= 4096 or list(layout.tags) != list(layout.activations):
        raise CorruptWeights(f"{path} has metadata that contradicts itself.")
    return layout


def check_cuts(cuts: object) -> tuple[float, float]:
    """Two ratings, in order. Raises ValueError."""
    if not isinstance(cuts, list | tuple) or len(cuts) != 2:
        raise ValueError("two cuts are needed: where questionable begins, and where explicit begins")
    low, high = (float(cut) for cut in cuts)
    if not (math.isfinite(low) and math.isfinite(high) and 0 <= low <= high <= 1):
        raise ValueError(f"the cuts must be two numbers from 0 to 1 in order, not {low} and {high}")
    return low, high
