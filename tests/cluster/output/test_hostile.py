"""Outputs that were made to do harm: each is refused in one sentence, and nothing of it is waited for or shown."""

from __future__ import annotations

import json
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pa = pytest.importorskip("pyarrow")

from keepers.cli.prompts.output import from_output  # noqa: E402
from keepers.cluster.output.output import IMAGES, MANIFEST, SETTINGS, SUMMARY, DamagedPart, Output, OutputError  # noqa: E402
from keepers.cluster.output.schema import file_schema  # noqa: E402
from keepers.core.judging.judge import Judge  # noqa: E402
from keepers.core.runtime import Runtime  # noqa: E402
from keepers.core.weights.store import WeightStore  # noqa: E402
from keepers.models.registry import REGISTRY  # noqa: E402
from keepers.tests.cluster.output.world import FULL, SPARSE, row, said, write  # noqa: E402


@pytest.fixture
def output(tmp_path: Path) -> Output:
    rows = [row(n, said(FULL, 0.9, 0.1), said(SPARSE, 0.1, 0.5, 0.3, 0.2), prompt="a fox") for n in range(4)]
    return write(tmp_path / "out", rows, parts=1)


# What it says of itself

Facts = dict[str, Any]


def of_model(place: int, **told: Any) -> Callable[[Facts], Any]:
    return lambda facts: facts["models"][place].update(told)


def of_labels(**told: Any) -> Callable[[Facts], Any]:
    return lambda facts: facts["models"][0]["labels"].update(told)


WRONG: dict[str, Callable[[Facts], Any]] = {
    "a model that is no text": of_model(0, model=5),
    "a model called as a column": of_model(0, model="uri"),
    "two models of one name": of_model(0, model="tags"),
    "a model that no file can name": of_model(0, model="\ud800"),
    "a fingerprint that is no text": of_model(0, fingerprint={"x": 1}),
    "a floor beyond numbers": of_model(1, floor=10**400),
    "labels twice": of_labels(names=["a", "a"]),
    "labels that are numbers": of_labels(names=[1, 2]),
    "a group too few": of_labels(groups=["a"]),
    "groups that are no text": of_labels(groups=[{}, 1]),
    "a range too few": of_labels(ranges=[[0, 1, "x"]]),
    "a range beyond numbers": of_labels(ranges=[[10**400, 1, "x"], [0, 1, "x"]]),
    "a unit that is no text": of_labels(ranges=[[0, 1, None], [0, 1, "x"]]),
    "kept labels that are none": of_model(1, kept=["nobody"]),
    "kept labels that are numbers": of_model(1, kept=[1]),
}


@pytest.mark.parametrize("what", WRONG)
def test_settings_that_make_no_sense_are_damaged(output: Output, what: str) -> None:
    facts = json.loads(output.read(SETTINGS) or b"")
    WRONG[what](facts)
    output.write(json.dumps(facts).encode(), SETTINGS)
    with pytest.raises(OutputError, match=r"keepers.json is damaged \("):
        Output.at(output.where).require_settings()


@pytest.mark.parametrize("text", ["", "null", "[1]", '"x"', "1e999", "[" * 100_000, "1" * 10_000])
def test_settings_that_are_none_are_damaged(output: Output, text: str) -> None:
    output.write(text.encode(), SETTINGS)
    with pytest.raises(OutputError, match=r"keepers.json is damaged \("):
        Output.at(output.where).require_settings()


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
def test_a_pipe_is_never_waited_for(output: Output) -> None:
    os.mkfifo(output.path(SUMMARY))
    os.mkfifo(output.path(IMAGES, "x.parquet"))
    with pytest.raises(OutputError, match=r"summary.json .*this is not a regular file"):
        assert output.finished
    assert "x.parquet" not in output.parts()


# Its rows

GOOD = {"values": [0.5, 0.5], "label": "good", "margin": 1.0, "tolerance": 0.0}
TAGS = {"tags": [0, 3], "scores": [0.5, 0.5], "label": "", "margin": 1.0, "tolerance": 0.0}
KNOWN = file_schema((FULL, SPARSE))
BYTES = pa.py_buffer(b"\xff\xfe" * 4)
NO_TEXT = pa.StringArray.from_buffers(4, pa.py_buffer(struct.pack("<5i", 0, 2, 4, 6, 8)), BYTES)


