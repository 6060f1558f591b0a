"""The tag lists published beside taggers. They are checked strictly: a list shifted by one names every tag wrongly."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from pathlib import Path

from ..core.errors import CorruptWeights, WrongWeights, one_line

SIZE_LIMIT = 16 << 20
"""Bytes; the largest published list, of 75,000 tags, is under 4 MB."""

CATEGORIES = {"0": "general", "1": "artist", "3": "copyright", "4": "character", "5": "meta", "9": "rating"}
"""Danbooru's category numbers, and 9, which the wd taggers add for the rating."""


def read_tag_index(path: Path, model: str, count: int) -> tuple[str, ...]:
    """The tags of a JSON object {tag: index}, in index order; spaces become underscores, so that all lists agree.

    Raises CorruptWeights (not such a file) and WrongWeights (indices other than 0 to `count` - 1, each once).
    """
    found = _json_pairs(path)
    pairs = sorted((index, tag) for tag, index in found if type(index) is int)
    if len(pairs) < len(found):
        raise CorruptWeights(f"{_name(path)} is no tag list: every tag needs a whole number as its index.")
    if [index for index, _ in pairs] != list(range(count)):
        detail = f"its indices are not 0 to {count - 1}, each once (it has {len(pairs)} tags, the head has {count})"
        raise WrongWeights(path, model, detail=detail)
    return check_tags([tag.replace(" ", "_") for _, tag in pairs], path)


def read_selected_tags(path: Path, model: str, count: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and groups of a `selected_tags.csv`, in file order, which is the order of the outputs.

    Raises CorruptWeights and WrongWeights.
    """
    rows = list(csv.DictReader(io.StringIO(_text(path), newline="")))
    if not rows or not {"name", "category"} <= rows[0].keys():
        raise CorruptWeights(f"{_name(path)} is no tag list: it needs the columns name and category.")
    if len(rows) != count:
        raise WrongWeights(path, model, detail=f"it has {len(rows)} tags, the head has {count}")
    unknown = sorted({str(row["category"]) for row in rows} - CATEGORIES.keys())
    if unknown:
        raise CorruptWeights(f"{_name(path)} has unknown tag categories: {one_line(', '.join(unknown[:5]))}.")
    names = check_tags([row["name"] or "" for row in rows], path)
    return names, tuple(CATEGORIES[row["category"]] for row in rows)


def check_tags(tags: list[str], path: Path) -> tuple[str, ...]:
    """The tags, once checked: each is visible text, and none occurs twice. Raises CorruptWeights."""
    bad = [tag for tag in tags if not tag.strip() or not tag.isprintable() or len(tag) > 200]
    if bad:
        raise CorruptWeights(f"{_name(path)} has tags that are empty, too long or hold control characters: {bad[:3]}.")
    if len(set(tags)) != len(tags):
        twice = [tag for tag, times in Counter(tags).items() if times > 1][:3]
        raise CorruptWeights(f"{_name(path)} has tags that come twice: {', '.join(twice)}.")
    return tuple(tags)


def _json_pairs(path: Path) -> list[tuple[str, object]]:
    try:
        pairs = json.loads(_text(path), object_pairs_hook=list)
    except (ValueError, RecursionError) as error:
        raise CorruptWeights(f"{_name(path)} is no JSON: {error}.") from error
    if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
        raise CorruptWeights(f"{_name(path)} is no tag list: it should be one JSON object of tags and indices.")
    return pairs


def _text(path: Path) -> str:
    """A small UTF-8 file. A byte order mark is refused: it would become part of the first tag."""
    try:
        with path.open("rb") as file:
            data = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise CorruptWeights(f"{_name(path)} cannot be read: {error.strerror}.") from error
    if len(data) > SIZE_LIMIT:
        raise CorruptWeights(f"{_name(path)} is too large for a tag list (over {SIZE_LIMIT >> 20} MB).")
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise CorruptWeights(f"{_name(path)} starts with a byte order mark; save it as UTF-8 without one.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CorruptWeights(f"{_name(path)} is not UTF-8 text.") from error


def _name(path: Path) -> str:
    return one_line(str(path))
