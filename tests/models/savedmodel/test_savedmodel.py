from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepers.core.errors import CorruptWeights, KeepersError, UnsafeWeights
from keepers.models.savedmodel.bundle import Bundle, shard_count
from keepers.models.savedmodel.crc import LANE, crc32c, unmask
from keepers.models.savedmodel.metadata import read_model
from keepers.models.savedmodel.proto import fields, varint
from keepers.models.savedmodel.source import SavedModel, open_savedmodel
from keepers.models.savedmodel.table import read_table
from keepers.tests.models.furry import tiny
from keepers.tests.models.savedmodel.writer import (
    convnext_variables,
    entry,
    header,
    layers_of,
    mask,
    put_varint,
    table,
    write_savedmodel,
)

NAME = "convnext_small_tiny"
ZIP = tiny.DATA / f"{NAME}.zip"
INDEX, SHARD = "variables/variables.index", "variables/variables.data-00000-of-00001"


def members() -> dict[str, bytes]:
    with zipfile.ZipFile(ZIP) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def saved(folder: Path, change: Callable[[dict[str, bytes]], object] = lambda _parts: None) -> Path:
    """The SavedModel as a folder, changed."""
    parts = {name.split("/", 1)[1]: content for name, content in members().items()}
    change(parts)
    for name, content in parts.items():
        (folder / "model" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "model" / name).write_bytes(content)
    return folder / "model"


def read_all(model: SavedModel) -> int:
    return sum(model.bundle.array(variable.key).size for variable in model.bundle.variables)


def plain_crc(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@pytest.mark.parametrize(
    ("data", "crc"),
    [(b"", 0), (b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43)],
)
def test_published_checksums(data: bytes, crc: int) -> None:
    assert crc32c(data) == crc


@pytest.mark.parametrize("size", [1, 255, 4095, 4096, 4097, 17 * LANE, 33 * LANE + 5, 40_001])
def test_checksums_of_many_bytes_are_those_of_one_by_one(size: int) -> None:
    data = np.random.RandomState(size).randint(0, 256, size, dtype=np.uint8).tobytes()
    assert crc32c(data) == plain_crc(data)


def test_checksums_across_blocks() -> None:
    data = np.random.RandomState(0).randint(0, 256, (4 << 20) + 3 * LANE + 7, dtype=np.uint8).tobytes()
    changed = bytearray(data)
    changed[4 << 20] ^= 1
    whole, difference = crc32c(data), crc32c(bytes(changed))
    # The checksum is linear, so that what one bit changes depends on what follows it alone.
    tail = len(data) - (4 << 20)
    assert whole ^ difference == crc32c(b"\1" + bytes(tail - 1)) ^ crc32c(bytes(tail))


def test_masks_are_taken_off() -> None:
    assert all(unmask(mask(crc)) == crc for crc in (0, 1, 0x8A9136AA, 0xFFFFFFFF))


@given(st.integers(0, 2**63))
def test_numbers_of_any_size(value: int) -> None:
    encoded = put_varint(value)
    assert varint(memoryview(encoded), 0) == (value, len(encoded))


@given(st.binary(max_size=200))
def test_no_message_does_more_than_fail(data: bytes) -> None:
    try:
        list(fields(memoryview(data)))
    except CorruptWeights:
        return


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 5000), st.integers(1, 255))
def test_no_index_does_more_than_fail(place: int, change: int) -> None:
    index = bytearray(members()[f"{NAME}/{INDEX}"])
    index[place % len(index)] ^= change
    try:
        read_table(memoryview(bytes(index)))
    except CorruptWeights:
        return


def test_a_table_is_read() -> None:
    assert {key: bytes(value) for key, value in read_table(memoryview(table({b"a": b"1", b"b": b""}))).items()} == {
        b"a": b"1",
        b"b": b"",
    }


@pytest.mark.parametrize(("kind", "word"), [(1, "snappy"), (7, "zstd"), (99, "kind 99")])
def test_compressed_blocks_are_refused(kind: int, word: str) -> None:
    with pytest.raises(CorruptWeights, match=word):
        read_table(memoryview(table({b"a": b"1"}, kind)))


@pytest.mark.parametrize("cut", [0, 10, 47, 200])
def test_a_cut_index_is_refused(cut: int, tmp_path: Path) -> None:
    folder = saved(tmp_path, lambda parts: parts.update({INDEX: parts[INDEX][:cut]}))
    with pytest.raises(CorruptWeights), open_savedmodel(folder):
        pass


def test_every_tensor_is_read_with_its_name(tmp_path: Path) -> None:
    with open_savedmodel(saved(tmp_path)) as model:
        names = {variable.name: variable.shape for variable in model.bundle.variables}
        assert names["species_hidden_layer/kernel"] == (16, 5)
        assert names["convnext_block_0_0/conv2d_4/kernel"] == (7, 7, 1, 4)
        scales = [variable for variable in model.bundle.variables if variable.name == "Variable"]
        assert [variable.shape for variable in scales] == [(4,), (8,), (8,), (12,), (12,), (12,), (16,)]
        assert read_all(model) > 4000
        array = model.bundle.array("layer_with_weights-1/kernel/.ATTRIBUTES/VARIABLE_VALUE")
        assert array.dtype == np.float32
        assert not array.flags.writeable


