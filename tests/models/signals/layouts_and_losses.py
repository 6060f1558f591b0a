"""Pictures with lost parts, and pictures whose exact areas are meant: both from a seed, with everything at random."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from keepers.examples import pictures
from keepers.examples.pictures import Array, clouds, to_image

Random = np.random.RandomState
Made = Callable[[Random], Image.Image]
GROUNDS = ((0, 0, 0), (0, 0, 0), (0, 0, 0), (128, 128, 128), (127, 127, 127), (255, 255, 255))
"""The colours of exact areas, the usual ones more often."""
CASTS = ((0, 255, 0), (255, 0, 255), (0, 135, 0), (255, 255, 255), (64, 64, 64), (255, 0, 0))
"""Other colours that a decoder makes of NaN or of nothing."""
TEXTURED = ("mountains", "spheres", "sea", "fog", "snow", "bricks", "cloth", "film", "clouds", "blobs")


def side(random: Random) -> int:
    """From 512 to 2048 pixels: a multiple of 64, of 8, or any number."""
    step = (64, 8, 1)[random.randint(3)]
    return int(random.randint(512 // step, 2048 // step + 1)) * step


def size(random: Random) -> tuple[int, int]:
    """Width and height."""
    return side(random), side(random)


@lru_cache(maxsize=48)
def _base(name: str, seed: int) -> Image.Image:
    if name == "clouds":
        colours = np.stack([clouds((1152, 1152), 10 * seed + channel, 1.4) for channel in range(3)], axis=2)
        return to_image(40 + 200 * colours)
    if name == "blobs":
        return _blobs(seed)
    return getattr(pictures, name)((1152, 1152), seed=seed).convert("RGB")


def _blobs(seed: int, length: int = 1152) -> Image.Image:
    """Discs before hills below a gradient, a little soft."""
    random = Random(seed)
    y, x = np.mgrid[:length, :length] / length
    image = to_image(np.stack([120 + 90 * y + 30 * np.sin(6 * x + seed), 100 + 60 * x, 170 - 110 * y], axis=2))
    draw = ImageDraw.Draw(image)
    for _ in range(14):
        left, top, wide = *random.randint(0, length, 2).tolist(), int(random.randint(length // 16, length // 4))
        fill = tuple(random.randint(20, 235, 3).tolist())
        draw.ellipse((left, top, left + wide, top + wide * random.uniform(0.5, 1.5)), fill=fill)
    return image.filter(ImageFilter.GaussianBlur(1.2))


def scene(random: Random, wanted: tuple[int, int] | None = None) -> Image.Image:
    """A picture with texture nearly everywhere, in RGB: part of a drawn scene, turned, with some grain."""
    wide, high = wanted or size(random)
    base = _base(TEXTURED[random.randint(len(TEXTURED))], int(random.randint(1, 4)))
    scale = max(wide, high) / 1152 * random.uniform(0.85, 1.1)
    scale = max(scale, max(wide, high) / 1152)
    large = base.resize((round(1152 * scale) + 1, round(1152 * scale) + 1), Image.Resampling.BICUBIC)
    left, top = (int(random.randint(0, large.width - length + 1)) for length in (wide, high))
    part = large.crop((left, top, left + wide, top + high))
    if random.rand() < 0.5:
        part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    grain = random.choice([1.0, 2.0, 4.0, 8.0]) * random.standard_normal((high, wide, 1))
    return to_image(np.asarray(part, dtype=np.float32) + grain)


def colour(random: Random) -> tuple[int, int, int]:
    """What a lost part shows."""
    some = GROUNDS if random.rand() < 0.7 else CASTS
    return some[random.randint(len(some))]


def encoded(image: Image.Image, random: Random) -> bytes:
    """As a PNG, JPEG or WebP file."""
    kind = ("PNG", "JPEG", "JPEG", "WEBP")[random.randint(4)]
    file = io.BytesIO()
    if kind == "PNG":
        image.save(file, "PNG", compress_level=1)
    elif kind == "JPEG":
        image.save(file, "JPEG", quality=int(random.randint(75, 96)), subsampling=int(random.choice([0, 2])))
    else:
        image.save(file, "WEBP", quality=int(random.randint(75, 96)), method=2)
    return file.getvalue()


# What a decoder lost


def _cut(random: Random, length: int) -> int:
    """Where a half ends: in the middle, on the grid of latents, or anywhere from three to seven tenths."""
    return (length // 2, round(length * random.uniform(0.3, 0.7) / 8) * 8, int(length * random.uniform(0.3, 0.7)))[
        random.randint(3)
    ]


def half(random: Random) -> Image.Image:
    """One side is lost."""
    image, fill = scene(random), colour(random)
    wide, high = image.size
    x, y = _cut(random, wide), _cut(random, high)
    image.paste(fill, ((0, 0, wide, y), (0, y, wide, high), (0, 0, x, high), (x, 0, wide, high))[random.randint(4)])
    return image


def three_quarters(random: Random) -> Image.Image:
    """One quarter is left."""
    image, fill = scene(random), colour(random)
    wide, high = image.size
    x, y = _cut(random, wide), _cut(random, high)
    kept = ((0, 0, x, y), (x, 0, wide, y), (0, y, x, high), (x, y, wide, high))[random.randint(4)]
    lost = Image.new("RGB", image.size, fill)
    lost.paste(image.crop(kept), kept)
    return lost


def _grid(random: Random, wide: int, high: int) -> list[tuple[int, int, int, int]]:
    """The tiles of a decoder: of one size, the last ones smaller, or moved back to end with the picture."""
    tile = int(random.choice([128, 192, 256, 384, 400, 512]))
    tile = min(tile, wide // 2, high // 2)
    across, down = range(0, wide - tile // 3, tile), range(0, high - tile // 3, tile)
    return [(x, y, min(x + tile, wide), min(y + tile, high)) for y in down for x in across]


def tile(random: Random) -> Image.Image:
    """One tile is lost."""
    image = scene(random)
    tiles = _grid(random, *image.size)
    image.paste(colour(random), tiles[random.randint(len(tiles))])
    return image


def several_tiles(random: Random) -> Image.Image:
    """Two to four tiles are lost, of one colour or of several."""
    image, fill = scene(random), colour(random)
    tiles, many = _grid(random, *image.size), random.rand() < 0.3
    for place in random.permutation(len(tiles))[: min(len(tiles) - 1, int(random.randint(2, 5)))]:
        image.paste(colour(random) if many else fill, tiles[place])
    return image


def free_tile(random: Random) -> Image.Image:
    """A tile of any size at any place."""
    image = scene(random)
    wide, high = (int(random.uniform(0.12, 0.5) * length) for length in image.size)
    x, y = (int(random.randint(0, most)) for most in (image.width - wide, image.height - high))
    image.paste(colour(random), (x, y, x + wide, y + high))
    return image


def feathered_tile(random: Random) -> Image.Image:
    """A lost tile whose neighbours were blended over it along the seams."""
    image = scene(random)
    tiles = _grid(random, *image.size)
    mask = Image.new("L", image.size, 0)
    mask.paste(255, tiles[random.randint(len(tiles))])
    reach = int(random.choice([4, 8, 16, 32]))
    weights = _ramps(np.asarray(mask, dtype=np.float32) / 255, reach)
    mixed = (
        np.asarray(image, dtype=np.float32) * (1 - weights[..., None]) + np.asarray(colour(random)) * weights[..., None]
    )
    return to_image(mixed)


def _ramps(weights: Array, reach: int) -> Array:
    """A mean over `reach` pixels in both directions: linear ramps."""
    for axis in (0, 1):
        edges = ((reach, reach), (0, 0)) if axis == 0 else ((0, 0), (reach, reach))
        sums = np.cumsum(np.pad(weights, edges, mode="edge"), axis=axis, dtype=np.float64)
        length, lead = weights.shape[axis], (reach + 1) // 2
        upper = np.take(sums, np.arange(length) + lead + reach // 2, axis=axis)
        lower = np.take(sums, np.arange(length) + lead - (reach - reach // 2), axis=axis)
        weights = (upper - lower) / reach
    return weights


def half_finished(random: Random) -> Image.Image:
    """A JPEG that ends early: grey from the middle of a row of blocks on."""
    image = scene(random)
    wide, high = image.size
    block = int(random.choice([8, 16]))
    y, x = int(random.uniform(0.2, 0.7) * high) // block * block, int(random.uniform(0, 1) * wide) // block * block
    fill = ((128, 128, 128), (0, 0, 0))[random.randint(2)]
    image.paste(fill, (x, y, wide, y + block))
    image.paste(fill, (0, y + block, wide, high))
    return image


LOSSES: dict[str, Made] = {
    made.__name__: made
    for made in (half, three_quarters, tile, several_tiles, free_tile, feathered_tile, half_finished)
}
"""Makers of pictures with lost parts, by what they show."""


# What is meant


def bars(random: Random) -> Image.Image:
    """Cinema bars above and below, or left and right."""
    image, fill = scene(random), GROUNDS[random.randint(len(GROUNDS))] if random.rand() < 0.3 else (0, 0, 0)
    wide, high = image.size
    share, more = random.uniform(0.04, 0.38), int(random.randint(0, 3))
    if random.rand() < 0.5:
        bar = int(share * high)
        image.paste(fill, (0, 0, wide, bar))
        image.paste(fill, (0, high - bar - more, wide, high))
    else:
        bar = int(share * wide)
        image.paste(fill, (0, 0, bar, high))
        image.paste(fill, (wide - bar - more, 0, wide, high))
    return image


def one_bar(random: Random) -> Image.Image:
    """A bar on one side, as for subtitles."""
    image = scene(random)
    wide, high = image.size
    bar = random.uniform(0.03, 0.15)
    place = (
        (0, 0, wide, int(bar * high)),
        (0, int((1 - bar) * high), wide, high),
        (int((1 - bar) * wide), 0, wide, high),
    )
    image.paste((0, 0, 0) if random.rand() < 0.7 else (255, 255, 255), place[random.randint(3)])
    return image


def frame(random: Random) -> Image.Image:
    """A border, a passe-partout or an instant photo."""
    wide, high = size(random)
    fill = ((0, 0, 0), (255, 255, 255), (240, 236, 228), (128, 128, 128))[random.randint(4)]
    edge = int(random.uniform(0.02, 0.25) * min(wide, high))
    below = edge * int(random.choice([1, 1, 2, 3])) if edge < 0.12 * high else edge
    image = Image.new("RGB", (wide, high), fill)
    inner = scene(random, (wide - 2 * edge, high - edge - below))
    image.paste(inner, (edge, edge))
    if random.rand() < 0.3:
        line = tuple(random.randint(0, 255, 3).tolist())
        ImageDraw.Draw(image).rectangle(
            (edge // 2, edge // 2, wide - edge // 2, high - edge // 2), outline=line, width=3
        )
    return image


def _cells(random: Random, wide: int, high: int, gutter: int) -> list[tuple[int, int, int, int]]:
    """Rows of cells, each row with columns of its own or all alike."""
    rows, alike = int(random.randint(2, 4)), random.rand() < 0.5
    columns, cells = int(random.randint(2, 4)), list[tuple[int, int, int, int]]()
    for row in range(rows):
        top, bottom = gutter + row * (high - gutter) // rows, (row + 1) * (high - gutter) // rows
        count = columns if alike else int(random.randint(1, 4))
        for column in range(count):
            left, right = gutter + column * (wide - gutter) // count, (column + 1) * (wide - gutter) // count
            cells.append((left, top, right, bottom))
    return cells


def comic(random: Random) -> Image.Image:
    """Panels with gutters and ink outlines; one may be all black or all white."""
    wide, high = size(random)
    paper = ((255, 255, 255), (255, 255, 255), (0, 0, 0))[random.randint(3)]
    image = Image.new("RGB", (wide, high), paper)
    draw, cells = ImageDraw.Draw(image), _cells(random, wide, high, int(random.randint(6, 40)))
    plain = int(random.randint(len(cells))) if random.rand() < 0.6 else -1
    for place, (left, top, right, bottom) in enumerate(cells):
        if place == plain:
            draw.rectangle((left, top, right, bottom), fill=((0, 0, 0), (255, 255, 255))[random.randint(2)])
        else:
            image.paste(scene(random, (right - left, bottom - top)), (left, top))
        if random.rand() < 0.7:
            draw.rectangle((left, top, right - 1, bottom - 1), outline=(0, 0, 0), width=int(random.randint(2, 7)))
    return image


def collage(random: Random) -> Image.Image:
    """A grid of pictures whose last cell is empty, with or without gutters, as the WebUI makes it."""
    rows, columns, gutter = int(random.randint(2, 4)), int(random.randint(2, 4)), int(random.choice([0, 0, 4, 12, 24]))
    wide, high = (int(random.randint(256, 2048 // max(rows, columns))) for _ in range(2))
    fill = ((0, 0, 0), (0, 0, 0), (255, 255, 255), (128, 128, 128))[random.randint(4)]
    image = Image.new("RGB", (columns * (wide + gutter) - gutter, rows * (high + gutter) - gutter), fill)
    empty = int(random.randint(1, columns))
    for cell in range(rows * columns - empty):
        place = (cell % columns * (wide + gutter), cell // columns * (high + gutter))
        image.paste(scene(random, (wide, high)), place)
    return image


def scattered(random: Random) -> Image.Image:
    """Pictures of many sizes on one ground, as on a mood board."""
    wide, high = size(random)
    image = Image.new("RGB", (wide, high), ((0, 0, 0), (255, 255, 255), (30, 30, 30))[random.randint(3)])
    for _ in range(int(random.randint(2, 7))):
        across, down = (int(random.uniform(0.15, 0.5) * length) for length in (wide, high))
        place = int(random.randint(0, wide - across)), int(random.randint(0, high - down))
        image.paste(scene(random, (across, down)), place)
    return image


def studio(random: Random) -> Image.Image:
    """A subject before an exact ground, standing on the floor of the picture or free."""
    image = scene(random)
    wide, high = image.size
    fill = (*GROUNDS, (200, 200, 200), (18, 18, 18))[random.randint(len(GROUNDS) + 2)]
    mask = Image.new("L", image.size, 0)
    draw = ImageDraw.Draw(mask)
    x, y, r = (int(random.uniform(*range_) * min(wide, high)) for range_ in ((0.4, 0.6), (0.3, 0.5), (0.15, 0.3)))
    draw.ellipse((x - r, y - r, x + r, y + r), fill=255)
    if random.rand() < 0.6:
        foot = int(random.uniform(0.3, 0.5) * wide)
        draw.polygon([(x - r // 2, y), (x + r // 2, y), (x + foot, high), (x - foot, high)], fill=255)
    if random.rand() < 0.4:
        draw.rectangle((x - r, y, x + r, y + 2 * r), fill=255)
    ground = Image.new("RGB", image.size, fill)
    ground.paste(image, (0, 0), mask.filter(ImageFilter.GaussianBlur(float(random.choice([0, 0.8, 2])))))
    return ground


def vignette(random: Random) -> Image.Image:
    """Corners that fade to exact black."""
    image = scene(random)
    wide, high = image.size
    y, x = np.mgrid[:high, :wide]
    u, v = 2 * x / wide - 1, 2 * y / high - 1
    power = float(random.choice([2, 2, 4, 6]))
    distance = (np.abs(u) ** power + np.abs(v) ** power) ** (1 / power)
    start = random.uniform(0.4, 0.8)
    kept = np.clip(1 - (distance - start) / random.uniform(0.15, 0.6), 0, 1)
    return to_image(np.asarray(image, dtype=np.float32) * kept[..., None])


def cutout(random: Random) -> Image.Image:
    """A transparent picture flattened on black: ragged, round or with some straight sides."""
    image = scene(random)
    wide, high = image.size
    shape = clouds(image.size, int(random.randint(99)), 1.8) > random.uniform(0.4, 0.6)
    if random.rand() < 0.5:
        shape = shape & (np.mgrid[:high, :wide][0] < random.uniform(0.78, 0.95) * high)
    return to_image(np.asarray(image, dtype=np.float64) * shape[..., None])


def product(random: Random) -> Image.Image:
    """A box or a bottle on exact white."""
    wide, high = size(random)
    image = Image.new("RGB", (wide, high), (255, 255, 255))
    across, down = int(random.uniform(0.2, 0.6) * wide), int(random.uniform(0.3, 0.8) * high)
    left, top = (wide - across) // 2, int((high - down) * random.uniform(0.4, 0.9))
    if random.rand() < 0.5:
        shadow = Image.new("L", image.size, 0)
        ImageDraw.Draw(shadow).ellipse((left - 20, top + down - 15, left + across + 20, top + down + 25), fill=90)
        image.paste((0, 0, 0), (0, 0), shadow.filter(ImageFilter.GaussianBlur(12)))
    mask = Image.new("L", (across, down), 0)
    ImageDraw.Draw(mask).rounded_rectangle(
        (0, 0, across - 1, down - 1), radius=int(random.choice([0, 8, 40])), fill=255
    )
    image.paste(scene(random, (across, down)), (left, top), mask)
    return image


def pixel_art(random: Random) -> Image.Image:
    """Large pixels of few colours, in areas and dithered."""
    across, down = int(random.randint(32, 160)), int(random.randint(32, 160))
    step = int(random.randint(4, max(5, 2048 // max(across, down))))
    levels = np.stack([clouds((across, down), int(random.randint(999)), 1.6) for _ in range(3)], axis=2)
    dither = random.uniform(-1, 1, (down, across, 1)) * float(random.choice([0, 0.1]))
    small = to_image(np.round((levels + dither) * 3) * 85)
    draw = ImageDraw.Draw(small)
    for _ in range(int(random.randint(1, 6))):
        x, y = int(random.randint(across)), int(random.randint(down))
        fill = GROUNDS[random.randint(len(GROUNDS))]
        draw.rectangle((x, y, x + int(random.randint(4, 40)), y + int(random.randint(4, 40))), fill=fill)
    return small.resize((across * step, down * step), Image.Resampling.NEAREST)


def night_sky(random: Random) -> Image.Image:
    """Stars on exact black above hills or roofs."""
    image = scene(random)
    wide, high = image.size
    sky = np.zeros((high, wide, 3), dtype=np.float32)
    for _ in range(int(random.randint(30, 400))):
        x, y = int(random.randint(wide)), int(random.randint(high))
        sky[y : y + 2, x : x + 2] = random.uniform(60, 255)
    if random.rand() < 0.5:
        line = high * (0.5 + 0.3 * (pictures.ridge(wide, int(random.randint(99)), 1.4) - 0.5))
    else:
        corners = np.sort(random.randint(0, wide, int(random.randint(4, 12))))
        line = high * random.uniform(0.35, 0.8, len(corners) + 1)[np.searchsorted(corners, np.arange(wide))]
    ground = np.asarray(image, dtype=np.float64) * random.uniform(0.2, 0.7)
    return to_image(np.where((np.mgrid[:high, :wide][0] > line)[..., None], ground, sky))


def screenshot(random: Random) -> Image.Image:
    """A window: bars, a side panel with lines of text, cards, and pictures."""
    wide, high = size(random)
    dark = random.rand() < 0.5
    ground, panel, ink = ((30, 30, 30), (45, 45, 48), (210, 210, 210)) if dark else ((255,) * 3, (240,) * 3, (40,) * 3)
    image = Image.new("RGB", (wide, high), ground)
    draw = ImageDraw.Draw(image)
    aside, above = int(random.uniform(0.12, 0.3) * wide), int(random.uniform(0.03, 0.09) * high)
    draw.rectangle((0, above, aside, high), fill=panel)
    draw.rectangle((0, 0, wide, above), fill=tuple(random.randint(0, 255, 3).tolist()))
    for line in range(above + 12, int(high * random.uniform(0.3, 1)), 22):
        draw.rectangle((12, line, 12 + int(random.uniform(0.2, 0.85) * aside), line + 8), fill=ink)
    pad = int(random.randint(0, 30))
    inner = (aside + 1 + pad, above + 1 + pad, wide - pad, int(high * random.uniform(0.5, 1)) - pad)
    image.paste(scene(random, (inner[2] - inner[0], inner[3] - inner[1])), inner[:2])
    return image


def flat_art(random: Random) -> Image.Image:
    """Rectangles, discs and polygons of one colour each."""
    wide, high = size(random)
    image = Image.new("RGB", (wide, high), tuple(random.randint(0, 256, 3).tolist()))
    draw = ImageDraw.Draw(image)
    for _ in range(int(random.randint(5, 40))):
        x, y = int(random.randint(wide)), int(random.randint(high))
        across, down = int(random.uniform(0.05, 0.5) * wide), int(random.uniform(0.05, 0.5) * high)
        fill = tuple(random.randint(0, 256, 3).tolist()) if random.rand() < 0.6 else GROUNDS[random.randint(6)]
        (draw.rectangle if random.rand() < 0.6 else draw.ellipse)((x, y, x + across, y + down), fill=fill)
    return image


def card(random: Random) -> Image.Image:
    """Words on a ground, alone or beside a picture."""
    wide, high = size(random)
    ground, ink = (((0, 0, 0), (255, 255, 255)), ((255, 255, 255), (0, 0, 0)))[random.randint(2)]
    image = Image.new("RGB", (wide, high), ground)
    draw, left = ImageDraw.Draw(image), 0
    if random.rand() < 0.6:
        left = int(random.uniform(0.3, 0.6) * wide)
        image.paste(scene(random, (left, high)), (0, 0))
    for row in range(int(random.randint(2, 7))):
        y = int(high * (0.2 + 0.1 * row))
        for x in range(left + 30, int(wide * random.uniform(0.7, 1)) - 30, 26):
            draw.rectangle((x, y, x + int(random.randint(6, 20)), y + int(0.04 * high)), fill=ink)
    return image


def fade(random: Random) -> Image.Image:
    """A picture that fades to black towards one side, as on a poster."""
    image = scene(random)
    high = image.height
    start, end = random.uniform(0.2, 0.6), random.uniform(0.65, 0.98)
    ramp = np.clip((end - np.arange(high) / high) / (end - start), 0, 1)
    return to_image(np.asarray(image, dtype=np.float32) * ramp[:, None, None])


def whole(random: Random) -> Image.Image:
    """Nothing is lost."""
    return scene(random)


MEANT: dict[str, Made] = {
    made.__name__: made
    for made in (
        *(bars, one_bar, frame, comic, collage, scattered, studio, vignette, cutout, product),
        *(pixel_art, night_sky, screenshot, flat_art, card, fade, whole),
    )
}
"""Makers of pictures whose exact areas are meant, by what they show."""


def make(kinds: Mapping[str, Made], kind: str, seed: int) -> bytes:
    """The file of one picture of a kind."""
    random = Random(seed)
    return encoded(kinds[kind](random), random)
