"""How the benchmarks measure: A B A B in one process, since the machine may be shared and noisy."""

from __future__ import annotations

import resource
import statistics
from collections.abc import Callable, Mapping
from time import perf_counter


def interleaved(works: Mapping[str, Callable[[], object]], rounds: int = 5) -> dict[str, float]:
    """The median seconds of each piece of work, run in turn after a warm-up round."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            start = perf_counter()
            work()
            if number:
                times[name].append(perf_counter() - start)
    return {name: statistics.median(found) for name, found in times.items()}


def peak_megabytes() -> float:
    """The peak resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
