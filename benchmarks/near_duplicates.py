"""Near-duplicates: how long the comparison takes as a set grows, and how often it is right.

- Random fingerprints, a tenth of them near another one, at 5,000, 20,000 and 50,000; and a film of 50,000 alike.
- The share of the comparison in a scan of real files, and what a second decoding costs where a net is asked.
- Pairs of pictures that are the same in another form, and pairs that are not: drawn from seeds, in kinds.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image, ImageDraw

from keepers.collection.scan import Scan, ScanPlan
from keepers.collection.store import Store
from keepers.core.gates.gate import Gate
from keepers.core.judging.alike import Words, distances, keep_best
from keepers.core.judging.judge import Judge
from keepers.core.judging.near_duplicates import comparable, fingerprint
from keepers.core.pictures.open import open_image
from keepers.core.pictures.phash import FINGERPRINT_WORDS
from keepers.core.pictures.walk import Found, walk
from keepers.core.prediction import Prediction
from keepers.core.weights.store import WeightStore
from keepers.examples.pictures import ORDINARY, mountains
from keepers.models.registry import REGISTRY
from keepers.models.signals.signals import LABELS, measure, name_failure

COUNTS = (5_000, 20_000, 50_000, 200_000)
SEEDS = 400
FILES = 60


def fingerprints(count: int) -> Words:
    """Random ones, a tenth of them near an earlier one."""
    random = np.random.RandomState(count)
    words = random.randint(0, 1 << 16, (count, FINGERPRINT_WORDS)).astype(np.uint16)
    for place in np.flatnonzero(random.rand(count) < 0.1)[1:]:
        words[place] = words[random.randint(place)]
        words[place, 0] ^= np.uint16(1 << random.randint(16))
    return words


def growth() -> None:
    """How the time grows with the set."""
    before = 0.0
    for count in COUNTS:
        words = fingerprints(count)
        start = perf_counter()
        stands, _ = keep_best(words)
        seconds = perf_counter() - start
        found = int((stands != np.arange(count)).sum())
        ratio = f", {seconds / before:.1f} times the one before" if before else ""
        print(f"{count:7,} images {seconds:6.2f} s, {1e6 * seconds / count:4.0f} us each, {found:,} duplicates{ratio}")
        before = seconds
    start = perf_counter()
    keep_best(np.repeat(fingerprints(1), 50_000, axis=0))
    print(f" 50,000 equal  {perf_counter() - start:6.2f} s")


def scene(seed: int, size: tuple[int, int] = (512, 512)) -> Image.Image:
    """Blots of colour over a gradient, with grain."""
    random, (width, height) = np.random.RandomState(seed), size
    y, x = np.mgrid[0:height, 0:width] / height
    base = np.stack([120 + 90 * y + 30 * np.sin(6 * x + seed), 100 + 60 * x, 170 - 110 * y], -1)
    picture = Image.fromarray(base.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for _ in range(14):
        left, top, side = *random.randint(0, width, 2), random.randint(width // 16, width // 4)
        box = (int(left), int(top), int(left + side), int(top + side * random.uniform(0.5, 1.5)))
        draw.ellipse(box, fill=tuple(random.randint(20, 235, 3).tolist()))
    grain = np.asarray(picture).astype(np.float64) + random.randn(height, width, 3) * 4
    return Image.fromarray(grain.clip(0, 255).astype(np.uint8))


def portrait(seed: int) -> Image.Image:
    """One composition: a face before a ground, both with details of their own."""
    random, picture = np.random.RandomState(seed), scene(seed)
    draw = ImageDraw.Draw(picture)
    draw.ellipse((156, 96, 356, 366), fill=(225, 180, 150))
    for centre in (216, 296):
        eye = random.randint(8, 20)
        draw.ellipse((centre - eye, 190, centre + eye, 190 + 2 * eye), fill=tuple(random.randint(0, 120, 3).tolist()))
    draw.arc((206, 270, 306, 290 + random.randint(30)), 0, 180, fill=(150, 40, 40), width=6)
    return picture


def card(seed: int) -> Image.Image:
    """Three lines of strokes, as words are, in a frame."""
    random, picture = np.random.RandomState(seed), Image.new("RGB", (768, 768), (240, 236, 220))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((20, 20, 748, 748), outline=(30, 30, 40), width=6)
    for line in range(3):
        left = 100 + random.randint(40)
        while left < 640:
            width, height = random.randint(10, 34), random.randint(30, 60)
            if random.rand() < 0.8:
                draw.line((left, 200 + 180 * line, left + width, 200 + 180 * line - height), (30, 30, 40), 7)
                draw.line((left + width, 200 + 180 * line, left, 200 + 180 * line - height // 2), (30, 30, 40), 7)
            left += width + 8
    return picture


def gradient(seed: int) -> Image.Image:
    """From one colour to another, in any direction."""
    random = np.random.RandomState(seed)
    y, x = np.mgrid[0:384, 0:512] / 512
    angle = random.uniform(0, 2 * np.pi)
    along = x * np.cos(angle) + y * np.sin(angle)
    along = ((along - along.min()) / np.ptp(along))[..., None]
    first, last = random.randint(0, 256, (2, 3))
    return Image.fromarray((first * (1 - along) + last * along).astype(np.uint8))


def turned(picture: Image.Image, degrees: int) -> Image.Image:
    """The picture with another hue."""
    values = np.asarray(picture.convert("HSV")).copy()
    values[..., 0] = (values[..., 0].astype(np.int64) + round(degrees * 256 / 360)) % 256
    return Image.fromarray(values, "HSV").convert("RGB")


def coded(picture: Image.Image, kind: str, quality: int) -> Image.Image:
    """The picture after lossy compression."""
    file = io.BytesIO()
    picture.save(file, kind, quality=quality)
    return Image.open(io.BytesIO(file.getvalue())).convert("RGB")


def resized(picture: Image.Image, factor: float) -> Image.Image:
    """The picture in another size."""
    size = round(picture.width * factor), round(picture.height * factor)
    return picture.resize(size, Image.Resampling.LANCZOS)


FORMS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "half the size": lambda picture: resized(picture, 0.5),
    "3 times the size": lambda picture: resized(picture, 3),
    "thumbnail of 160": lambda picture: resized(picture, 160 / picture.width),
    "JPEG 95": lambda picture: coded(picture, "JPEG", 95),
    "JPEG 50": lambda picture: coded(picture, "JPEG", 50),
    "WebP 80": lambda picture: coded(picture, "WEBP", 80),
    "WebP 50": lambda picture: coded(picture, "WEBP", 50),
}
KINDS: dict[str, Callable[[int], Image.Image]] = {
    "scenes": scene,
    "portraits": portrait,
    "mountains": lambda seed: mountains((384, 256), seed),
    "cards": card,
    "gradients": gradient,
}


def words_of(picture: Image.Image) -> Words | None:
    """The fingerprint; None for a picture that counts as failed."""
    values = measure(picture)
    answer = Prediction("signals", LABELS, values, name_failure(values)[0])
    return fingerprint(answer) if comparable(answer) else None


def alike(pairs: Iterator[tuple[Image.Image, Image.Image]]) -> str:
    """How many pairs are near-duplicates."""
    both = [(words_of(one), words_of(other)) for one, other in pairs]
    found = [distances(one, other)[0] >= 0 for one, other in both if one is not None and other is not None]
    return f"{sum(found)} of {len(found)}"


def rates() -> None:
    """How often copies are found, and how often others are taken for copies."""
    bases = [scene(seed) for seed in range(30)] + [portrait(seed) for seed in range(30)]
    bases += [make().convert("RGB") for name, make in ORDINARY.items() if name != "gradient"]
    for name, form in FORMS.items():
        print(f"found as the same: {name:16} {alike((base, form(base)) for base in bases)}")
    for degrees in (20, 40, 90, 180):
        print(f"taken for the same: hue turned by {degrees:3} {alike((b, turned(b, degrees)) for b in bases[:60])}")
    for name, make in KINDS.items():
        words = [found for seed in range(SEEDS) if (found := words_of(make(seed))) is not None]
        every = np.concatenate(words)
        pairs = [np.flatnonzero(distances(np.repeat(one, len(every), 0), every) >= 0).size - 1 for one in words]
        print(f"taken for the same: {name} of other seeds {sum(pairs) // 2} of {len(words) * (len(words) - 1) // 2:,}")


def scans() -> None:
    """The share of the comparison in a scan, and what decoding twice costs where a net would be asked."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(FILES):
            scene(number, (1024, 1024)).save(Path(folder, f"{number}.png"))
        files = tuple(entry for entry in walk([Path(folder)]) if isinstance(entry, Found))
        with Store(Path(folder, "k.db")) as store:
            gate = Gate.parse('accept: signals.label == "ok"\nreview: signals.label == "duplicate"')
            job = Scan(Judge(REGISTRY, WeightStore([])), gate, store)
            start = perf_counter()
            for _ in job.run(ScanPlan(files, {})):
                pass
            whole = perf_counter() - start
            assert job.comparison
            start = perf_counter()
            job.comparison.settle()
            share = perf_counter() - start
        start = perf_counter()
        for one in files:
            open_image(one.path)
        decoding = perf_counter() - start
    print(
        f"a scan of {FILES} files of 1024x1024: {1000 * whole / FILES:.1f} ms each, the comparison {share / whole:.2%}"
    )
    print(f"decoding once more, where a net is asked: {1000 * decoding / FILES:.1f} ms each on one core")


def main() -> None:
    """Print all of it."""
    growth()
    scans()
    rates()


if __name__ == "__main__":
    main()
