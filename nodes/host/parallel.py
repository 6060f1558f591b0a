"""What runs beside the images: the same entries are picked from latents, masks and texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from .api import BLOCKED

if TYPE_CHECKING:
    from torch import Tensor

    from .images import Frame

Latent = Mapping[str, Any]
T = TypeVar("T")


def pick_images(batches: Sequence[Tensor], found: Sequence[Frame], keep: Sequence[int]) -> list[Any]:
    """The kept images, in their batches; a batch that stays whole is passed on without a copy."""
    whole = [batch[None] if batch.ndim == 3 else batch for batch in batches]
    return _grouped(whole, [(found[number].batch, found[number].index) for number in keep], _rows)


def pick_masks(masks: Sequence[Tensor] | None, count: int, keep: Sequence[int]) -> list[Any]:
    """The masks of the kept images. A single mask belongs to every image. Raises ValueError for any other number."""
    batches = [mask[None] if mask.ndim == 2 else mask for mask in masks or ()]
    return _picked("masks", batches, [len(mask) for mask in batches], count, keep, _rows)


def pick_latents(latents: Sequence[Latent] | None, count: int, keep: Sequence[int]) -> list[Any]:
    """The latents of the kept images, with their noise masks and places in the batch. Raises ValueError."""
    given = list(latents or ())
    return _picked("latents", given, [len(latent["samples"]) for latent in given], count, keep, _latent_rows)


def pick_texts(texts: Sequence[str] | None, count: int, keep: Sequence[int]) -> list[Any]:
    """The texts of the kept images; a single one belongs to every image. Raises ValueError."""
    given = list(texts or ())
    if not given or not keep:
        return [BLOCKED]
    return [given[0 if len(given) == 1 else number] for number in keep if matches("captions", len(given), count)]


def matches(what: str, found: int, count: int) -> bool:
    """True if there is one of something for every image, or one for all. Raises ValueError otherwise."""
    if found not in (1, count):
        raise ValueError(f"There are {count} images, but {found} {what}: they must come from the same images.")
    return True


def _picked(
    what: str, batches: Sequence[T], sizes: Sequence[int], count: int, keep: Sequence[int], rows: Callable[..., T]
) -> list[Any]:
    if not batches or not keep or not sum(sizes):
        return [BLOCKED]
    matches(what, sum(sizes), count)
    places = [(batch, index) for batch, size in enumerate(sizes) for index in range(size)]
    return _grouped(batches, [places[0 if len(places) == 1 else number] for number in keep], rows)


def _grouped(batches: Sequence[T], places: Sequence[tuple[int, int]], rows: Callable[..., T]) -> list[Any]:
    """One result per batch with something kept; a blocker if nothing is kept."""
    chosen: dict[int, list[int]] = {}
    for batch, index in places:
        chosen.setdefault(batch, []).append(index)
    return [rows(batches[batch], indexes) for batch, indexes in chosen.items()] or [BLOCKED]


def _rows(batch: Tensor, indexes: Sequence[int]) -> Tensor:
    """Some images of a batch; all of them in order are the batch itself."""
    if list(indexes) == list(range(len(batch))):
        return batch
    return batch[torch.as_tensor(indexes, device=batch.device)]


def _latent_rows(latent: Latent, indexes: Sequence[int]) -> Latent:
    samples = latent["samples"]
    picked = {**latent, "samples": _rows(samples, indexes)}
    mask, places = latent.get("noise_mask"), latent.get("batch_index")
    if mask is not None and len(mask) == len(samples):
        picked["noise_mask"] = _rows(mask, indexes)
    if places is not None:
        picked["batch_index"] = [places[index] for index in indexes]
    return picked
