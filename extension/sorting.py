"""The Extras tab's files: their record, and the subfolder that their verdict says."""

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
    """What the Extras tab found out about one picture."""

    outcome: str
    record: str
    """The JSON that goes into its metadata."""
    apart: bool
    """Whether it goes into a subfolder."""
    settings: Settings


def of_extras(picture: Any) -> Sorted | None:
    """What was found out about a picture of the Extras tab."""
    found = getattr(picture, MARK, None)
    return found if isinstance(found, Sorted) else None


def before_sorted(params: Any) -> None:
    """Write the record into the file, and send it to its subfolder."""
    found = of_extras(params.image)
    assert found is not None
    params.pnginfo[KEY] = found.record
    if found.apart and found.outcome != "accept":
        path = Path(params.filename)
        folder = found.settings.subfolder(found.outcome, path.parent)
        folder.mkdir(parents=True, exist_ok=True)  # the host makes only its own folders, and fails without
        params.filename = str(unique(folder / path.name, (".txt",)))
