"""What a file of learned taste says of itself: the model it stands on, and what it was learned from. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ..core.errors import WrongWeights
from .own_files import OwnFormat

Kind = Literal["decision", "probe"]


@dataclass(frozen=True)
class Provenance:
    """The description of a learned taste."""

    kind: Kind
    base: str
    """The model whose values it reads: "faramir", "jtp", "siglip"."""
    base_file: str
    """The fingerprint of the file that the base's values depend on."""
    trained: str = ""
    """ISO 8601, UTC."""
    keeps: int = 0
    rejects: int = 0
    labels: str = ""
    """SHA-256 of the labels it was learned from."""
    training: Mapping[str, Any] = field(default_factory=dict[str, Any])
    metrics: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Cross-validated, each as [value, low, high] with 95 % confidence."""

    def metadata(self) -> dict[str, str]:
        """The metadata of a safetensors file."""
        return FORMAT.metadata(asdict(self))

    def summary(self) -> str:
        """One line for the list of models."""
        mcc = self.metrics.get("mcc")
        worth = ""
        if isinstance(mcc, list) and len(mcc) == 3 and all(isinstance(part, float) for part in mcc):
            worth = f"; MCC {mcc[0]:.2f} ({mcc[1]:.2f} to {mcc[2]:.2f}) on images held out"
        day = f", {self.trained[:10]}" if self.trained else ""
        return f"Your taste on {self.base}, from {self.keeps} keeps and {self.rejects} rejects{day}{worth}."


def _read(found: Mapping[str, Any]) -> Provenance:
    known = Provenance(**found)
    texts = (known.base, known.base_file, known.trained, known.labels)
    if known.kind not in ("decision", "probe") or not all(isinstance(text, str) for text in texts):
        raise ValueError("its description is damaged")
    if not all(type(n) is int for n in (known.keeps, known.rejects)):
        raise ValueError("its counts are damaged")
    if not isinstance(known.metrics, dict) or not isinstance(known.training, dict):
        raise ValueError("its metrics are damaged")
    return known


FORMAT = OwnFormat(
    key="keepers_taste",
    number=1,
    what="a learned taste",
    read=_read,
    missing="it was not written by keepers tune",
    other="its format is of another version of Keepers",
    damaged="{error}",
)


def require_base(known: Provenance, found: str, path: object) -> None:
    """Raises WrongWeights for a taste that was learned on another file of its base."""
    if known.base_file != found:
        detail = (
            f"it was learned on another file of {known.base} than the one that is here now, so its numbers would mean "
            "nothing; learn it again with keepers tune, which takes seconds once the images are scored"
        )
        raise WrongWeights(path, "this machine", detail=detail)
