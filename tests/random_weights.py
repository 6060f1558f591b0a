"""Weights that any machine makes alike, so that outputs recorded from an original can be checked without its files."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray


def random_weights(shapes: Mapping[str, tuple[int, ...]], seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """One array a name, from numpy's RandomState, which never changes; scaled so that activations neither die nor grow.

    A tensor depends on its name, its shape and the seed alone, so names may come in any order and with any others.
    """
    return {name: _one(name, shape, seed) for name, shape in shapes.items()}


def _one(name: str, shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    random = np.random.RandomState((zlib.crc32(name.encode()) + seed) % 2**32)
    last = name.rsplit(".", 1)[-1]
    if last == "num_batches_tracked":
        return np.zeros(shape, np.int64)  # pyright: ignore[reportReturnType]  the one integer among them
    if last == "running_var":
        return (0.5 + random.rand(*shape)).astype(np.float32)
    if last == "running_mean":
        return (0.1 * random.randn(*shape)).astype(np.float32)
    if last == "weight" and len(shape) == 1:
        return (0.8 + 0.4 * random.rand(*shape)).astype(np.float32)
    if len(shape) > 1:
        fan_in = int(np.prod(shape[1:]))
        return (random.randn(*shape) * (1.2 / fan_in) ** 0.5).astype(np.float32)
    return (0.1 * random.randn(*shape)).astype(np.float32)
