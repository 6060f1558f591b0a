"""How long `signals` takes for a 1024 x 1536 image, against decoding it from PNG."""

from __future__ import annotations

import io
from collections.abc import Callable
from time import perf_counter

import numpy as np
import torch
from PIL import Image

from keepers.core.judging.near_duplicates import Run
from keepers.examples.pictures import ORDINARY, mountains
from keepers.models.signals.lost import measure_lost
from keepers.models.signals.signals import measure

SIZE = (1024, 1536)
ROUNDS = 15
SEEN = 100_000


def milliseconds(work: Callable[[], object]) -> float:
    """The shortest time of one call after a warm-up call: the one least disturbed by other work on the machine."""
    work()
    times: list[float] = []
    for _ in range(ROUNDS):
        start = perf_counter()
        work()
        times.append(perf_counter() - start)
    return 1000 * min(times)


def decode(file: io.BytesIO) -> Image.Image:
    """The image, with all pixels."""
    image = Image.open(file)
    image.load()
    return image


def main() -> None:
    """Print one line per picture, and the cost of the search for near-duplicates in a long run."""
    torch.set_num_threads(1)
    pictures = {"mountains": mountains(SIZE)}
    pictures |= {name: ORDINARY[name]().resize(SIZE) for name in ("spheres", "fog", "night", "line_art", "film")}
    pictures["half"] = pictures["mountains"].copy()
    pictures["half"].paste((0, 0, 0), (0, 0, SIZE[0], SIZE[1] // 2))
    for name, picture in pictures.items():
        file = io.BytesIO()
        picture.save(file, "PNG")
        decoding = milliseconds(lambda content=file: decode(content))
        judging = milliseconds(lambda image=picture: measure(image))
        grey = np.asarray(picture.convert("L"))
        lost = milliseconds(lambda image=picture, levels=grey: measure_lost(image, levels))
        print(
            f"{name:10} signals {judging:5.1f} ms, of which lost tiles {lost:4.1f} ms; PNG decoding {decoding:5.1f} ms"
        )
    run = Run()
    for place, bits in enumerate(np.random.RandomState(0).randint(0, 2**63, SEEN, dtype=np.uint64)):
        run.remember(bits, str(place))
    print(f"near-duplicates among {SEEN:,} images: {milliseconds(lambda: run.nearest(np.uint64(1))):.2f} ms an image")


if __name__ == "__main__":
    main()
