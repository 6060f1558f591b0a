"""`keepers` and `python -m keepers`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; without its two libraries, say how to get them."""
    try:
        from .cli.app import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich", "click"):
            raise
        sys.exit(f"The command line needs {error.name}. Install it with: pip install 'keepers[cli]'")
    app()


if __name__ == "__main__":
    main()
