"""The output of a scan over many machines, which commands read besides images and the store."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ..collection.mark_store import MarkStore
from ..core.errors import KeepersError
from .options import in_panel

if TYPE_CHECKING:
    from ..cluster.output.output import Output
    from ..collection.store import Store

_option = in_panel("Store")

SETTINGS = "keepers.json"
HOW = 'pip install "keepers[ray]"'

Scans = Annotated[
    list[str] | None,
    _option(
        "--scan",
        metavar="OUTPUT",
        help="The output of a scan with --engine ray, beside the store: its folder or address; repeatable.",
        show_default=False,
    ),
]


def named_output(places: Sequence[str] | None) -> Output | None:
    """The output named in place of images: any address, or a folder that holds an output.

    Raises KeepersError if anything else is named beside it, or if an address holds no output.
    """
    found = [place for place in places or () if "://" in place or (Path(place) / SETTINGS).is_file()]
    if not found:
        return None
    if len(places or ()) > 1:
        raise KeepersError(f"{found[0]} is the output of a scan: name it alone.")
    return open_output(found[0])


def open_output(where: str) -> Output:
    """An output that is not empty. Raises KeepersError."""
    with needing_arrow():
        from ..cluster.output.output import Output

    output = Output.at(where)
    output.require_settings()
    return output


def known_marks(store: Store, scans: Sequence[str] | None) -> MarkStore:
    """The user's marks, with what the store and the named outputs know about the images. Raises KeepersError."""
    if not scans:
        return MarkStore(store)
    outputs = [open_output(where) for where in scans]
    with needing_arrow():
        from ..cluster.output.known import KnownOutputs

    return KnownOutputs(store, outputs)


@contextmanager
def needing_arrow() -> Generator[None]:
    """Imports inside this block need pyarrow. Raises KeepersError that says how to install it."""
    try:
        yield
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "pyarrow":
            raise
        raise KeepersError(f"Reading the output of a scan needs pyarrow: {HOW}") from error
