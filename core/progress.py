"""How long work shows its progress and is stopped."""

from __future__ import annotations

import logging
from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called with how much is done, how much there is in all (0 when unknown), and of what."""
Check = Callable[[], None]
"""Called now and then; raises to stop."""


def silent(done: int, total: int, what: str) -> None:
    """Show no progress."""


def go_on() -> None:
    """Never stop."""


def log(text: str) -> None:
    """Write a line to the log of the program, which the hosts show in their terminal."""
    logging.getLogger("keepers").warning(text)
