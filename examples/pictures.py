"""Draws ordinary pictures of many kinds, always the same: scenes that no failure detector may flag."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Array = NDArray[np.float64]
Size = tuple[int, int]
"""Width and height in pixels."""


def clouds(size: Size, seed: int, slope: float = 1.8) -> Array:
    """Noise [H, W] from 0 to 1 with a spectrum of 1 / f^slope, like that of clouds and hills."""
    width, height = size
    white = np.random.RandomState(seed).standard_normal((height, width))
    distance = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    distance[0, 0] = np.inf
    field = np.fft.irfft2(np.fft.rfft2(white) / distance**slope, (height, width))
    return (field - field.min()) / (field.max() - field.min())


def ridge(width: int, seed: int, slope: float = 1.4) -> Array:
    """The outline [W] of a mountain range, from 0 to 1."""
    return clouds((2 * width, 1), seed, slope)[0, :width]


def blend(low: tuple[float, ...], high: tuple[float, ...], weight: Array) -> Array:
    """Colours [H, W, 3] from 0 to 255, mixed from two by a weight [H, W] from 0 to 1."""
    return np.asarray(low) + (np.asarray(high) - np.asarray(low)) * weight[..., None]


def to_image(colours: Array) -> Image.Image:
    """An image in mode RGB or L from values of 0 to 255."""
    return Image.fromarray(np.clip(colours, 0, 255).round().astype(np.uint8))


def grid(size: Size) -> tuple[Array, Array]:
    """x and y [H, W] of all pixels."""
    y, x = np.mgrid[: size[1], : size[0]].astype(np.float64)
    return x, y


def mountains(size: Size = (768, 512), seed: int = 1, colours: int = 0) -> Image.Image:
    """Mountain ranges in haze below a low sun."""
    tops, hazes, rocks = [
        ((70, 96, 160), (255, 190, 130), (38, 34, 60)),
        ((52, 120, 190), (240, 235, 215), (24, 56, 50)),
        ((96, 40, 92), (255, 140, 96), (36, 14, 34)),
    ][colours]
    (x, y), (width, height) = grid(size), size
    picture = blend(tops, hazes, np.clip(y / (0.62 * height), 0, 1))
    picture += 26 * (clouds(size, seed, 1.9) - 0.5)[..., None] * [1.0, 0.9, 0.8]
    sun = np.hypot(x - 0.64 * width, y - 0.4 * height)
    picture += (120 * np.exp(-sun / (0.16 * height)) + 160 * (sun < 0.06 * height))[..., None] * [1.0, 0.85, 0.55]
    texture = clouds(size, seed + 50, 1.1) - 0.5
    for layer in range(5):
        near = (layer + 1) / 5
        line = height * (0.34 + 0.52 * near**1.2 - (0.36 - 0.12 * near) * (ridge(width, seed + layer) - 0.4))
        colour = blend(hazes, rocks, np.full((height, width), near**0.8)) + (20 + 70 * near) * texture[..., None]
        picture = np.where((y > line)[..., None], colour, picture)
    return to_image(picture)


def night(size: Size = (768, 512), seed: int = 2) -> Image.Image:
    """A town at night: almost everything is nearly black."""
    (_, y), (width, height) = grid(size), size
    picture = blend((3, 4, 12), (18, 16, 34), y / height) + 5 * (clouds(size, seed) - 0.5)[..., None]
    image = to_image(picture)
    draw, random = ImageDraw.Draw(image), np.random.RandomState(seed)
    for _ in range(90):
        at, bright = (random.randint(width), random.randint(height // 2)), int(random.randint(60, 220))
        draw.point(at, (bright, bright, bright))
    left = 0
    while left < width:
        wide, tall = int(random.randint(30, 90)), int(random.randint(60, int(0.55 * height)))
        draw.rectangle((left, height - tall, left + wide, height), fill=(5, 5, 9))
        for top in range(height - tall + 8, height - 8, 14):
            for side in range(left + 6, left + wide - 8, 12):
                if random.rand() < 0.22:
                    draw.rectangle((side, top, side + 5, top + 7), fill=(214, int(random.randint(140, 190)), 80))
        left += wide + 4
    return image


def spheres(size: Size = (512, 768), seed: int = 3) -> Image.Image:
    """Glossy balls on a chequered floor, shaded."""
    (x, y), (width, height) = grid(size), size
    horizon = 0.42 * height
    depth = 0.3 * height / np.maximum(y - horizon, 1)
    tiles = (np.floor(depth * 6) + np.floor((x - width / 2) / width * depth * 9)) % 2
    haze = np.clip(depth / 5, 0, 1)
    floor = blend((205, 196, 180), (96, 60, 52), tiles) * (1 - haze[..., None]) + haze[..., None] * [176, 196, 214]
    sky = blend((92, 132, 186), (196, 210, 220), np.clip(y / horizon, 0, 1)) + 30 * (
        clouds(size, seed)[..., None] - 0.5
    )
    picture = np.where((y > horizon)[..., None], floor, sky)
    balls = [(0.72, 0.5, 0.1, (60, 140, 70)), (0.3, 0.55, 0.17, (190, 44, 40)), (0.64, 0.74, 0.24, (48, 84, 180))]
    for across, down, radius, colour in balls:
        picture = _ball(picture, (across * width, down * height, radius * width), colour)
    return to_image(picture)


def _ball(picture: Array, place: tuple[float, float, float], colour: tuple[int, int, int]) -> Array:
    (left, top, radius), (height, width) = place, picture.shape[:2]
    x, y = grid((width, height))
    shadow = np.exp(
        -(((x - left - 0.3 * radius) / radius) ** 2) * 1.2 - ((y - top - 0.95 * radius) / (0.3 * radius)) ** 2
    )
    picture = picture * (1 - 0.65 * shadow[..., None])
    u, v = (x - left) / radius, (y - top) / radius
    inside = u**2 + v**2
    w = np.sqrt(np.clip(1 - inside, 0, 1))
    light = np.clip(-0.5 * u - 0.6 * v + 0.62 * w, 0, 1)
    shine = np.clip(light, 0, 1) ** 40 * 190
    rim = 50 * (1 - w) ** 3
    lit = np.asarray(colour) * (0.25 + 0.85 * light[..., None]) + (shine + rim)[..., None]
    cover = np.clip((1 - np.sqrt(inside)) * radius + 0.5, 0, 1)[..., None]
    return picture * (1 - cover) + lit * cover


def cartoon(size: Size = (512, 512), seed: int = 4) -> Image.Image:
    """A cartoon fox's face in flat colours with dark outlines."""
    side = 4
    image = Image.new("RGB", (512 * side, 512 * side), (122, 190, 216))
    draw = ImageDraw.Draw(image)
    ink, fur, dark = (52, 30, 24), (232, 126, 48), (120, 62, 34)
    random = np.random.RandomState(seed)
    for _ in range(26):
        x, y, r = (int(v) for v in (random.randint(0, 512), random.randint(0, 512), random.randint(6, 26)))
        draw.ellipse(_scaled(side, x - r, y - r, x + r, y + r), fill=(146, 206, 226))

    def shape(points: list[tuple[int, int]], fill: tuple[int, int, int]) -> None:
        scaled = [(x * side, y * side) for x, y in points]
        draw.polygon(scaled, fill=fill)
        draw.line([*scaled, scaled[0]], fill=ink, width=7 * side, joint="curve")

    shape([(110, 240), (96, 60), (226, 150)], fur)
    shape([(402, 240), (416, 60), (286, 150)], fur)
    shape([(128, 196), (120, 100), (190, 150)], dark)
    shape([(384, 196), (392, 100), (322, 150)], dark)
    shape([(120, 230), (180, 140), (332, 140), (392, 230), (370, 330), (256, 440), (142, 330)], fur)
    shape([(142, 318), (215, 300), (256, 350), (297, 300), (370, 318), (256, 440)], (250, 240, 226))
    for x in (196, 316):
        draw.ellipse(_scaled(side, x - 26, 216, x + 26, 284), fill=(255, 255, 255), outline=ink, width=5 * side)
        draw.ellipse(_scaled(side, x - 13, 236, x + 15, 278), fill=(66, 110, 60))
        draw.ellipse(_scaled(side, x - 6, 246, x + 8, 270), fill=(16, 16, 16))
        draw.ellipse(_scaled(side, x + 2, 240, x + 12, 250), fill=(255, 255, 255))
    draw.ellipse(_scaled(side, 232, 336, 280, 372), fill=ink)
    draw.arc(_scaled(side, 216, 352, 258, 404), 10, 120, fill=ink, width=5 * side)
    draw.arc(_scaled(side, 254, 352, 296, 404), 60, 170, fill=ink, width=5 * side)
    return image.resize(size, Image.Resampling.LANCZOS)