def test_folder_and_zip_hold_the_same(tmp_path: Path) -> None:
    with open_savedmodel(saved(tmp_path)) as folder, open_savedmodel(ZIP) as packed:
        assert folder.bundle.entries == packed.bundle.entries
        assert bytes(folder.metadata) == bytes(packed.metadata)
        assert packed.name == NAME


def test_a_folder_around_the_model_is_no_obstacle(tmp_path: Path) -> None:
    saved(tmp_path)
    with open_savedmodel(tmp_path) as model:
        assert read_all(model) > 4000


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.7, 0.9999])
def test_a_flipped_byte_is_noticed_wherever_it_is(share: float, tmp_path: Path) -> None:
    def flip(parts: dict[str, bytes]) -> None:
        data = bytearray(parts[SHARD])
        data[int(len(data) * share)] ^= 1
        parts[SHARD] = bytes(data)

    with open_savedmodel(saved(tmp_path, flip)) as model, pytest.raises(CorruptWeights, match="checksum"):
        read_all(model)


def test_a_cut_data_file_is_noticed(tmp_path: Path) -> None:
    folder = saved(tmp_path, lambda parts: parts.update({SHARD: parts[SHARD][:-50_000]}))
    with pytest.raises(CorruptWeights, match="data file ends"), open_savedmodel(folder) as model:
        read_all(model)


@pytest.mark.parametrize("gone", [INDEX, SHARD, "keras_metadata.pb"])
def test_a_missing_part_is_named(gone: str, tmp_path: Path) -> None:
    folder = saved(tmp_path, lambda parts: parts.pop(gone))
    with pytest.raises(CorruptWeights, match=gone), open_savedmodel(folder):
        pass


def one_entry(dtype: int, sizes: tuple[int, ...], offset: int, data: bytes, extra: bytes = b"") -> bytes:
    return entry(dtype, sizes, offset, len(data), plain_crc(data), extra)


def bundle(one: bytes, data: bytes, head: bytes | None = None) -> Bundle:
    index = table({b"": header() if head is None else head, b"x": one})
    return Bundle(memoryview(index), [memoryview(data)])


@pytest.mark.parametrize(
    ("dtype", "array"),
    [
        (1, np.array([1.5, -2.0], np.float32)),
        (19, np.array([1.5, -2.0], np.float16)),
        (9, np.array([3, -4], np.int64)),
        (2, np.array([0.1, 7.0], np.float64)),
    ],
)
def test_types(dtype: int, array: np.ndarray) -> None:
    data = array.tobytes()
    found = bundle(one_entry(dtype, (2,), 0, data), data).array("x")
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


def test_bfloat16_is_widened() -> None:
    data = (np.array([1.0, -2.5, 3.0], np.float32).view(np.uint32) >> 16).astype("<u2").tobytes()
    np.testing.assert_array_equal(bundle(one_entry(14, (3,), 0, data), data).array("x"), [1.0, -2.5, 3.0])


@pytest.mark.parametrize(
    ("one", "word"),
    [
        (one_entry(1, (3,), 0, bytes(8)), "another size"),
        (one_entry(1, (2,), 4, bytes(8)), "data file ends"),
        (one_entry(23, (2,), 0, bytes(8)), "unknown type"),
        (one_entry(1, (1 << 50,), 0, bytes(8)), "impossible"),
        (one_entry(1, (2,), 0, bytes(8), extra=b"\x3a\x00"), "slices"),
    ],
)
def test_odd_entries_are_refused(one: bytes, word: str) -> None:
    with pytest.raises(CorruptWeights, match=word):
        bundle(one, bytes(8)).array("x")


def test_other_shards_and_byte_orders_are_refused() -> None:
    data = bytes(8)
    with pytest.raises(CorruptWeights, match="big-endian"):
        bundle(one_entry(1, (2,), 0, data), data, header(endian=1))
    with pytest.raises(CorruptWeights, match="2 data files"):
        bundle(one_entry(1, (2,), 0, data), data, header(shards=2))
    assert shard_count(memoryview(table({b"": header(3)}))) == 3


def rezipped(folder: Path, extra: dict[str, bytes], drop: str = "") -> Path:
    path = folder / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**members(), **extra}.items():
            if not drop or not name.endswith(drop):
                archive.writestr(name, content)
    return path


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/evil", "..\\evil", "C:\\evil", "a/..\\..\\evil"])
def test_a_zip_that_leaves_its_folder_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnsafeWeights, match="leaves its folder"), open_savedmodel(rezipped(tmp_path, {name: b"x"})):
        pass


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = rezipped(tmp_path, {f"{NAME}/{SHARD}": bytes(64 << 20)})
    assert path.stat().st_size < 1 << 20
    with pytest.raises(UnsafeWeights, match="67,108,864"), open_savedmodel(path):
        pass


