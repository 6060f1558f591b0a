"""Preprocess equals torchvision's transforms to the last bit, and fits any size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from keepers.core.pictures.preprocess import IMAGENET_MEAN, IMAGENET_STD, Preprocess, has_alpha

SIZES = [(300, 200), (97, 512), (224, 224), (33, 20), (1, 300), (512, 1), (64, 64)]


def picture(width: int, height: int, mode: str = "RGB") -> Image.Image:
    random = np.random.RandomState(width * 1000 + height)
    channels = len(Image.new(mode, (1, 1)).getbands())
    pixels = random.randint(0, 256, (height, width, channels)).astype(np.uint8)
    return Image.fromarray(pixels.squeeze(-1) if channels == 1 else pixels, mode if mode in ("RGBA", "LA") else None)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("resample", ["bilinear", "bicubic"])
def test_squash_and_crop_are_torchvisions(size: tuple[int, int], resample: Any) -> None:
    image = picture(*size)
    way = InterpolationMode(resample)
    end = [transforms.ToTensor(), transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)]
    squash: Any = transforms.Compose([transforms.Resize((48, 48), way), *end])
    crop: Any = transforms.Compose([transforms.Resize(48, way), transforms.CenterCrop(48), *end])
    options: Any = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}
    assert torch.equal(Preprocess(48, "squash", resample, **options)(image), squash(image))
    assert torch.equal(Preprocess(48, "crop", resample, **options)(image), crop(image))


@pytest.mark.parametrize("size", SIZES)
def test_window_is_torchvisions_centre_crop(size: tuple[int, int]) -> None:
    image = picture(*size)
    normalise = transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    window: Any = transforms.Compose([transforms.CenterCrop(64), transforms.ToTensor(), normalise])
    assert torch.equal(Preprocess(64, "window")(image), window(image))  # the filling is black


def test_pad_keeps_the_whole_picture_in_the_middle() -> None:
    view = Preprocess(32, "pad", "lanczos", background=0.5)
    values = view.array(picture(64, 32))
    assert values.shape == (3, 32, 32)
    assert np.all(values[:, :8] == 0)
    assert np.all(values[:, 24:] == 0)
    assert np.abs(values[:, 8:24]).mean() > 0.1


def test_small_pictures_are_enlarged_or_not() -> None:
    image = Image.new("RGB", (10, 10), "white")
    assert Preprocess(32, "pad")(image).min() == 1
    kept = Preprocess(32, "pad", enlarge=False).array(image)
    assert kept[0].sum() == 100 - (32 * 32 - 100)


def test_transparency_is_dropped_or_composited() -> None:
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    half = Image.new("RGBA", (8, 8), (255, 255, 255, 51))
    assert Preprocess(8, "squash").array(clear)[0, 0, 0] == 1
    grey = Preprocess(8, "squash", alpha="composite", background=0.5)
    assert np.all(grey.array(clear) == 0)
    np.testing.assert_allclose(grey.array(half), (0.2 + 0.8 * 0.5) * 2 - 1, atol=1e-6)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "I;16", "RGB"])
def test_every_mode_gives_three_channels(mode: str) -> None:
    image = picture(20, 30).convert(mode) if mode != "I;16" else Image.fromarray(np.ones((30, 20), np.uint16))
    for alpha in ("drop", "composite"):
        assert Preprocess(16, "pad", alpha=alpha)(image).shape == (3, 16, 16)


def test_a_transparent_colour_counts_as_transparency() -> None:
    image = Image.new("P", (4, 4))
    assert not has_alpha(image)
    image.info["transparency"] = 0
    assert has_alpha(image)


def test_orientation_is_applied_only_when_asked() -> None:
    image = picture(30, 10)
    exif = image.getexif()
    exif[0x0112] = 6
    image.info["exif"] = exif.tobytes()
    turned = picture(30, 10).transpose(Image.Transpose.ROTATE_270)
    view = Preprocess(16, "squash", turn=True)
    assert torch.equal(view(image), view(turned))
    assert not torch.equal(Preprocess(16, "squash")(image), view(turned))


def test_the_picture_is_left_as_it_is() -> None:
    image = picture(30, 20, "RGBA")
    before = image.tobytes()
    Preprocess(16, "pad", alpha="composite")(image)
    assert image.tobytes() == before


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 400),
    height=st.integers(1, 400),
    fit=st.sampled_from(["squash", "crop", "pad", "window"]),
    enlarge=st.booleans(),
)
def test_every_size_fits(width: int, height: int, fit: Any, enlarge: bool) -> None:
    values = Preprocess(24, fit, enlarge=enlarge).array(Image.new("RGB", (width, height), "white"))
    assert values.shape == (3, 24, 24)
    assert values.dtype == np.float32
    assert np.isfinite(values).all()
    assert set(np.unique(values)) <= {-1.0, 1.0}


def test_equal_views_are_one_view() -> None:
    assert Preprocess(8, "squash") == Preprocess(8, "squash")
    assert len({Preprocess(8, "squash"), Preprocess(8, "squash"), Preprocess(9, "squash")}) == 2