def _scaled(factor: int, *values: int) -> list[int]:
    return [value * factor for value in values]


def line_art(size: Size = (512, 768), seed: int = 5) -> Image.Image:
    """A tree in thin ink lines on white paper; most pixels are exactly white."""
    image = Image.new("L", (size[0] * 2, size[1] * 2), 255)
    draw, random = ImageDraw.Draw(image), np.random.RandomState(seed)

    def branch(x: float, y: float, angle: float, length: float, width: float) -> None:
        if length < 9:
            return
        to_x, to_y = x + length * np.sin(angle), y - length * np.cos(angle)
        draw.line((x, y, to_x, to_y), fill=0, width=max(2, round(width)))
        for _ in range(2 if length > 60 else 3):
            branch(to_x, to_y, angle + random.uniform(-0.6, 0.6), length * random.uniform(0.62, 0.8), width * 0.66)

    branch(size[0], size[1] * 1.9, 0.0, size[1] * 0.4, 26)
    draw.line((size[0] * 0.3, size[1] * 1.9, size[0] * 1.8, size[1] * 1.88), fill=0, width=3)
    return image.resize(size, Image.Resampling.BOX)


def pixel_art(size: Size = (512, 512), seed: int = 6) -> Image.Image:
    """A little scene in 64 x 64 blocks of few pure colours."""
    small = Image.new("RGB", (64, 64), (60, 188, 252))
    draw, random = ImageDraw.Draw(small), np.random.RandomState(seed)
    draw.rectangle((0, 48, 63, 63), fill=(0, 168, 0))
    draw.ellipse((46, 4, 58, 16), fill=(248, 216, 0))
    for left, top in ((4, 8), (24, 14)):
        draw.rectangle((left, top, left + 12, top + 3), fill=(252, 252, 252))
        draw.rectangle((left + 3, top - 2, left + 8, top), fill=(252, 252, 252))
    draw.polygon([(14, 48), (26, 24), (38, 48)], fill=(124, 60, 0))
    draw.rectangle((22, 38, 29, 47), fill=(0, 0, 0))
    draw.rectangle((46, 36, 49, 48), fill=(136, 20, 0))
    draw.ellipse((40, 24, 55, 38), fill=(0, 120, 0))
    for _ in range(40):
        draw.point((int(random.randint(64)), int(random.randint(49, 64))), (0, 252, 0))
    return small.resize(size, Image.Resampling.NEAREST)


