from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from keepers.core.errors import CorruptWeights, DownloadFailed
from keepers.core.weights.store import WeightStore
from keepers.models.furry import furry
from keepers.models.furry import towers as furry_towers
from keepers.models.furry.convert import Converted, convert
from keepers.models.furry.format import Layout
from keepers.tests.core.weights.test_download import Server, server
from keepers.tests.models.furry import tiny
from keepers.tests.models.savedmodel.writer import Written, convnext_variables, layers_of, write_savedmodel

__all__ = ["server"]  # a fixture


@pytest.fixture(autouse=True)
def tiny_towers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(furry_towers, "make_tower", tiny.make_tower)


def published_as_tiny(monkeypatch: pytest.MonkeyPatch, server: Server) -> furry.Published:
    """A published model whose zip is a tiny one, on a server of this machine."""
    from keepers.models.furry import convert as furry_convert

    name = "convnext_small_tiny"
    monkeypatch.setattr(furry, "address", lambda _drive: server.url + "/zip")
    monkeypatch.setattr(furry_convert, "convert", partial(convert, tags=tiny.KNOWN, recognise=tiny.recognise_as(name)))
    return furry.PUBLISHED[1]._replace(name=name)


def test_fetching_downloads_and_converts(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = published_as_tiny(monkeypatch, server)
    server.body = (tiny.DATA / "convnext_small_tiny.zip").read_bytes()
    path = furry.obtain(WeightStore([tmp_path], download=True), one)
    assert path == tmp_path / "furry_convnext_small_tiny.safetensors"
    assert "heads.rating.1.bias" in load_file(path)


def test_a_page_in_the_way_is_told_with_what_to_do(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = published_as_tiny(monkeypatch, server)
    server.headers = {"Content-Type": "text/html; charset=utf-8"}
    server.body = b"<!DOCTYPE html><html>Google Drive can't scan this file for viruses. Download anyway?"
    with pytest.raises(DownloadFailed, match=r"open .*/zip in a browser.*convnext_small_tiny\.zip"):
        furry.obtain(WeightStore([tmp_path], download=True), one)
    assert not list(tmp_path.glob("*.zip"))


def test_a_zip_put_there_by_hand_is_converted(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = published_as_tiny(monkeypatch, server)
    (tmp_path / "convnext_small_tiny.zip").write_bytes((tiny.DATA / "convnext_small_tiny.zip").read_bytes())
    assert furry.obtain(WeightStore([tmp_path]), one).is_file()


def made_up(folder: Path, change: Callable[[list[Written]], object] = lambda _all: None) -> Path:
    """A SavedModel of random numbers that a tiny ConvNeXt could have."""
    heads = {group: len(tags) for group, tags in tiny.KNOWN.items()}
    variables = convnext_variables(tiny.make_tower("convnext_small_tiny"), heads, 5)
    change(variables)
    return write_savedmodel(folder / "mine", variables, layers_of(64, heads, 5))


def convert_made_up(source: Path, target: Path) -> Converted:
    return convert(source, target, tags=tiny.KNOWN, recognise=tiny.recognise_as("convnext_small_tiny"))


def test_a_made_up_model_converts_to_its_own_numbers(tmp_path: Path) -> None:
    made = convert_made_up(made_up(tmp_path), tmp_path / "x.safetensors")
    tensors = load_file(made.path)
    assert made.layout.source == "mine"
    assert furry.name_of(made.layout) == "mine"
    heads = {group: len(tags) for group, tags in tiny.KNOWN.items()}
    written = {one.name: one.value for one in convnext_variables(tiny.make_tower("convnext_small_tiny"), heads, 5)}
    np.testing.assert_array_equal(tensors["heads.body.1.weight"].numpy(), written["body_output/kernel"].T)
    kernel = written["convnext_block_2_1/conv2d_211/kernel"]
    ours = tensors["tower.stages.2.blocks.1.conv_dw.weight"].numpy()
    np.testing.assert_array_equal(ours[:, 0], kernel[:, :, 0].transpose(2, 0, 1))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(value: float, tmp_path: Path) -> None:
    def spoil(variables: list[Written]) -> None:
        variables[7].value.flat[0] = value

    source = made_up(tmp_path, spoil)
    with pytest.raises(CorruptWeights, match="NaN or infinity"):
        convert_made_up(source, tmp_path / "x.safetensors")
    assert not (tmp_path / "x.safetensors").exists()


def test_a_variable_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    def add(variables: list[Written]) -> None:
        variables.append(Written("layer_with_weights-0/odd:0", "odd/thing", np.zeros(3, np.float32)))

    with pytest.raises(CorruptWeights, match="odd/thing"):
        convert_made_up(made_up(tmp_path, add), tmp_path / "x.safetensors")


def test_a_head_without_its_variable_is_refused(tmp_path: Path) -> None:
    def drop(variables: list[Written]) -> None:
        variables.remove(next(one for one in variables if one.name == "species_output/bias"))

    with pytest.raises(CorruptWeights, match="species_output"):
        convert_made_up(made_up(tmp_path, drop), tmp_path / "x.safetensors")


def test_a_published_model_is_known_by_its_tower_and_size() -> None:
    tags, activations = {"rating": ("rating",)}, {"rating": ("sigmoid",)}
    layout = Layout("tf_efficientnetv2_s", 384, tags, activations, normalised=True, source="model(1)")
    assert furry.name_of(layout) == "efficientnet_v2_m_384_3"
    assert furry.name_of(replace(layout, size=300)) == "model(1)"
    assert furry.file_name("model(1)") == "furry_model_1.safetensors"
