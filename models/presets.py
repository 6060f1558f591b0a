"""Named gates for common wishes. All begin with `signals`, whose cost is nothing beside that of a net."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..core.errors import UnknownName

_FLAWS = 'review: signals.label in ("tiny", "tiled", "duplicate")\nreject: signals.label != "ok"\n'
"""A failed generation is refused before any net is asked; what may be intended goes to a person."""


@dataclass(frozen=True)
class Preset:
    """A gate with a name."""

    name: str
    gate: str
    """The gate text."""
    summary: str
    """One sentence for users."""


_ALL = (
    Preset(
        "signals",
        'accept: signals.label == "ok"\nreview: signals.label in ("tiny", "tiled", "duplicate")',
        "Refuses failed generations (black, blank, noise, blur, ...) and needs no weights.",
    ),
    Preset(
        "coherent",
        _FLAWS + 'review: coherence.label == "semi-incoherent"\naccept: coherence.label == "coherent"',
        "Refuses failed and incoherent images, and leaves semi-incoherent ones to you.",
    ),
    Preset(
        "faramir",
        _FLAWS
        + 'review: coherence.label == "semi-incoherent"\naccept: coherence.coherent >= 0.5 and faramir.accept >= 0.5',
        "Accepts coherent images that FARAMIR accepts, and leaves semi-incoherent ones to you.",
    ),
    Preset(
        "strict",
        'accept: signals.label == "ok" and coherence.coherent >= 0.8 and faramir.accept >= 0.8',
        "Accepts only what both models are sure of and refuses all else, for long unattended batches.",
    ),
    Preset(
        "dataset",
        'reject: signals.label != "ok"\n'
        "accept: coherence.coherent >= 0.7 and faramir.accept >= 0.7\n"
        "review: coherence.coherent >= 0.3 and faramir.accept >= 0.3",
        "For training sets: refuses flaws and duplicates, accepts the sure ones, and leaves the doubtful ones to you.",
    ),
    Preset(
        "flag",
        'review: signals.label != "ok" or coherence.label != "coherent"',
        "Refuses nothing: whatever looks failed or not quite coherent is put up for review.",
    ),
)

PRESETS: Mapping[str, Preset] = {preset.name: preset for preset in _ALL}
"""By name, the simplest first."""


def preset(name: str) -> Preset:
    """The preset of a name. Raises UnknownName, with close matches."""
    try:
        return PRESETS[name]
    except KeyError:
        raise UnknownName("preset", name, PRESETS) from None
