"""Makes the failures of image generators, from scratch or from a sound picture, at a chosen strength."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from .pictures import Size, clouds, to_image


def solid(size: Size, colour: tuple[int, int, int], grain: float = 0, seed: int = 0) -> Image.Image:
    """One colour everywhere, with grain (standard deviation in levels): what a VAE in float16 makes of NaN."""
    noise = (
        np.random.RandomState(seed).normal(0, grain, (size[1], size[0], 1))
        if grain
        else np.zeros((size[1], size[0], 1))
    )
    return to_image(np.asarray(colour) + noise)


def mottled(size: Size, colour: tuple[int, int, int], depth: float, seed: int = 0) -> Image.Image:
    """One colour with faint clouds that go `depth` levels up and down."""
    return to_image(np.asarray(colour) + 2 * depth * (clouds(size, seed)[..., None] - 0.5))


def pixel_noise(size: Size, deviation: float = 60, coloured: bool = True, seed: int = 0) -> Image.Image:
    """Independent pixels around mid grey."""
    return to_image(
        np.random.RandomState(seed).normal(128, deviation, (size[1], size[0], 3 if coloured else 1)).squeeze()
    )


def latent_noise(size: Size, deviation: float = 60, seed: int = 0) -> Image.Image:
    """Blots of 8 pixels in many colours, with fine grain: what a decoder makes of a latent that was never denoised."""
    random = np.random.RandomState(seed)
    blots = to_image(random.normal(128, deviation, (size[1] // 8, size[0] // 8, 3))).resize(
        size, Image.Resampling.BICUBIC
    )
    return to_image(np.asarray(blots, dtype=np.float64) + random.normal(0, 12, (size[1], size[0], 1)))


def blurred(picture: Image.Image, thousandths: float) -> Image.Image:
    """The picture blurred by a Gaussian whose sigma is in thousandths of the shorter side."""
    return picture.convert("RGB").filter(ImageFilter.GaussianBlur(thousandths * min(picture.size) / 1000))


def burnt(picture: Image.Image, gain: float) -> Image.Image:
    """Contrast and colour far out of range, as with guidance that is much too strong."""
    colours = np.asarray(picture.convert("RGB"), dtype=np.float64)
    middle = np.median(colours, axis=(0, 1))
    return to_image(128 + gain * (colours - middle) * [1.2, 1.0, 1.3])


def tiled(picture: Image.Image, across: int, down: int) -> Image.Image:
    """The whole picture, scaled down and repeated: `across` times `down` copies."""
    copy = np.asarray(picture.resize((picture.width // across, picture.height // down), Image.Resampling.LANCZOS))
    return Image.fromarray(np.tile(copy, (down, across) + (1,) * (copy.ndim - 2)))


def stuck(picture: Image.Image) -> Image.Image:
    """The left half twice."""
    half = picture.crop((0, 0, picture.width // 2, picture.height))
    whole = Image.new(picture.mode, (2 * half.width, half.height))
    whole.paste(half, (0, 0))
    whole.paste(half, (half.width, 0))
    return whole