def test_two_models_in_one_zip_are_refused(tmp_path: Path) -> None:
    path = rezipped(tmp_path, {f"other/{INDEX}": members()[f"{NAME}/{INDEX}"]})
    with pytest.raises(CorruptWeights, match="2 SavedModels"), open_savedmodel(path):
        pass


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"<!DOCTYPE html><title>Google Drive - Quota exceeded"])
def test_what_is_no_zip_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(content)
    with pytest.raises(CorruptWeights) as caught, open_savedmodel(path):
        pass
    assert ("web page" in str(caught.value)) == content.startswith(b"<")


def test_a_zip_with_a_damaged_member(tmp_path: Path) -> None:
    data = bytearray(ZIP.read_bytes())
    data[len(data) // 2] ^= 255
    path = tmp_path / "x.zip"
    path.write_bytes(bytes(data))
    with pytest.raises(KeepersError), open_savedmodel(path) as model:
        read_all(model)


def test_the_structure_is_read() -> None:
    structure = read_model(memoryview(members()[f"{NAME}/keras_metadata.pb"]))
    assert structure.size == 64
    assert structure.tower == "feature_layer"
    assert list(structure.chains) == [*tiny.TAGS, "rating"]
    hidden, output = structure.chains["clothing"]
    assert (hidden.name, hidden.units, hidden.activation) == ("clothing_hidden_layer", 5, "relu")
    assert (output.name, output.units, output.activation) == ("clothing_output", 3, "sigmoid")


def described(change: Callable[[dict[str, Any]], object]) -> memoryview:
    """keras_metadata.pb with another description of the model."""
    layers = [
        {
            "class_name": "InputLayer",
            "name": "in",
            "config": {"batch_input_shape": [None, 32, 32, 3]},
            "inbound_nodes": [],
        },
        {"class_name": "KerasLayer", "name": "t", "config": {"handle": "h"}, "inbound_nodes": [[["in", 0, 0, {}]]]},
        {"class_name": "Dropout", "name": "drop", "config": {}, "inbound_nodes": [[["t", 0, 0, {}]]]},
        {
            "class_name": "Dense",
            "name": "rating",
            "config": {"units": 1, "activation": "sigmoid"},
            "inbound_nodes": [[["drop", 0, 0, {}]]],
        },
    ]
    root = {"class_name": "Functional", "config": {"layers": layers, "output_layers": [["rating", 0, 0]]}}
    change(root)
    text = json.dumps(root).encode()
    node = b"\x1a\x04root" + b"\x2a" + put_varint(len(text)) + text
    return memoryview(b"\x0a" + put_varint(len(node)) + node)


def test_an_output_may_be_named_after_its_group_alone() -> None:
    structure = read_model(described(lambda _root: None))
    assert [(name, len(chain)) for name, chain in structure.chains.items()] == [("rating", 1)]
    assert structure.handle == "h"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda root: root.update(class_name="Sequential"), "not a functional"),
        (lambda root: root["config"]["layers"][3].update(class_name="Conv2D"), "Conv2D"),
        (lambda root: root["config"]["layers"][3]["config"].update(activation={"class_name": "Odd"}), "no plain dense"),
        (
            lambda root: root["config"]["layers"][0]["config"].update(batch_input_shape=[None, None, None, 3]),
            "fixed size",
        ),
        (lambda root: root["config"]["layers"][0]["config"].update(batch_input_shape=[None, 32, 40, 3]), "fixed size"),
        (lambda root: root["config"]["layers"][1].update(inbound_nodes=[[["drop", 0, 0, {}]]]), "stands where"),
        (lambda root: root["config"].update(output_layers=[["other", 0, 0]]), "not understood"),
        (lambda root: root["config"].pop("layers"), "not understood"),
    ],
)
def test_other_structures_are_refused(change: Callable[[dict[str, Any]], object], word: str) -> None:
    with pytest.raises(CorruptWeights, match=word):
        read_model(described(change))


@given(st.binary(max_size=100))
def test_no_metadata_does_more_than_fail(data: bytes) -> None:
    with pytest.raises(CorruptWeights):
        read_model(memoryview(data))


def test_what_is_written_like_tensorflow_is_read_back(tmp_path: Path) -> None:
    net = tiny.make_tower("convnext_small_tiny")
    heads = {group: len(tags) for group, tags in tiny.KNOWN.items()}
    written = convnext_variables(net, heads, 5)
    folder = write_savedmodel(tmp_path / "model", written, layers_of(64, heads, 5))
    with open_savedmodel(folder) as model:
        assert [variable.name for variable in model.bundle.variables] == [one.name for one in written]
        for variable, one in zip(model.bundle.variables, written, strict=True):
            np.testing.assert_array_equal(model.bundle.array(variable.key), one.value)
        assert list(read_model(model.metadata).chains) == list(heads)
