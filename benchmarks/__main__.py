"""`python -m keepers.benchmarks [NAME …]`: the benchmarks, all or by name. Compare ratios within one run."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def main() -> None:
    """Run the benchmarks named, or all of them."""
    here = Path(__file__).parent
    names = sorted(path.stem for path in here.glob("*.py") if not path.stem.startswith("_") and path.stem != "timing")
    for name in sys.argv[1:] or names:
        if name not in names:
            sys.exit(f"There is no benchmark {name!r}; there are {', '.join(names)}.")
        print(f"== {name}", flush=True)
        importlib.import_module(f"keepers.benchmarks.{name}").main()


if __name__ == "__main__":
    main()
