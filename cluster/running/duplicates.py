"""Near-duplicates among millions of images, found by a hash join.

If two hashes of 64 bits differ in at most 6 bits, at least one of 7 bands is equal in both. So images meet once for
each band that they share, and only those that meet are compared.
"""

# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false
# pyarrow has no type stubs, and creates its functions at run time.
from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ...core.judging.near_duplicates import ALIKE, HASH_GROUP, count_bits
from ...core.pictures.phash import BITS, join_words
from ..output.manifest import Listing
from ..output.output import MANIFEST, Output
from ..output.schema import ModelColumn

MOST = round((1 - ALIKE) * BITS)
"""The most bits in which near-duplicates differ."""
BANDS = MOST + 1
_PLACES = 40
"""The low bits of a rank, which hold the number of the earlier image; its distance is above them."""
_NONE = np.iinfo(np.int64).max
"""The rank of no image."""
_TILE = 2048
"""How many images are compared with as many others at once: 16 MB of distances."""

Columns = Mapping[str, NDArray[Any]]


def hashes(output: Output, part: str, column: ModelColumn, listing: Listing) -> dict[str, NDArray[Any]]:
    """The comparable images of one file: "number" in the manifest, and "bits". Raises OutputError."""
    found = output.part(part, ["key", column.model])
    numbers, _ = listing.find(found["key"])
    predicted = found[column.model].combine_chunks()
    ok = pc.equal(predicted.field("label"), "ok").fill_null(False)
    usable = pc.and_(pc.and_(predicted.is_valid(), ok), pa.array(numbers >= 0))
    values = predicted.filter(usable).field("values").flatten().to_numpy().reshape(-1, len(column.labels))
    words = values[:, list(column.labels.members(HASH_GROUP))]
    bits = np.array([join_words(row) for row in words], dtype=np.uint64)
    return {"number": numbers[usable.to_numpy(zero_copy_only=False)], "bits": bits}


def banded(images: Columns) -> dict[str, NDArray[Any]]:
    """Each image once for each of its bands: "band", "number", "bits"."""
    bits = images["bits"].astype(np.uint64)
    bands = [_band(bits, place) for place in range(BANDS)]
    repeated = {name: np.tile(images[name], BANDS) for name in ("number", "bits")}
    return {"band": np.concatenate(bands), **repeated}


def _band(bits: NDArray[np.uint64], place: int) -> NDArray[np.int64]:
    """One of the bands, tagged with its position, so that equal bits in different bands do not meet."""
    low, high = place * BITS // BANDS, (place + 1) * BITS // BANDS
    found = (bits >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
    return (found | np.uint64(place << 32)).astype(np.int64)


def meetings(images: Columns) -> dict[str, NDArray[Any]]:
    """Of images that share a band, those with an earlier near-duplicate among them: "number" and "rank".

    Ranks are ordered by distance, then by number: the smallest is that of the most similar image, and of several such
    images, the earliest.
    """
    order = np.argsort(images["number"], kind="stable")
    numbers, bits = images["number"][order], images["bits"][order].astype(np.uint64)
    _, firsts, same = np.unique(bits, return_index=True, return_inverse=True)
    ranks = numbers[firsts][same]  # equal hashes need no comparison: the nearest is the first of them, at distance 0
    kinds = np.sort(firsts)
    ranks[kinds] = _nearest(numbers[kinds], bits[kinds])
    near = ranks < _NONE
    return {"number": numbers[near], "rank": ranks[near]}


def _nearest(numbers: NDArray[np.int64], bits: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The rank of the nearest earlier image of each, _NONE if there is none; `numbers` is sorted."""
    ranks = np.full(len(numbers), _NONE)
    for start in range(0, len(numbers), _TILE):
        late = slice(start, start + _TILE)
        for first in range(0, start + 1, _TILE):
            early = slice(first, first + _TILE)
            ranks[late] = np.minimum(ranks[late], _ranks(numbers, bits, late, early))
    return ranks


def _ranks(numbers: NDArray[np.int64], bits: NDArray[np.uint64], late: slice, early: slice) -> NDArray[np.int64]:
    distances = count_bits(bits[late, None] ^ bits[None, early]).astype(np.int64)
    ranks = (distances << _PLACES) | numbers[None, early]
    counts = (distances <= MOST) & (numbers[None, early] < numbers[late, None])
    return np.where(counts, ranks, _NONE).min(axis=1)


def named_duplicates(output: Output, nearest: Columns) -> pa.Table:
    """The nearest earlier image of each duplicate: "number", "distance" and its name, "earlier"; ordered by number.

    Raises OutputError.
    """
    order = np.argsort(nearest["number"], kind="stable")
    ranks = nearest["rank"][order].astype(np.int64)
    earlier = ranks & ((1 << _PLACES) - 1)
    names = dict(_names(output, np.unique(earlier)))
    columns = {
        "number": pa.array(nearest["number"][order].astype(np.int64)),
        "distance": pa.array((ranks >> _PLACES).astype(np.int8)),
        "earlier": pa.array([names[number] for number in earlier.tolist()], pa.string()),
    }
    return pa.table(columns)


def _names(output: Output, numbers: NDArray[np.int64]) -> Iterator[tuple[int, str]]:
    """The names of some inputs, file by file of the manifest."""
    first = 0
    for part in output.parts(MANIFEST):
        found = output.part(part, ["uri", "member"], MANIFEST)
        inside = numbers[(numbers >= first) & (numbers < first + len(found))]
        for number, one in zip(inside.tolist(), found.take(pa.array(inside - first)).to_pylist(), strict=True):
            yield number, f"{one['uri']}#{one['member']}" if one["member"] else one["uri"]
        first += len(found)
