"""How long `signals` takes for a 1024 x 1536 image, against decoding it from PNG."""

from __future__ import annotations

import io
from collections.abc import Callable
from time import thread_time

import numpy as np
import torch
from PIL import Image

from keepers.examples.pictures import ORDINARY, mountains
from keepers.models.signals.lost import measure_lost
from keepers.models.signals.signals import measure

SIZE = (1024, 1536)
ROUNDS = 15


def milliseconds(work: Callable[[], object]) -> float:
    """The shortest time on the processor of one call after a warm-up call, so that other work disturbs it little."""
    work()
    times: list[float] = []
    for _ in range(ROUNDS):
        start = thread_time()
        work()
        times.append(thread_time() - start)
    return 1000 * min(times)


def decode(file: io.BytesIO) -> Image.Image:
    """The image, with all pixels."""
    image = Image.open(file)
    image.load()
    return image


def main() -> None:
    """Print one line per picture."""
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


if __name__ == "__main__":
    main()
