"""The recorded layouts against what is known of the published files, and how they are written down."""

from __future__ import annotations

import math

import pytest

from keepers.core.weights.weight_file import WeightFile
from keepers.models import aesthetic, arniqa, coherence, jtp
from keepers.models.faramir.own import OWN
from keepers.models.furry import furry
from keepers.models.siglip import SIGLIP
from keepers.tests.models.layouts import Layout, fold, read_layout, unfold

KNOWN = {
    SIGLIP: (342, None),
    jtp.PILOT: (344, 438_698_299),
    jtp.PILOT2: (344, 449_170_998),
    arniqa.ENCODER: (322, None),
    aesthetic.HEAD: (10, 1_321_185),
    OWN: (39, 15_329_770),
    coherence.PUBLISHED: (228, None),
}
"""Tensors and numbers of the published files, as their authors or the files' sizes tell them."""
PARAMETERS = (22_357_829, 29_060_165, 14_140_579, 3_163_221)
"""Of the furry models, in the order of `PUBLISHED`, as the author's table has them."""


def numbers(layout: Layout) -> int:
    return sum(math.prod(shape) for shape in layout.tensors.values())


@pytest.mark.parametrize("file", KNOWN, ids=lambda file: file.name)
def test_a_layout_has_the_published_number_of_tensors(file: WeightFile) -> None:
    layout = read_layout(file)
    tensors, parameters = KNOWN[file]
    assert len(layout.tensors) == tensors
    assert parameters is None or numbers(layout) == parameters


def test_the_furry_layouts_have_the_published_number_of_parameters() -> None:
    layouts = [read_layout(furry.converted(one.name, one.drive)) for one in furry.PUBLISHED]
    assert tuple(map(numbers, layouts)) == PARAMETERS


def test_folding_loses_no_name() -> None:
    names = ["a", "b.1.x", "b.2.x", "b.4.x", "b.0.y", "c.1.0.x", "c.1.1.x", "c.2.0.x", "2.z", "3.z"]
    tensors = {name: (3,) if name != "b.2.x" else (4,) for name in names}
    folded = fold(tensors)
    assert sorted(one for name in folded for one in unfold(name)) == sorted(names)
    assert {one: shape for name, shape in folded.items() for one in unfold(name)} == tensors
    assert len(fold(dict.fromkeys((f"blocks.{i}.norm.weight" for i in range(27)), (8,)))) == 1
