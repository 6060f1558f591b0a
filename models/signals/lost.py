"""Lost parts: areas of one exact value that cut through texture, as a decoder or an upscaler leaves them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ...core.prediction import Floats
from .flat_areas import CELL, Area, Border, flat_areas

if TYPE_CHECKING:
    from numpy.typing import NDArray

REACH = 24
"""Pixels on either side of a border that are looked at."""
PIECE = 32
"""Pixels of a border that are looked at together."""
PIECES = 16
"""Pieces of a border that are looked at, spread over its length."""
BAR = 0.25
"""The share of a side from which a bar along one side of the picture is lost, and not meant."""


@dataclass(frozen=True)
class Cut:
    """How an area ends at one of its borders."""

    border: Border
    straight: float
    """The share of the pieces that end at one place, or that a ramp of one form begins in."""
    steep: bool
    """It ends from one pixel to the next, not in a ramp."""
    textured: float
    """The share of the pieces that have texture beside them."""
    at: int
    """As `Border.at`, to about 4 pixels."""


def measure_lost(picture: Image.Image, grey: NDArray[np.uint8], alpha: Image.Image | None = None) -> float:
    """The share of a picture that is lost: a half, three quarters, or tiles of one exact value; 0 if nothing is.

    An area of one value (`flat_areas`) is lost if all its borders are straight and cut through texture:
    - straight: 3/4 of the pieces of a border step at one place (two, where a row of JPEG blocks ended early), by 0.4 of
      the difference between both sides; or all their ramps reach 0.35 of it at one distance, which feathered seams do;
    - texture: 3/5 of the pieces, and 2/5 of each border, have pixels beside them that differ along the border, by
      more than the blocks of pixel art do, and few that are of the area's own value, as around letters.
    Areas that are meant are told from these by what is around them, and one of them clears the whole picture:
    - a straight area without texture beside it: windows, flat drawings, panels between gutters;
    - a border of the picture on three sides: frames, passe-partouts, pages;
    - bars along the sides that differ by less than a quarter of the picture: cinema, subtitles;
    - borders that go on as seams beyond the area: a collage with an empty cell. A seam is told as the blockiness of
      JPEG is (Wang, Sheikh, Bovik, "No-reference perceptual quality assessment of JPEG compressed images", 2002): by
      the mean difference across a line over that across its neighbours.
    Transparent areas are not looked at: no decoder leaves them.
    `picture` is in mode L or RGB, `grey` [H, W] the same in mode L, `alpha` its opacity, None where all is opaque.
    """
    judged: list[tuple[Area, Floats, list[Cut]]] = []
    areas = flat_areas(grey)
    middles = _middles(picture) if areas else grey
    if areas and alpha is not None:
        seen = _middles(alpha)[:, :, 0] > 0
        areas = [area for area in areas if seen[area.cells].any()]
    for area in areas:
        for colour, cuts in _judged(area, picture, middles):
            if not _through_texture(cuts):
                return 0.0
            judged.append((area, colour, cuts))
    if not judged:
        return 0.0
    lost = np.stack([area.cells for area, _, _ in judged]).max(axis=0)
    cuts = [cut for _, _, of_area in judged for cut in of_area]
    if _only_bars(lost) or any(_framed(picture, colour) for _, colour, _ in judged) or _goes_on(cuts, lost, picture):
        return 0.0
    return float(lost.mean())


def _middles(picture: Image.Image) -> NDArray[np.uint8]:
    """The pixel in the middle of each whole cell, [H // CELL, W // CELL, channels]."""
    wide, high = (side // CELL for side in picture.size)
    found = picture.resize((wide, high), Image.Resampling.NEAREST, (0, 0, wide * CELL, high * CELL))
    return np.asarray(found).reshape(high, wide, -1)


def _judged(area: Area, picture: Image.Image, middles: NDArray[np.uint8]) -> list[tuple[Floats, list[Cut]]]:
    """The colour of an area and its cuts, if it has one colour and all cuts are straight."""
    places = np.flatnonzero(area.cells)
    inside = middles.reshape(area.cells.size, -1)[places[:: max(1, len(places) // 48)]].astype(np.float32)
    colour = np.median(inside, axis=0)
    if (np.abs(inside - colour).max(axis=1) > 4).mean() > 0.05:
        return []
    cuts: list[Cut] = []
    for border in area.borders:
        cuts.append(_cut(border, colour, picture))
        if cuts[-1].straight < 0.75:
            return []
    tile = len({cut.border.upright for cut in cuts}) == 2
    return [(colour, cuts)] if cuts and (tile or all(cut.steep for cut in cuts)) else []


def _through_texture(cuts: list[Cut]) -> bool:
    lengths = np.array([cut.border.end - cut.border.start for cut in cuts])
    shares = np.array([cut.textured for cut in cuts])
    return bool(shares.min() >= 0.4 and lengths @ shares >= 0.6 * lengths.sum())


def _cut(border: Border, colour: Floats, picture: Image.Image) -> Cut:
    pixels = _pieces(border, picture)
    away = np.abs(pixels[..., 0] - colour[0])
    for channel in range(1, len(colour)):  # far quicker than along an axis of three
        np.maximum(away, np.abs(pixels[..., channel] - colour[channel]), out=away)
    places, steep = _steps(away)
    straight, best = _at_one_place(places, steep)
    textured = _texture(pixels, away, places).mean() if straight >= 0.75 else 0.0
    if straight < 0.75:
        ramps, places = _ramps(away), np.full(len(away), 2 * REACH - 10)
        textured = _texture(pixels, away, places).mean() if ramps >= 0.75 else 0.0
        return Cut(border, float(ramps), False, float(textured), border.at)
    at = border.at + (best + 1 - REACH if border.before else REACH - best - 1)
    return Cut(border, straight, True, float(textured), at)


def _pieces(border: Border, picture: Image.Image) -> Floats:
    """[K, n, 2 * REACH, channels]: what lies along a border, from the area outwards."""
    first, last = border.at - REACH, border.at + REACH
    box = (first, border.start, last, border.end) if border.upright else (border.start, first, border.end, last)
    strip = np.asarray(picture.crop(box))
    strip = strip if border.upright else strip.swapaxes(0, 1)
    strip = strip if border.before else strip[:, ::-1]
    count = max(1, len(strip) // PIECE)
    long = len(strip) // count
    chosen = np.unique(np.linspace(0, count - 1, min(count, PIECES)).astype(np.intp))
    return strip[: count * long].reshape(count, long, 2 * REACH, -1)[chosen].astype(np.float32)


def _steps(away: Floats) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Where each piece [n, 2 * REACH] of distances from the area's colour steps most within 3 pixels, and if it does
    so at the end of the area."""
    means, capped = away.mean(axis=1), np.minimum(away, 64).mean(axis=1)
    places = (capped[:, 3:] - capped[:, :-3])[:, :-5].argmax(axis=1)
    every, sums = np.arange(len(away)), np.pad(means, ((0, 0), (1, 0))).cumsum(axis=1)
    outer = (sums[every, places + 9] - sums[every, places + 3]) / 6
    depth = np.maximum(places - 3, 1)
    step = means[every, places + 3] - means[every, places]
    return places, (step > 0.4 * outer) & (sums[every, depth] / depth < 0.3 * outer) & (outer > 8)


def _at_one_place(places: NDArray[np.intp], steep: NDArray[np.bool_]) -> tuple[float, int]:
    """The share of the pieces that step at the commonest place, and that place; of a long border, at the two
    commonest."""
    counts = np.bincount(places[steep], minlength=2 * REACH)
    near = np.convolve(counts, np.ones(5), "same")
    best = int(near.argmax())
    found = near[best]
    if len(places) >= 8:
        near[max(best - 4, 0) : best + 5] = 0
        found += near.max()
    return float(found) / len(places), best


def _ramps(away: Floats) -> float:
    """The share of the pieces that rise like most of the others."""
    means = away.mean(axis=1)
    far = means[:, -8:].mean(axis=1)
    rise = (means >= 0.35 * far[:, None]).argmax(axis=1)
    alike = np.abs(rise - np.median(rise)) <= 4
    return float((alike & (far > 12) & (means[:, :6].mean(axis=1) < 0.1 * far)).mean())


def _texture(pixels: Floats, away: Floats, places: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which pieces have texture beyond their step."""
    every = np.arange(len(pixels))[:, None]
    own_value = (away[every, :, places[:, None] + np.arange(3, 9)] <= 4).mean(axis=(1, 2))
    beside = pixels[every, :, places[:, None] + np.arange(4, 8)]
    changes = np.abs(np.diff(beside, axis=2)).mean(axis=3).reshape(len(pixels), -1)
    mean = changes.mean(axis=1)
    lower = np.sort(changes, axis=1)[:, : changes.shape[1] * 3 // 4].mean(axis=1)
    blocks = (mean > 0.4) & (lower < 0.1 * mean)
    return (own_value < 0.35) & (mean > 0.05) & ~blocks


def _only_bars(lost: NDArray[np.bool_]) -> bool:
    """Whether nothing but bars along the sides is lost, nearly as wide on one side as on the other."""
    (height, width), rows, columns = lost.shape, lost.min(axis=1), lost.min(axis=0)
    top, bottom, left, right = (int((~full).argmax()) for full in (rows, rows[::-1], columns, columns[::-1]))
    inner = lost[top : height - bottom, left : width - right]
    return not inner.any() and max(abs(top - bottom) / height, abs(left - right) / width) < BAR


def _framed(picture: Image.Image, colour: Floats) -> bool:
    """Whether three sides of a picture have a colour from end to end, compression aside."""
    wide, high = picture.size
    sides = ((0, 1, wide, 2), (0, high - 2, wide, high - 1), (1, 0, 2, high), (wide - 2, 0, wide - 1, high))
    lines = [np.asarray(picture.crop(side), dtype=np.float32).reshape(-1, len(colour)) for side in sides]
    return sum(bool((np.abs(line - colour).max(axis=1) <= 12).mean() > 0.9) for line in lines) >= 3


def _goes_on(cuts: list[Cut], lost: NDArray[np.bool_], picture: Image.Image) -> bool:
    """Whether every border that could go on as a seam does so."""
    seams = [seam for cut in cuts for seam in _seams(cut, lost, picture)]
    return bool(seams) and min(seams) > 1.8


def _seams(cut: Cut, lost: NDArray[np.bool_], picture: Image.Image) -> list[float]:
    """How much more changes across the line of a border, before and after it, than across the lines beside it."""
    border, cells = cut.border, lost if cut.border.upright else lost.T
    line = border.at // CELL
    free = ~cells[:, max(line - 3, 0) : line + 3].max(axis=1)
    found: list[float] = []
    for start, end in ((0, border.start // CELL), (border.end // CELL, len(free))):
        if free[start:end].sum() < 6:
            continue
        box = (cut.at - 16, start * CELL, cut.at + 17, end * CELL)
        part = np.asarray(picture.crop(box if border.upright else (box[1], box[0], box[3], box[2])), dtype=np.int16)
        part = (part if border.upright else part.swapaxes(0, 1))[free[start:end].repeat(CELL)]
        changes = np.abs(np.diff(part, axis=1)).reshape(len(part), 32, -1).mean(axis=(0, 2))
        found.append(float((changes[8:24].max() - 8) / (np.median(changes) + 0.5)))
    return found
