"""Which of several near-duplicates is the better picture, in a fixed order.

"largest", the usual order: more pixels, then less compressed, then not named as an intermediate, then newer. The others
put one thing before that: "newest" the time of the file, "best" a number that the gate reads, "first" the place in the
list. What is still equal keeps the order of the list.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

KeepDuplicate = Literal["largest", "best", "newest", "first"]
KEEP_DUPLICATE: tuple[KeepDuplicate, ...] = get_args(KeepDuplicate)

_INTERMEDIATE = re.compile(
    r"""
    -(ad-)?before(-[\w-]+)?$        # the WebUI and ADetailer: -before-highres-fix, -ad-before
    | [-_ .](ad-)?(preview|thumb|thumbnail|small|lowres|low-res|draft|intermediate)([-_ ]?\w{1,3})?$
    | ^(thumb|thumbnail|preview)[-_ .]
    | _temp_                        # ComfyUI's Preview Image
    | \s-\s?copy(\s\(\d+\))?$ | [_\s]copy(\s?\d+)?$ | \s\(\d+\)$
    """,
    re.IGNORECASE | re.VERBOSE,
)
_FOLDERS = re.compile(r"^(\.?thumb(nail)?s?|@eadir|\.?previews?|\.?cache|intermediates?)$", re.IGNORECASE)
_ENDING = re.compile(r"\.\w{1,5}$")


def is_intermediate(name: str) -> bool:
    """Whether a file's name or folder says that it is an earlier or smaller copy of another picture, or just a copy."""
    *folders, last = re.split(r"[/\\#]", name)
    return bool(_INTERMEDIATE.search(_ENDING.sub("", last))) or any(map(_FOLDERS.match, folders[-2:]))


@dataclass(frozen=True)
class Merits:
    """What decides between near-duplicates, an entry for each picture, in the order of the list."""

    pixels: NDArray[np.int64]
    quality: NDArray[np.int16]
    """As `quality_of`: 1 to 100, 101 for lossless, 0 unknown."""
    intermediate: NDArray[np.bool_]
    time_ns: NDArray[np.int64]
    """When the file was changed last."""

    def order(self, keep: KeepDuplicate = "largest") -> NDArray[np.int64]:
        """[N]: the places of all pictures, the best first; for "best" as for "largest"."""
        places = np.arange(len(self.pixels))
        usual = (-self.time_ns, self.intermediate, -self.quality.astype(np.int64), -self.pixels)
        before = {"newest": (-self.time_ns,), "first": (places,)}
        return np.lexsort((places, *usual, *before.get(keep, ())))
