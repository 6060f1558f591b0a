"""How fast weight files the size of a large vision tower are opened, against the libraries' own loaders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from keepers.core.weights.checksum import fingerprint, sha256
from keepers.core.weights.formats.read import read_tensors, require_finite
from keepers.tests.writers import STATE_DICT_WRITERS

ROUNDS = 3
BLOCKS = 27
"""As many parameters as SO400M has; the file is 0.86 GB."""


def seconds(work: Callable[[], object]) -> float:
    """The shortest time of a few runs, with the file in the system's cache."""
    times: list[float] = []
    for _ in range(ROUNDS):
        start = perf_counter()
        work()
        times.append(perf_counter() - start)
    return min(times)


def torch_load(path: Path) -> dict[str, Any]:
    """The usual way, from an open file, which torch cannot map."""
    with path.open("rb") as file:
        return torch.load(file, map_location="cpu", weights_only=True)


def main() -> None:
    """Print one line per kind of file, and the cost of the checks."""
    tower: dict[str, Tensor] = {f"blocks.{i}.weight": torch.randn(1152, 6912) for i in range(BLOCKS)}
    tower |= {f"blocks.{i}.small.{j}": torch.randn(1152) for i in range(BLOCKS) for j in range(11)}
    theirs = {"safetensors": load_file, "zip": torch_load, "legacy": torch_load}
    with TemporaryDirectory() as folder:
        for kind, write in STATE_DICT_WRITERS.items():
            path = write(Path(folder) / kind, tower)
            own, other = seconds(lambda p=path: dict(read_tensors(p))), seconds(lambda p=path, k=kind: theirs[k](p))
            print(f"{kind:11} opened in {own:.3f} s, by its library in {other:.3f} s, ratio {own / other:.2f}")
        path = Path(folder) / "safetensors"
        whole = seconds(lambda: sha256(path))
        for name, work in (
            ("fingerprint", lambda: fingerprint(path)),
            ("all finite", lambda: require_finite(read_tensors(path), path)),
        ):
            own = seconds(work)
            print(f"{name:11} {own:.3f} s, sha256 {whole:.2f} s, ratio {own / whole:.2f}")


if __name__ == "__main__":
    main()
