"""How the benchmarks measure: A B A B in one process, because the machine may be shared and noisy."""

from __future__ import annotations

import resource
import statistics
from collections.abc import Callable, Mapping
from time import perf_counter


def interleaved(works: Mapping[str, Callable[[], object]], rounds: int = 5) -> dict[str, float]:
    """The median seconds of each work, run in turn after one round to warm up."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            start = perf_counter()
            work()
            if number:
                times[name].append(perf_counter() - start)
    return {name: statistics.median(found) for name, found in times.items()}


def peak_megabytes() -> float:
    """The largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
