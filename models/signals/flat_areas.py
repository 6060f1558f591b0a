"""Areas of one exact level whose outline is straight: rectangles, and what a few rectangles make up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CELL = 8
"""Pixels per side of the cells in which a picture is looked at; also the size of a latent pixel."""
NOISE = 1
"""Levels between the lowest and the highest pixel of a flat cell: what compression leaves of one exact value."""
SMALLEST = 8
"""Cells per side of the smallest area: 64 pixels."""
PICTURE = 48
"""Cells of the shorter side from which a picture is looked at: nobody decodes smaller ones in tiles."""
SHARE = 20
"""The smallest area is this part of the shorter side."""
MOST = 6
"""Areas of one level, and of a picture, that are looked at, the largest first."""
LINES = 6
"""An outline with more lines than this in one direction, or less straight than `RAGGED`, is no tile's."""
STRAIGHT = 12
"""Columns, and rows, that hold most of a straight outline."""
RAGGED = 1.1
"""Cells by which an outline may leave its lines, on average."""


@dataclass(frozen=True)
class Border:
    """A straight piece of an outline inside the picture, in pixels."""

    upright: bool
    at: int
    """The x of an upright border, the y of any other."""
    start: int
    end: int
    before: bool
    """The area lies to the left, or above."""


@dataclass(frozen=True)
class Area:
    """Connected cells of one level."""

    level: int
    cells: NDArray[np.bool_]
    """[H // CELL, W // CELL]"""
    borders: tuple[Border, ...]


