"""Lost tiles: halves, quarters and tiles of one value are found; bars, frames, pages and skies are left alone."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from keepers.core.pictures.open import open_image
from keepers.examples.pictures import ORDINARY, mountains, spheres
from keepers.models.signals.flat_areas import CELL, MOST, connected, flat_areas
from keepers.models.signals.lost import measure_lost
from keepers.models.signals.signals import LABELS, measure, name_failure

from .layouts_and_losses import LOSSES, MEANT, make


def lost(image: Image.Image) -> float:
    return measure_lost(image, np.asarray(image.convert("L")))


def label(image: Image.Image) -> str:
    return name_failure(measure(image))[0]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", [kind for kind in LOSSES if kind != "feathered_tile"])
def test_lost_parts_are_named(kind: str, seed: int) -> None:
    assert label(open_image(make(LOSSES, kind, seed))) == "lost"


def test_most_tiles_with_feathered_seams_are_named() -> None:
    files = [make(LOSSES, "feathered_tile", seed) for seed in range(5)]
    assert sum(label(open_image(file)) == "lost" for file in files) >= 3


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", MEANT)
def test_areas_that_are_meant_raise_no_alarm(kind: str, seed: int) -> None:
    values = measure(open_image(make(MEANT, kind, seed)))
    assert values[LABELS.index("lost")] == 0


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_pictures_have_lost_nothing(name: str) -> None:
    assert lost(ORDINARY[name]().convert("RGB")) == 0


BOXES = {
    "upper half": ((0, 0, 768, 256), 1 / 2),
    "lower half": ((0, 256, 768, 512), 1 / 2),
    "right third": ((512, 0, 768, 512), 1 / 3),
    "a tile": ((256, 256, 512, 512), 1 / 6),
    "a tile off the grid": ((203, 101, 399, 297), 196 * 196 / (768 * 512)),
}


@pytest.mark.parametrize("colour", [(0, 0, 0), (128, 128, 128), (255, 255, 255), (0, 255, 0), (255, 0, 255)], ids=str)
@pytest.mark.parametrize("box", BOXES)
def test_the_value_is_the_share_that_is_lost(box: str, colour: tuple[int, int, int]) -> None:
    picture, (place, share) = mountains((768, 512)), BOXES[box]
    picture.paste(colour, place)
    assert lost(picture) == pytest.approx(share, abs=0.03)
    assert label(picture) == "lost"


def test_three_quarters_and_two_tiles_add_up() -> None:
    picture = spheres((640, 640))
    picture.paste((0, 0, 0), (320, 0, 640, 640))
    picture.paste((0, 0, 0), (0, 320, 640, 640))
    assert lost(picture) == pytest.approx(3 / 4, abs=0.02)
    picture = mountains((768, 512))
    picture.paste((0, 0, 0), (0, 0, 128, 128))
    picture.paste((128, 128, 128), (512, 256, 640, 384))
    assert lost(picture) == pytest.approx(2 * 128 * 128 / (768 * 512), abs=0.01)


@pytest.mark.parametrize("kind", [("JPEG", 75), ("JPEG", 95), ("WEBP", 75), ("WEBP", 95)], ids=str)
def test_compression_hides_nothing(kind: tuple[str, int]) -> None:
    picture, file = mountains((771, 517)), io.BytesIO()
    picture.paste((128, 128, 128), (131, 77, 131 + 192, 77 + 192))
    picture.save(file, kind[0], quality=kind[1])
    assert label(open_image(file.getvalue())) == "lost"


def test_grey_pictures_lose_tiles_too() -> None:
    picture = mountains((512, 512)).convert("L")
    picture.paste(0, (256, 256, 512, 512))
    assert lost(picture) == pytest.approx(1 / 4, abs=0.01)


def test_a_bar_on_one_side_is_lost_from_a_quarter_on() -> None:
    for share, expected in ((0.2, False), (0.3, True)):
        picture = mountains((768, 512))
        picture.paste((0, 0, 0), (0, round(512 * (1 - share)), 768, 512))
        assert (lost(picture) > 0) == expected


def test_equal_bars_are_meant_however_wide() -> None:
    picture = mountains((768, 512))
    picture.paste((0, 0, 0), (0, 0, 768, 200))
    picture.paste((0, 0, 0), (0, 312, 768, 512))
    assert lost(picture) == 0


def test_a_flat_panel_elsewhere_clears_the_picture() -> None:
    picture = mountains((768, 512))
    picture.paste((0, 0, 0), (128, 128, 320, 320))
    assert lost(picture) > 0
    picture.paste((40, 90, 200), (448, 128, 704, 448))
    picture.paste((200, 90, 40), (480, 160, 672, 416))
    assert lost(picture) == 0


def test_a_small_flat_patch_is_no_tile() -> None:
    picture = mountains((768, 512))
    picture.paste((0, 0, 0), (300, 200, 340, 240))
    assert lost(picture) == 0


def test_the_parts_of_a_mask_are_those_that_hang_together() -> None:
    for seed in range(60):
        random = np.random.RandomState(seed)
        mask = random.rand(*random.randint(1, 20, 2)) < random.uniform(0.2, 0.8)
        expected = sorted(map(len, flooded(mask)), reverse=True)[:MOST]
        parts = list(connected(mask))
        assert [int(part.sum()) for part in parts] == expected
        assert all({*map(tuple, np.argwhere(part).tolist())} in flooded(mask) for part in parts)


def flooded(mask: np.ndarray) -> list[set[tuple[int, int]]]:
    """The parts of a mask, found cell by cell."""
    waiting, parts = {(int(y), int(x)) for y, x in np.argwhere(mask)}, list[set[tuple[int, int]]]()
    while waiting:
        part, fresh = set[tuple[int, int]](), [waiting.pop()]
        while fresh:
            y, x = fresh.pop()
            part.add((y, x))
            near = {(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)} & waiting
            waiting -= near
            fresh += near
        parts.append(part)
    return parts


def test_a_flat_area_knows_its_borders() -> None:
    grey = np.random.RandomState(0).randint(0, 256, (400, 480), dtype=np.uint8)
    grey[64:192, 320:] = 77
    (area,) = flat_areas(grey)
    assert area.level == 77
    assert area.cells.sum() * CELL**2 == 128 * 160
    borders = {(border.upright, border.at, border.start, border.end, border.before) for border in area.borders}
    assert borders == {(True, 320, 64, 192, False), (False, 64, 320, 480, False), (False, 192, 320, 480, True)}


def test_a_disc_is_no_flat_area() -> None:
    grey = np.random.RandomState(0).randint(0, 256, (512, 512), dtype=np.uint8)
    y, x = np.mgrid[:512, :512]
    grey[np.hypot(x - 256, y - 256) < 200] = 0
    assert flat_areas(grey) == []


def test_what_is_transparent_was_not_lost() -> None:
    """A picture was cut out straight, or stands on a larger canvas; an opaque tile in it is lost all the same."""
    picture = ORDINARY["mountains"]().convert("RGBA").resize((768, 512))
    picture.paste((0, 0, 0, 0), (0, 0, 768, 208))
    assert label(picture) == "ok"
    picture.paste((128, 128, 128, 255), (256, 304, 512, 512))
    assert label(picture) == "lost"
    opaque = ORDINARY["mountains"]().convert("RGBA").resize((768, 512))
    opaque.paste((128, 128, 128, 255), (0, 0, 768, 208))
    assert label(opaque) == "lost"
