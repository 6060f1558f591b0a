"""Captions from 10,000 predictions of 9,083 tags, against a plain loop over all tags of each prediction.

python -m keepers.benchmarks captions
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Iterator

import numpy as np

from keepers.core.captions.recipe import CaptionRecipe
from keepers.core.captions.writer import CaptionWriter
from keepers.core.prediction import Floats, Prediction
from keepers.models.jtp import built_in_labels

COUNT = 10_000
SAMPLE = 300
"""Predictions for the plain loop, which is too slow for all of them."""
THRESHOLD = 0.2
RECIPE = CaptionRecipe(
    threshold=THRESHOLD,
    first=("trigger",),
    exclude=("*_background", "simple background", "*text*"),
    rename=(("male/male", "two males"), ("long hair", "hair, long")),
    implied=tuple((f"{colour}_fur", ("fur",)) for colour in ("white", "black", "brown", "grey")),
    limit=60,
    max_characters=600,
)
PLAIN = CaptionRecipe(threshold=THRESHOLD)


def values(count: int) -> Iterator[Floats]:
    """Probabilities as a tagger gives them: about 45 of 9,083 above the threshold."""
    random = np.random.RandomState(0)
    for _ in range(count):
        found = random.rand(9083).astype(np.float32) * np.float32(0.1)
        found[random.randint(0, 9083, 45)] = random.rand(45).astype(np.float32) * 0.75 + 0.25
        yield found


def predictions(count: int) -> Iterator[Prediction]:
    """Predictions that share their labels, as those of one model do."""
    labels = built_in_labels()
    for found in values(count):
        yield Prediction("jtp", labels, found)


def plain(found: Floats) -> str:
    """What a first script does: look at every tag, sort, join."""
    names = built_in_labels().names
    kept = [(name, float(value)) for name, value in zip(names, found, strict=True) if value >= THRESHOLD]
    kept.sort(key=lambda pair: -pair[1])
    return ", ".join(name if name in ("^_^", ">_<", "o_o") else name.replace("_", " ") for name, _ in kept)


def seconds(work: Callable[[], object]) -> float:
    """How long a piece of work takes."""
    start = time.process_time()  # this process alone: the work has one thread, and the machine may be shared
    work()
    return time.process_time() - start


def per_thousand(recipe: CaptionRecipe, count: int) -> float:
    """Seconds for a thousand captions, not counting the predictions."""
    writer, total = CaptionWriter(recipe), 0.0
    for prediction in predictions(count):
        total += seconds(lambda prediction=prediction: writer([prediction]))
    return total / count * 1000


def peak(count: int) -> float:
    """Peak MiB while captions are made, not counting the captions."""
    writer = CaptionWriter(RECIPE)
    tracemalloc.start()
    for prediction in predictions(count):
        writer([prediction])
    found = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return found


def main() -> None:
    """Print this machine's figures, and the ratios that carry over to others."""
    writer = CaptionWriter(PLAIN)
    sample = list(predictions(SAMPLE))
    assert all(writer([one]).text == plain(one.values) for one in sample), "both ways must write the same captions"
    reference = sum(seconds(lambda one=one: plain(one.values)) for one in sample) / SAMPLE * 1000
    ours, full = per_thousand(PLAIN, COUNT), per_thousand(RECIPE, COUNT)
    print(f"a thousand captions of 9,083 tags, mean of {COUNT:,}:")
    print(f"  plain loop          {reference:7.3f} s")
    print(f"  same recipe         {ours:7.3f} s   {reference / ours:5.1f} times as fast")
    print(f"  recipe with it all  {full:7.3f} s   {reference / full:5.1f} times as fast")
    print(f"peak memory: {peak(1000):.1f} MiB after 1,000, {peak(3000):.1f} MiB after 3,000")


if __name__ == "__main__":
    main()
