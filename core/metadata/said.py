"""What a file holds for the readers of single programs: its texts, and those of them that are JSON objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .values import NOTHING, json_object, json_value


@dataclass(frozen=True)
class Said:
    """The texts of a file by keyword."""

    texts: Mapping[str, str]
    objects: Mapping[str, Mapping[str, object]]
    """The texts that are JSON objects, parsed."""

    @staticmethod
    def of(texts: Mapping[str, str]) -> Said:
        """The texts, with those parsed that are JSON objects, or JSON texts that are such."""
        texts = {key: _unquoted(value) for key, value in texts.items()}
        parsed = ((key, json_object(value)) for key, value in texts.items())
        return Said(texts, {key: found for key, found in parsed if found})

    def having(self, *keys: str) -> Mapping[str, object]:
        """The first object that has all of these keys; empty if none has."""
        return next((one for one in self.objects.values() if all(key in one for key in keys)), NOTHING)

    def first(self, *keywords: str) -> Iterator[str]:
        """The texts under these keywords, as far as they are there, in this order."""
        return (self.texts[keyword] for keyword in keywords if keyword in self.texts)


def _unquoted(text: str) -> str:
    """What a text says that some savers have written as JSON twice."""
    found = json_value(text) if text[:8].lstrip().startswith('"{') else None
    return found if isinstance(found, str) else text
