"""The documented order of near-duplicates."""

from __future__ import annotations

import numpy as np
import pytest

from keepers.core.judging.better import KEEP_DUPLICATE, KeepDuplicate, Merits, is_intermediate

BEST, SMALLER, COMPRESSED, INTERMEDIATE, OLDER = range(5)
MERITS = Merits(
    pixels=np.array([200, 100, 200, 200, 200]),
    quality=np.array([101, 101, 90, 101, 101], dtype=np.int16),
    intermediate=np.array([False, False, False, True, False]),
    time_ns=np.array([5, 9, 8, 7, 4]),
)


@pytest.mark.parametrize(
    ("keep", "order"),
    [
        ("largest", [BEST, OLDER, INTERMEDIATE, COMPRESSED, SMALLER]),
        ("best", [BEST, OLDER, INTERMEDIATE, COMPRESSED, SMALLER]),
        ("newest", [SMALLER, COMPRESSED, INTERMEDIATE, BEST, OLDER]),
        ("first", [BEST, SMALLER, COMPRESSED, INTERMEDIATE, OLDER]),
    ],
)
def test_the_order(keep: KeepDuplicate, order: list[int]) -> None:
    assert MERITS.order(keep).tolist() == order
    assert keep in KEEP_DUPLICATE


def test_what_is_equal_keeps_the_order_of_the_list() -> None:
    equal = Merits(*(np.array([1, 1, 1]) for _ in range(4)))
    assert all(equal.order(keep).tolist() == [0, 1, 2] for keep in KEEP_DUPLICATE)


@pytest.mark.parametrize(
    "name",
    [
        "00000-30-before-highres-fix.png",
        "00000-30-before-color-correction.jpg",
        "00001-before.png",
        "a/00002-302-ad-before.png",
        "00002-302-ad-preview-1.png",
        "shot_thumb.jpg",
        "shot.thumbnail.webp",
        "thumb_shot.jpg",
        "a/.thumbnails/0.png",
        "nas/@eaDir/0.png/SYNOPHOTO_THUMB_M.jpg",
        "thumbs/x.png",
        "ComfyUI_temp_abcde_00001_.png",
        "fox - Copy.png",
        "fox copy 2.png",
        "fox (1).png",
        "s3://bucket/shard.tar#thumbs/x.png",
    ],
)
def test_names_of_intermediates(name: str) -> None:
    assert is_intermediate(name)


@pytest.mark.parametrize(
    "name",
    [
        "00000-30.png",
        "ComfyUI_00001_.png",
        "ComfyUI_00001_upscaled.png",
        "the day before.png",
        "before/00001.png",
        "thumbelina.png",
        "small dog.png",
        "a (masterpiece).png",
    ],
)
def test_names_of_finished_pictures(name: str) -> None:
    assert not is_intermediate(name)
