"""The files of the Extras tab: their record, and the subfolder for their verdict."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.metadata.record import KEY
from ..core.paths import unique
from .options.settings import Settings

MARK = "_keepers_extras"


@dataclass(frozen=True)
class Sorted:
    """What the Extras tab found about one picture."""

    outcome: str
    record: str
    """The JSON that goes into its metadata."""
    apart: bool
    """Whether it goes into a subfolder."""
    settings: Settings


def of_extras(picture: Any) -> Sorted | None:
    """What was found about a picture of the Extras tab; None for any other picture."""
    found = getattr(picture, MARK, None)
    return found if isinstance(found, Sorted) else None


def before_sorted(params: Any) -> None:
    """Add the record to the file's metadata, and send the file to its subfolder."""
    found = of_extras(params.image)
    assert found is not None
    params.pnginfo[KEY] = found.record
    if found.apart and found.outcome != "accept":
        path = Path(params.filename)
        folder = found.settings.subfolder(found.outcome, path.parent)
        folder.mkdir(parents=True, exist_ok=True)  # the host creates only its own folders, and fails without ours
        params.filename = str(unique(folder / path.name, (".txt",)))
