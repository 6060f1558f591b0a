"""The safetensors files that Keepers writes itself: what they say of themselves, and where they lie. No torch here."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from ..core.errors import KeepersError, WrongWeights
from ..core.weights.formats.safetensors_header import read_metadata
from ..core.weights.store import WeightStore

Described = TypeVar("Described")

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What a user may call such a file."""
DAMAGE = (KeyError, ValueError, TypeError, AttributeError, RecursionError)
"""What reading a damaged description raises."""


@dataclass(frozen=True)
class OwnFormat(Generic[Described]):
    """A description in a file's metadata: one entry of JSON, a table with its format's number."""

    key: str
    """The entry of the metadata."""
    number: int
    """Raised when the format changes."""
    what: str
    """What such a file holds, as errors call it."""
    read: Callable[[Mapping[str, Any]], Described]
    """From the table, without its number. Raises one of `DAMAGE`."""
    missing: str
    """The error's text for a file without description."""
    other: str
    """The same for a format of another version."""
    damaged: str
    """The same for a description that cannot be read; "{error}" stands for what is wrong."""

    def metadata(self, described: Mapping[str, Any]) -> dict[str, str]:
        """The metadata of a file."""
        text = json.dumps({"format": self.number, **described}, ensure_ascii=False)
        return {self.key: text, "format": "pt"}

    def describe(self, metadata: Mapping[str, str], path: object) -> Described:
        """The description in a file's metadata. Raises WrongWeights."""
        if self.key not in metadata:
            raise WrongWeights(path, self.what, detail=self.missing)
        try:
            found = json.loads(metadata[self.key])
            if found.pop("format") != self.number:
                raise WrongWeights(path, self.what, detail=self.other)
            return self.read(found)
        except KeepersError:
            raise
        except DAMAGE as error:
            raise WrongWeights(path, self.what, detail=self.damaged.format(error=error)) from None

    def read_file(self, path: Path) -> Described:
        """The description in a file, from its header alone, remembered while the file stays as it is.

        Raises WrongWeights.
        """
        return self.describe(read_metadata(path, self.what), path)


def own_files(store: WeightStore, folder: str) -> Iterator[tuple[str, Path]]:
    """Name and path of the files in a sub-folder of the model folders, by name; the first folder wins."""
    found: dict[str, Path] = {}
    for place in store.folders:
        for path in sorted((place / folder).glob("*.safetensors")):
            if NAME.fullmatch(path.stem):
                found.setdefault(path.stem, path)
    yield from sorted(found.items())
