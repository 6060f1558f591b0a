"""Assigns images to cross-validation folds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDS = 5


def folds(keep: NDArray[np.bool_], groups: Sequence[str] = (), count: int = FOLDS, seed: int = 0) -> NDArray[np.intp]:
    """[n]: the fold of each image, from 0 to count - 1, with keeps and rejects spread as evenly as possible.

    Images of one group stay together: pictures of one prompt resemble each other, and training on one would leak its
    siblings. An empty group name stands for a group of its own.
    """
    names = [name or f"\0{index}" for index, name in enumerate(groups or [""] * len(keep))]
    _, group = np.unique(names, return_inverse=True)
    kept = np.bincount(group, weights=keep)
    sizes = np.bincount(group)
    random = np.random.default_rng(seed)
    order = random.permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    filled = np.zeros((count, 2))
    fold = np.empty(len(sizes), dtype=np.intp)
    for one in order:  # largest group first, each to the fold that has least of what it brings
        brings = np.array([kept[one], sizes[one] - kept[one]])
        fold[one] = int(np.argmin(filled @ (brings / brings.sum()) + 1e-6 * filled.sum(1)))
        filled[fold[one]] += brings
    return fold[group]
