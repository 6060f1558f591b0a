"""Where marked images lie, as a report shows them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..pages.rows import address_link, link

if TYPE_CHECKING:
    from ...collection.mark_store import MarkStore


def shown_places(known: MarkStore, contents: Sequence[str], folder: Path) -> dict[str, tuple[str, str]]:
    """By content, the text and the link for a page in `folder`; a file that still exists is preferred.

    Images without a known place are named by their content.
    """
    paths = known.paths(contents)
    addresses = known.addresses([content for content in contents if content not in paths])
    return {one: _shown(one, paths.get(one, ()), addresses.get(one, ""), folder) for one in contents}


def _shown(content: str, paths: Sequence[Path], address: str, folder: Path) -> tuple[str, str]:
    if address:
        return address, address_link(address)
    seen = paths or [Path(content)]
    there = next(filter(Path.is_file, seen), seen[0])
    return str(there), link(there, folder)
