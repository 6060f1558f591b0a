"""How many lost tiles `signals` finds, and how often it finds some where none are: LOST_COUNT pictures of each kind.

LOST_FIRST is the seed of the first picture of each kind.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from keepers.core.pictures.open import open_image
from keepers.models.signals.signals import LABELS, measure
from keepers.tests.models.signals.layouts_and_losses import LOSSES, MEANT, Made, make

COUNT = int(os.environ.get("LOST_COUNT", "5"))
FIRST = int(os.environ.get("LOST_FIRST", "100000"))
"""The first seed: one that no test uses."""


def found(kinds: Mapping[str, Made]) -> int:
    """Print a line for each kind, and count all pictures that lost something by what `signals` says."""
    place, total = LABELS.index("lost"), 0
    for kind in kinds:
        values = [measure(open_image(make(kinds, kind, FIRST + number)))[place] for number in range(COUNT)]
        some = sum(float(value) > 0 for value in values)
        print(f"  {kind:16} {some} of {COUNT}", flush=True)
        total += some
    return total


def main() -> None:
    """Print detections and false alarms, by kind and in all."""
    for title, kinds in (("lost parts found", LOSSES), ("false alarms", MEANT)):
        print(f"{title}:")
        total, pictures = found(kinds), COUNT * len(kinds)
        print(f"{title}: {total} of {pictures}, {total / pictures:.1%}")


if __name__ == "__main__":
    main()
