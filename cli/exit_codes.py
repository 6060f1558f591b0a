"""The command's exit codes."""

from __future__ import annotations

from rich.markup import escape

from ..core.errors import one_line

OK = 0
"""Finished; every image has its verdict."""
ERROR = 1
"""Nothing was done, or not everything: one line on the terminal says why."""
USAGE = 2
"""The command line itself was wrong."""
UNJUDGED = 3
"""Finished, but some files could not be read, or some images could not be judged; they are listed."""
INTERRUPTED = 130
"""Stopped by Ctrl-C; finished work is kept, and the next run continues from there."""

HELP = (
    "Exit codes: 0 finished; 1 stopped by an error; 2 wrong usage; 3 finished, but some files could not be read or "
    "judged; 130 interrupted."
)


def escaped(text: str) -> str:
    """Text of unknown origin, made safe to print: no control characters in its lines, no markup."""
    return "\n".join(escape(one_line(line)) for line in text.split("\n"))