def cells(name: str, *first: Any) -> tuple[str, Any]:
    """A column of the right type, whose first cells are odd."""
    usual = {"nice": GOOD, "tags": TAGS, "notes": [], "failures": []}.get(name)
    return name, pa.array([*first, *[usual] * (4 - len(first))], KNOWN.field(name).type)


ODD = {
    "no key": cells("key", None),
    "no address": cells("uri", None),
    "no error": cells("error", None),
    "an empty note": cells("notes", [None]),
    "an empty failure": cells("failures", [None]),
    "a failure of nobody": cells("failures", [{"model": None, "code": "x", "reason": "x"}]),
    "no Unicode": ("prompt", NO_TEXT),
    "no values": cells("nice", {**GOOD, "values": None}),
    "an empty value": cells("nice", {**GOOD, "values": [None, 0.5]}),
    "no word": cells("nice", {**GOOD, "label": None}),
    "no tolerance": cells("nice", {**GOOD, "tolerance": None}),
    "a tag beyond the labels": cells("tags", {**TAGS, "tags": [0, 99]}),
    "a tag below the labels": cells("tags", {**TAGS, "tags": [0, -1]}),
    "scores too few": cells("tags", {**TAGS, "scores": [0.5]}),
    "scores too few and then too many": cells("tags", {**TAGS, "scores": [0.5]}, {**TAGS, "tags": [1]}),
    "no tags": cells("tags", {**TAGS, "tags": None}),
    "an empty score": cells("tags", {**TAGS, "scores": [None, 0.5]}),
    "predictions that are text": ("nice", pa.array(["x"] * 4)),
    "more values than labels": (
        "nice",
        pa.array([{**GOOD, "values": [0.1, 0.2, 0.3]}] * 4, pa.struct([("values", pa.list_(pa.float32(), 3))])),
    ),
}


@pytest.mark.parametrize("what", ODD)
def test_rows_that_are_never_written_are_a_damaged_file(output: Output, what: str) -> None:
    name, column = ODD[what]
    (part,) = output.parts()
    found = output.part(part)
    output.write_table(found.set_column(found.schema.get_field_index(name), name, column), IMAGES, part)
    with pytest.raises(DamagedPart, match=f"its column {name}|Invalid UTF8"):
        output.part(part)
    with pytest.raises(DamagedPart):
        output.part(part, [name])


def test_rows_as_they_are_written_are_sound(output: Output) -> None:
    nan = float("nan")
    for name, column in (
        cells("nice", None, {**GOOD, "values": [nan, nan], "margin": nan}),
        cells("tags", None, {**TAGS, "tags": [], "scores": []}),
        cells("distance", None, 3),
        cells("caption", None, ""),
    ):
        (part,) = output.parts()
        found = output.part(part)
        output.write_table(found.set_column(found.schema.get_field_index(name), name, column), IMAGES, part)
        assert output.part(part).column(name).to_pylist()[0] is None


def test_a_list_of_inputs_without_keys_is_damaged(output: Output) -> None:
    output.write_table(pa.table({"key": pa.array([None], pa.binary(16))}), MANIFEST, "part-000000.parquet")
    with pytest.raises(DamagedPart, match="its column key has empty cells"):
        output.part("part-000000.parquet", ["key"], MANIFEST)


@pytest.mark.parametrize("uri", ["", "/", "file://%00", "/a/b\0.png"])
def test_no_text_is_looked_for_beside_what_is_no_file(tmp_path: Path, uri: str) -> None:
    one = row(0, said(FULL, 0.9, 0.1))
    output = write(tmp_path / "out", [one], [FULL], parts=1)
    (part,) = output.parts()
    found = output.part(part)
    output.write_table(found.set_column(found.schema.get_field_index("uri"), "uri", [[uri]]), IMAGES, part)
    judge = Judge(REGISTRY, WeightStore([tmp_path]), Runtime(device="cpu"))
    _, grouped = from_output(output, judge, ("", ""), None, {})
    assert [prompt for _, prompt in grouped] == [""]
