"""What feature vectors say about images: which are alike, which form groups, and where they lie on a plane."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..core.prediction import Floats
from .union_find import UnionFind

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = 1024
"""Rows compared at a time, so that memory grows with the number of images, not with its square."""


def directions(features: Floats) -> Floats:
    """The vectors scaled to length 1; a zero vector stays 0 and is like nothing."""
    lengths = np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)
    return np.divide(features, lengths, out=np.zeros(features.shape), where=lengths > 0).astype(np.float32)


def most_similar(query: Floats, features: Floats, count: int) -> list[tuple[int, float]]:
    """The rows of `features` [N, F] with the largest cosine to `query` [F], and that cosine; ties in row order."""
    cosines = directions(features) @ directions(query[None])[0]
    order = np.argsort(-cosines, kind="stable")[:count]
    return [(int(row), float(cosines[row])) for row in order]


def groups_alike(features: Floats, threshold: float) -> list[tuple[int, ...]]:
    """Groups of at least two rows, each joined to another of its group by a cosine of at least `threshold`.

    Largest group first, rows in order.
    """
    vectors = directions(features)
    joined = UnionFind(len(vectors))
    for start in range(0, len(vectors), BLOCK):
        cosines = vectors[start : start + BLOCK] @ vectors[start:].T
        for row, other in np.argwhere(cosines >= threshold):
            joined.join(start + int(row), start + int(other))
    found: dict[int, list[int]] = {}
    for row in range(len(vectors)):
        found.setdefault(joined.root(row), []).append(row)
    return sorted((tuple(rows) for rows in found.values() if len(rows) > 1), key=lambda rows: (-len(rows), rows))


def onto_plane(features: Floats) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """[N, 2]: the rows along the two directions of largest variance, and the share of the variance each explains.

    The sign of a direction makes its largest weight positive, so that the same images give the same picture.
    """
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    # The N x N and F x F matrices share their eigenvalues; the directions come from the smaller one.
    wide = centred.shape[1] > centred.shape[0]
    values, vectors = np.linalg.eigh(centred @ centred.T if wide else centred.T @ centred)
    axes = centred.T @ vectors if wide else vectors
    axes = np.pad(axes[:, ::-1][:, :2], ((0, 0), (0, max(0, 2 - axes.shape[1]))))
    lengths = np.linalg.norm(axes, axis=0)
    axes = np.divide(axes, lengths, out=np.zeros(axes.shape), where=lengths > 1e-12)
    axes *= np.where(np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0)[0] < 0, -1.0, 1.0)
    total = float(np.maximum(values, 0).sum())
    largest = [*np.maximum(values[::-1][:2], 0), 0.0][:2]
    first, second = (float(value) / total if total > 0 else 0.0 for value in largest)
    return centred @ axes, (first, second)