def flat_areas(grey: NDArray[np.uint8]) -> list[Area]:
    """The areas of a picture [H, W] of at least `SMALLEST` cells in both directions."""
    low, high = _extremes(grey)
    smallest = max(SMALLEST, min(low.shape) // SHARE)
    if min(low.shape) < PICTURE:
        return []
    flat = high - low <= NOISE
    found: list[Area] = []
    for level in _common(low[flat], smallest**2):
        near = flat & (low >= max(level - NOISE, 0)) & (low <= level + NOISE)
        for cells in connected(_opened(near, smallest)):
            found += _straightened(cells, level)
    return sorted(found, key=lambda area: -int(area.cells.sum()))[:MOST]


def _extremes(grey: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The lowest and highest level of each whole cell."""
    height, width = (side // CELL for side in grey.shape)
    rows = grey[: height * CELL, : width * CELL].reshape(height, CELL, width * CELL)
    low, high = rows.min(axis=1), rows.max(axis=1)
    columns = [slice(start, None, CELL) for start in range(CELL)]  # far quicker than along an axis of eight
    return (
        np.minimum.reduce([low[:, column] for column in columns]),
        np.maximum.reduce([high[:, column] for column in columns]),
    )


def _common(levels: NDArray[np.uint8], enough: int) -> Iterator[int]:
    """The levels that have enough cells for an area, the commonest first; three at most, further apart than noise."""
    counts = np.bincount(levels, minlength=256)
    for _ in range(3):
        level = int(counts.argmax())
        near = slice(max(level - NOISE, 0), level + NOISE + 1)
        if counts[near].sum() < enough:
            return
        counts[near] = 0
        yield level


def _opened(mask: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """Only what whole squares of so many cells cover."""
    fits = _over_squares(np.logical_and, mask, side)
    around = np.zeros((mask.shape[0] + side - 1, mask.shape[1] + side - 1), dtype=bool)
    around[side - 1 : mask.shape[0], side - 1 : mask.shape[1]] = fits
    return _over_squares(np.logical_or, around, side)


def _over_squares(join: np.ufunc, mask: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """All cells of each square of so many cells joined, by doubling; [H - side + 1, W - side + 1]."""
    done = 1
    while done < side:
        step = min(done, side - done)
        mask = join(mask[step:], mask[:-step])
        mask = join(mask[:, step:], mask[:, :-step])
        done += step
    return mask


def connected(mask: NDArray[np.bool_]) -> Iterator[NDArray[np.bool_]]:
    """The largest parts of a mask that hang together along sides of cells.

    Runs of cells in a row get the least name among those they touch in the next row, until no name changes (He, Chao,
    Suzuki, "A run-based two-scan labeling algorithm", 2008, here with all runs at once).
    """
    row = mask.shape[1] + 2
    steps = np.diff(np.pad(mask, ((0, 0), (1, 1))).ravel().astype(np.int8), prepend=0)
    first, last = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)  # places in the padded rows, end to end
    begin, end = np.searchsorted(last, first + row, "right"), np.searchsorted(first, last + row, "left")
    touching = np.maximum(end - begin, 0)
    upper = np.repeat(np.arange(len(first)), touching)
    lower = np.arange(touching.sum()) + np.repeat(begin - touching.cumsum() + touching, touching)
    names = np.arange(len(first))
    while (names[upper] != names[lower]).any():
        least = np.minimum(names[upper], names[lower])
        np.minimum.at(names, upper, least)
        np.minimum.at(names, lower, least)
        names = names[names]
    sizes = np.bincount(names, weights=last - first, minlength=1)
    for name in np.argsort(-sizes)[:MOST]:
        if sizes[name]:
            part = np.zeros(mask.shape[0] * row, dtype=np.int8)
            part[first[names == name]], part[last[names == name]] = 1, -1
            yield part.cumsum(dtype=np.int8).astype(bool).reshape(mask.shape[0], row)[:, 1:-1]


def _straightened(cells: NDArray[np.bool_], level: int) -> list[Area]:
    """The area with straight borders that these cells nearly are, if there is one."""
    across, down = _changes(cells), _changes(cells.T)
    if np.sort(across)[-STRAIGHT:].sum() + np.sort(down)[-STRAIGHT:].sum() < 0.6 * (across.sum() + down.sum()):
        return []
    xs, ys = _lines(across), _lines(down)
    if not (2 <= len(xs) <= LINES and 2 <= len(ys) <= LINES):
        return []
    inner = cells[ys[0] : ys[-1], xs[0] : xs[-1]].astype(np.int32)
    counts = np.add.reduceat(np.add.reduceat(inner, ys[:-1] - ys[0], 0), xs[:-1] - xs[0], 1)
    sizes = np.diff(ys)[:, None] * np.diff(xs)
    filled = 2 * counts > sizes
    borders, length = _outline(filled, xs, ys, cells.shape)
    wrong = np.where(filled, sizes - counts, counts).sum() + cells.sum() - inner.sum()
    if not filled.any() or wrong > RAGGED * length:
        return []
    straight = np.zeros_like(cells)
    straight[ys[0] : ys[-1], xs[0] : xs[-1]] = filled.repeat(np.diff(ys), 0).repeat(np.diff(xs), 1)
    return [Area(level, straight, borders)]


def _changes(cells: NDArray[np.bool_]) -> NDArray[np.intp]:
    """How many cells of each upright line [W + 1] have the area on one side only."""
    between = (cells[:, 1:] != cells[:, :-1]).sum(axis=0)
    return np.concatenate([cells[:, :1].sum(axis=0), between, cells[:, -1:].sum(axis=0)])


def _lines(changes: NDArray[np.int_]) -> NDArray[np.intp]:
    """Where an outline runs along a line for `SMALLEST` cells or nearly so."""
    found: list[int] = []
    rest = changes.copy()
    while len(found) <= LINES:
        at = int(rest.argmax())
        near = slice(max(at - 2, 0), at + 3)
        if changes[max(at - 1, 0) : at + 2].sum() < SMALLEST - 2 or not rest[at]:
            break
        rest[near] = 0
        found.append(at)
    return np.array(sorted(found), dtype=np.intp)


def _outline(
    filled: NDArray[np.bool_], xs: NDArray[np.intp], ys: NDArray[np.intp], shape: tuple[int, ...]
) -> tuple[tuple[Border, ...], int]:
    """The borders inside a picture of so many cells, and the length of the whole outline in cells."""
    borders: list[Border] = []
    length = 0
    for upright, blocks, at, along, end in ((True, filled, xs, ys, shape[1]), (False, filled.T, ys, xs, shape[0])):
        sides = blocks.astype(np.int8)
        changes = np.column_stack([sides[:, 0], sides[:, 1:] - sides[:, :-1], -sides[:, -1]])
        for line, change in zip(at, changes.T, strict=True):
            for start, stop, sign in _stretches(change):
                first, last = int(along[start]), int(along[stop])
                length += last - first
                if 2 < line < end - 2:
                    borders.append(Border(upright, int(line) * CELL, first * CELL, last * CELL, sign < 0))
    return tuple(borders), length


def _stretches(change: NDArray[np.int8]) -> Iterator[tuple[int, int, int]]:
    """Start, end and value of the runs of values that are not 0."""
    at = [0, *(np.flatnonzero(np.diff(change)) + 1).tolist(), len(change)]
    for start, stop in pairwise(at):
        if change[start]:
            yield start, stop, int(change[start])
