"""Parquet of others: Ray's own types, which run code when they are read, never come so far."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")
import pyarrow as pa
import pyarrow.parquet as pq
import ray.data  # noqa: F401  its types are known to Arrow from now on

from keepers.cluster.output.output import IMAGES, DamagedPart, Output
from keepers.cluster.output.schema import to_table
from keepers.cluster.sources.parquet_file import is_foreign
from keepers.cluster.sources.read_item import ItemReader
from keepers.cluster.sources.sources import list_items
from keepers.tests.cluster.output.world import FULL, row, said
from keepers.tests.cluster.sources.files import make

OBJECT, TENSOR = b"ray.data.arrow_pickled_object", b"ray.data.arrow_tensor"


class Evil:
    """Makes a folder when it is unpacked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def typed(name: str, kind: Any, extension: bytes, described: bytes = b"") -> Any:
    """A column as another library describes it."""
    return pa.field(name, kind, metadata={b"ARROW:extension:name": extension, b"ARROW:extension:metadata": described})


def write(path: Path, field: Any, cells: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = pa.schema([field])
    pq.write_table(pa.Table.from_arrays([pa.array(cells, field.type)], schema=schema), path)
    return path


def test_what_these_files_would_do(tmp_path: Path) -> None:
    """Otherwise the tests below prove nothing."""
    made = tmp_path / "made"
    path = write(tmp_path / "a.parquet", typed("image", pa.large_binary(), OBJECT), [pickle.dumps(Evil(made))])
    pq.read_table(path).to_pylist()
    assert made.is_dir()


def test_objects_in_a_column_of_images_are_bytes_that_are_no_image(tmp_path: Path) -> None:
    made = tmp_path / "made"
    packed = pickle.dumps(Evil(made))
    path = write(tmp_path / "a.parquet", typed("image", pa.large_binary(), OBJECT), [packed])
    (item,) = list_items([str(path)])
    assert ItemReader().read(item) == packed
    assert not made.exists()


def test_paths_are_read_as_text_whatever_their_column_says(tmp_path: Path) -> None:
    make(tmp_path, "a.png")
    path = write(tmp_path / "set.parquet", typed("image", pa.string(), OBJECT), ["a.png"])
    (item,) = list_items([str(path)])
    assert item.uri == str(tmp_path / "a.png")


@pytest.mark.parametrize("described", [b"{", b"[1, 2]", pickle.dumps(Evil(Path("never")))])
def test_a_type_that_cannot_be_read_is_a_row(tmp_path: Path, described: bytes) -> None:
    path = write(tmp_path / "set.parquet", typed("image", pa.binary(), TENSOR, described), [b"bytes"])
    (item,) = list_items([str(path)])
    assert item.code == "corrupt" and "one of its types cannot be read" in item.flaw
    assert not Path("never").exists()


def test_files_among_the_results_that_are_not_ours_are_refused(tmp_path: Path) -> None:
    output, made = Output.at(str(tmp_path)), tmp_path / "made"
    ours = to_table([row(0, said(FULL, 0.9, 0.1))], [FULL])
    packed = pa.array([pickle.dumps(Evil(made))], pa.large_binary())
    wrong = {
        "objects": ours.set_column(ours.schema.get_field_index("prompt"), typed("prompt", packed.type, OBJECT), packed),
        "beside": ours.append_column(typed("signals", packed.type, OBJECT), packed),
        "types": ours.set_column(ours.schema.get_field_index("key"), "key", [["no bytes"]]),
        "missing": ours.drop_columns(["key"]),
    }
    output.write_table(ours, IMAGES, "ours.parquet")
    assert output.part("ours.parquet").equals(ours)
    for name, found in wrong.items():
        output.write_table(found, IMAGES, f"{name}.parquet")
        with pytest.raises(DamagedPart, match=f"{name}.parquet was cut off, or is not ours"):
            output.part(f"{name}.parquet")
    with pytest.raises(DamagedPart, match="no column key"):
        output.part("missing.parquet", ["key", "error"])
    assert not made.exists()


def test_foreign_types_are_found_inside_others() -> None:
    odd = pa.uuid()
    for kind in (odd, pa.list_(odd), pa.struct([("a", pa.list_(odd))]), pa.map_(pa.string(), odd)):
        assert is_foreign(kind), kind
    for kind in (pa.string(), pa.list_(pa.float32(), 3), pa.struct([("a", pa.int8())]), pa.dictionary(pa.int8(), odd)):
        assert is_foreign(kind) == pa.types.is_dictionary(kind), kind
