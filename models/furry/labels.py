"""The 228 tags of the published models, their groups, and the rating."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from ...core.prediction import PROBABILITY, Labels, Range
from ..tag_files import check_tags
from .format import RATING

LISTS = Path(__file__).parents[1] / "labels" / "furry"
GROUPS = ("identity", "species", "body", "clothing", "action", RATING)
"""The order of the outputs in the published models; each file's own order counts."""
RATING_RANGE = Range(0.0, 1.0, "rating")


@cache
def built_in_tags() -> Mapping[str, tuple[str, ...]]:
    """The tags of each group, in the order of the outputs."""
    groups = {path.stem: check_tags(path.read_text("utf-8").split(), path) for path in sorted(LISTS.glob("*.txt"))}
    return {**groups, RATING: (RATING,)}


@cache
def built_in_labels() -> Labels:
    """The 229 labels of the published models."""
    return make_labels({group: built_in_tags()[group] for group in GROUPS})


def make_labels(tags: Mapping[str, Iterable[str]]) -> Labels:
    """Labels from the tags of each output, in order."""
    pairs = [(tag, group) for group, names in tags.items() for tag in names]
    ranges = tuple(RATING_RANGE if group == RATING else PROBABILITY for _, group in pairs)
    return Labels(tuple(tag for tag, _ in pairs), tuple(group for _, group in pairs), ranges)