def fog(size: Size = (768, 512), seed: int = 7) -> Image.Image:
    """A forest that vanishes in fog, and one sharp tree."""
    (_, y), (width, height) = grid(size), size
    image = to_image(
        blend((206, 212, 214), (186, 194, 196), y / height) + 14 * (clouds(size, seed, 2.2) - 0.5)[..., None]
    )
    random = np.random.RandomState(seed)
    for distance in (5, 4, 3, 2):
        layer = image.copy()
        draw, grey = ImageDraw.Draw(layer), 40 + 30 * distance
        for _ in range(9):
            _fir(
                draw,
                random,
                int(random.randint(width)),
                height - 20 * distance,
                240 // distance + 90,
                (grey, grey, grey),
            )
        image = Image.blend(image, layer.filter(ImageFilter.GaussianBlur(2.5 * distance)), 0.6)
    _fir(ImageDraw.Draw(image), random, int(0.3 * width), int(0.97 * height), int(0.8 * height), (28, 38, 34))
    return image


def _fir(
    draw: ImageDraw.ImageDraw, random: np.random.RandomState, x: int, foot: int, tall: int, colour: tuple[int, ...]
) -> None:
    draw.rectangle((x - tall // 60, foot - tall // 5, x + tall // 60, foot), fill=colour)
    for step in range(9):
        top = foot - tall + step * tall // 11
        half = tall * (step + 2) / 46 * random.uniform(0.85, 1.15)
        draw.polygon([(x, top), (x - half, top + tall / 6), (x + half, top + tall / 6)], fill=colour)


def snow(size: Size = (768, 512), seed: int = 8) -> Image.Image:
    """Snowfields below falling snow: bright, of little contrast."""
    (_, y), (width, height) = grid(size), size
    picture = blend((208, 216, 228), (236, 240, 246), y / height) + 10 * (clouds(size, seed, 2) - 0.5)[..., None]
    for layer in range(3):
        line = height * (0.5 + 0.16 * layer - 0.14 * (ridge(width, seed + layer, 2.0) - 0.5))
        shade = 246 - 18 * clouds(size, seed + 9 + layer, 2.0) - 12 * np.exp(-(y - line) / 30)
        picture = np.where((y > line)[..., None], shade[..., None] * [0.97, 0.985, 1.0], picture)
    image = to_image(picture)
    draw, random = ImageDraw.Draw(image), np.random.RandomState(seed)
    for _ in range(6):
        _fir(draw, random, int(random.randint(width)), int(height * random.uniform(0.52, 0.7)), 90, (96, 116, 118))
    for _ in range(900):
        x, down, r = random.randint(width), random.randint(height), random.choice([0.7, 1.2, 2.0])
        draw.ellipse((x - r, down - r, x + r, down + r), fill=(253, 253, 255))
    return image


def stars(size: Size = (512, 768), seed: int = 9) -> Image.Image:
    """A starry sky: points on black."""
    random = np.random.RandomState(seed)
    picture = np.zeros((size[1], size[0], 3))
    picture += 90 * np.clip(clouds(size, seed, 1.9) - 0.45, 0, 1)[..., None] * [1.2, 1.0, 2.0]
    for _ in range(1400):
        x, y, bright = random.randint(size[0]), random.randint(size[1]), 40 + 1200 * random.rand() ** 6
        picture[y, x] += bright * random.uniform(0.75, 1.0, 3)
    glow = np.asarray(to_image(picture).filter(ImageFilter.GaussianBlur(1.2)), dtype=np.float64)
    return to_image(picture + 2 * glow)


def bokeh(size: Size = (512, 768), seed: int = 10) -> Image.Image:
    """Lights far out of focus behind one sharp leaf."""
    random = np.random.RandomState(seed)
    back = Image.new("RGB", size, (24, 34, 30))
    draw = ImageDraw.Draw(back)
    for _ in range(60):
        x, y, r = (int(v) for v in (random.randint(size[0]), random.randint(size[1]), random.randint(14, 60)))
        draw.ellipse((x - r, y - r, x + r, y + r), fill=tuple(int(v) for v in random.randint(40, 210, 3)))
    image = back.filter(ImageFilter.GaussianBlur(22))
    draw = ImageDraw.Draw(image)
    x, y = size[0] // 2, size[1] // 2
    outline = [
        (x + side * 78 * np.sin(angle) ** 0.8, y - 150 * np.cos(angle))
        for side in (1, -1)
        for angle in np.linspace(0, np.pi, 45)[::side]
    ]
    draw.polygon(outline, fill=(92, 160, 62))
    draw.line((x, y - 150, x, y + 210), fill=(50, 96, 34), width=4)
    for step in range(-96, 110, 26):
        half = int(66 * np.cos(step / 100))
        draw.line((x - half, y + step, x, y + step + 24, x + half, y + step), fill=(64, 122, 44), width=2)
    return image


def sea(size: Size = (768, 512), seed: int = 11) -> Image.Image:
    """Waves below a cloudy sky."""
    (_, y), (width, height) = grid(size), size
    horizon = 0.45 * height
    sky = blend((86, 128, 178), (232, 226, 214), clouds(size, seed, 1.7))
    depth = np.clip((y - horizon) / (height - horizon), 1e-3, 1)
    waves = clouds((width * 4, height), seed + 1, 1.1)
    columns = (np.arange(width) - width / 2) / (0.25 + depth) + 2 * width
    rows = np.clip(height * 3.2 * np.sqrt(depth) % height, 0, height - 1).astype(int)
    pattern = waves[rows, np.clip(columns, 0, 4 * width - 1).astype(int)]
    water = blend((16, 52, 74), (142, 186, 196), np.clip(2.2 * pattern - 0.6, 0, 1))
    return to_image(np.where((y > horizon)[..., None], water, sky))


def film(size: Size = (512, 768), seed: int = 12, grain: float = 22) -> Image.Image:
    """A black-and-white photograph with strong grain."""
    picture = np.asarray(spheres(size, seed).convert("L"), dtype=np.float64)
    noise = np.random.RandomState(seed).normal(0, grain, picture.shape)
    return to_image(128 + 1.1 * (picture - 128) + noise)


def cloth(size: Size = (512, 512), seed: int = 13) -> Image.Image:
    """Checked cloth with folds: a regular pattern that is nowhere exactly the same."""
    x, y = grid(size)
    bend = 30 * (clouds(size, seed, 2.2) - 0.5)
    checks = 0.5 * ((np.sin((x + bend) / 11) > 0).astype(float) + (np.sin((y - bend) / 11) > 0))
    weave = 0.06 * np.sin(x * 1.9) * np.sin(y * 1.9)
    folds = 0.7 + 0.5 * clouds(size, seed + 1, 2.0)
    return to_image(blend((240, 232, 220), (150, 34, 44), np.clip(checks + weave, 0, 1)) * folds[..., None])


def bricks(size: Size = (768, 512), seed: int = 14) -> Image.Image:
    """A brick wall: equal stones, each a little different."""
    x, y = grid(size)
    row = np.floor(y / 32).astype(int)
    shifted = x + 32 * (row % 2)
    column = np.floor(shifted / 64).astype(int)
    tint = np.random.RandomState(seed).uniform(0.75, 1.15, (row.max() + 1, column.max() + 1))[row, column]
    joint = (y % 32 < 4) | (shifted % 64 < 4)
    stone = np.asarray((168, 76, 56)) * tint[..., None]
    picture = np.where(joint[..., None], (190, 184, 174), stone) + 40 * (clouds(size, seed, 0.9) - 0.5)[..., None]
    return to_image(picture)


def high_key(size: Size = (512, 512), seed: int = 15) -> Image.Image:
    """A white cup before white: mostly pure white, soft shades."""
    (x, y), (width, height) = grid(size), size
    u, v = (x - 0.48 * width) / (0.22 * width), (y - 0.55 * height) / (0.2 * height)
    body = (np.abs(u) < 1 - 0.12 * (v + 1)) & (np.abs(v) < 1)
    shade = 252 - 46 * np.clip(u, 0, 1) ** 2 - 16 * np.clip(-u, 0, 1)
    rim = ((u / 0.98) ** 2 + ((v + 1) / 0.22) ** 2) < 1
    handle = np.abs(np.hypot(u - 1.05, v + 0.1) - 0.42) < 0.09
    shadow = 60 * np.exp(-((u - 0.2) ** 2) / 0.9 - ((v - 1.02) / 0.1) ** 2)
    picture = 255 - shadow - 2 * clouds(size, seed)
    picture = np.where(handle, 226 + 14 * v, picture)
    picture = np.where(body, shade, picture)
    picture = np.where(rim, 206 + 24 * u, picture)
    return to_image(picture[..., None] * [1.0, 0.995, 0.985]).filter(ImageFilter.GaussianBlur(0.8))


def page(size: Size = (512, 768), seed: int = 16) -> Image.Image:
    """A printed page: rows of dark strokes of many lengths on paper."""
    image = to_image(np.repeat(246 - 6 * clouds(size, seed, 1.5)[..., None], 3, axis=2) * [1.0, 0.985, 0.95])
    draw, random = ImageDraw.Draw(image), np.random.RandomState(seed)
    words = ("the", "fog", "lifts", "over", "a", "quiet", "harbour", "while", "boats", "drift", "past", "old", "piers")
    for line, top in enumerate(range(60, size[1] - 70, 18)):
        if line % 9 == 8:
            continue
        text = " ".join(words[i] for i in random.randint(0, len(words), 11))
        draw.text((48, top), text[: int(random.randint(58, 66))], fill=(40, 38, 44))
    return image


def gradient(size: Size = (512, 512), seed: int = 17) -> Image.Image:
    """A smooth wallpaper of two colours and nothing else."""
    x, y = grid(size)
    angle = np.random.RandomState(seed).uniform(0, 2 * np.pi)
    across = np.cos(angle) * x / size[0] + np.sin(angle) * y / size[1]
    across = (across - across.min()) / (across.max() - across.min())
    return to_image(blend((36, 60, 140), (240, 150, 120), across**1.2))


ORDINARY: dict[str, Callable[[], Image.Image]] = {
    maker.__name__: maker
    for maker in (
        mountains,
        night,
        spheres,
        cartoon,
        line_art,
        pixel_art,
        fog,
        snow,
        stars,
        bokeh,
        sea,
        film,
        cloth,
        bricks,
        high_key,
        page,
        gradient,
    )
}
"""Makers of ordinary pictures, by what they show."""
