"""What a file of learned taste says of itself: on which model it stands, and what it learned from. No torch here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ...core.errors import WrongWeights
from ...core.weights.formats.safetensors_header import read_metadata
from ...core.weights.store import WeightStore

KEY = "keepers_taste"
"""The entry of a safetensors file's metadata that holds the description, as JSON."""
FORMAT = 1
WHAT = "a learned taste"
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")

Kind = Literal["decision", "probe"]


@dataclass(frozen=True)
class Provenance:
    """All that is told of a learned taste."""

    kind: Kind
    base: str
    """The model whose numbers it reads: "faramir", "jtp", "siglip"."""
    base_file: str
    """The fingerprint of the file that the base's numbers hang on."""
    trained: str = ""
    """ISO 8601, UTC."""
    keeps: int = 0
    rejects: int = 0
    labels: str = ""
    """sha256 over the labels it was learned from: equal for equal labels."""
    training: Mapping[str, Any] = field(default_factory=dict[str, Any])
    metrics: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Cross-validated, each as [value, low, high] with 95 % confidence."""

    def metadata(self) -> dict[str, str]:
        """The metadata of a safetensors file."""
        return {KEY: json.dumps({"format": FORMAT, **asdict(self)}, ensure_ascii=False), "format": "pt"}

    def summary(self) -> str:
        """One line for the list of models."""
        mcc = self.metrics.get("mcc")
        worth = ""
        if isinstance(mcc, list) and len(mcc) == 3 and all(isinstance(part, float) for part in mcc):
            worth = f"; MCC {mcc[0]:.2f} ({mcc[1]:.2f} to {mcc[2]:.2f}) on images held out"
        day = f", {self.trained[:10]}" if self.trained else ""
        return f"Your taste on {self.base}, from {self.keeps} keeps and {self.rejects} rejects{day}{worth}."


def describe(metadata: Mapping[str, str], path: object) -> Provenance:
    """The description in a file's metadata. Raises WrongWeights."""
    try:
        found = json.loads(metadata[KEY])
        if found.pop("format") != FORMAT:
            raise ValueError("its format is of another version of Keepers")
        known = Provenance(**found)
        texts = (known.base, known.base_file, known.trained, known.labels)
        if known.kind not in ("decision", "probe") or not all(isinstance(text, str) for text in texts):
            raise ValueError("its description is damaged")
        if not all(type(n) is int for n in (known.keeps, known.rejects)):
            raise ValueError("its counts are damaged")
        if not isinstance(known.metrics, dict) or not isinstance(known.training, dict):
            raise ValueError("its metrics are damaged")
    except KeyError:
        raise WrongWeights(path, WHAT, detail="it was not written by keepers tune") from None
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise WrongWeights(path, WHAT, detail=str(error)) from None
    return known


def read_provenance(path: Path) -> Provenance:
    """The description in a file, from its header alone, remembered while it stays as it is. Raises WrongWeights."""
    return describe(read_metadata(path, WHAT), path)


def trained_files(store: WeightStore, folder: str) -> Iterator[tuple[str, Path]]:
    """Name and path of the learned files in a sub-folder of the model folders; of equal names the first folder wins."""
    found: dict[str, Path] = {}
    for place in store.folders:
        for path in sorted((place / folder).glob("*.safetensors")):
            if NAME.fullmatch(path.stem):
                found.setdefault(path.stem, path)
    yield from sorted(found.items())


def require_base(known: Provenance, found: str, path: object) -> None:
    """Refuse a taste whose base is not the file it was learned on. Raises WrongWeights."""
    if known.base_file != found:
        detail = (
            f"it was learned on another file of {known.base} than the one that is here now, so its numbers would mean "
            "nothing; learn it again with keepers tune, which takes seconds once the images are scored"
        )
        raise WrongWeights(path, "this machine", detail=detail)
