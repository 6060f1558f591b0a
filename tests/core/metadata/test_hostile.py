"""Hostile texts under every keyword that is read: bounded time, a note at most, never an exception."""

from __future__ import annotations

import json
import struct
import time
import zlib
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from keepers.core.metadata.generation import Generation
from keepers.core.metadata.read import read_generation

KEYWORDS = (
    "parameters", "prompt", "workflow", "Comment", "Description", "Software", "Title", "Source", "UserComment",
    "invokeai_metadata", "sd-metadata", "Dream", "keepers", "XML:com.adobe.xmp", "XPComment", "extra",
)  # fmt: skip
PIECES = (
    "a: [", 'a: "', 'k: [1, ', "Steps: 1, ", "\nSteps: 1", " Negative prompt: ", "Negative prompt:\n", "[[", "\\",
    '{"a":', '"c x', "--a ", "https://x ", "<lora:a:1>", "a b-c/", "Job ID: ", '"x" -s 1 ', "::", "\n", "a:a:",
)  # fmt: skip


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*chunks: bytes) -> bytes:
    stream = BytesIO()
    Image.linear_gradient("L").convert("RGB").resize((16, 8)).save(stream, "PNG")
    data = stream.getvalue()
    return data[:33] + b"".join(chunks) + data[33:]


def texts(found: dict[str, str]) -> bytes:
    head = b"\0\0\0\0\0"
    return png(*(chunk(b"iTXt", key.encode() + head + one.encode("utf-8", "replace")) for key, one in found.items()))


def test_bombs_in_every_text_are_notes() -> None:
    bomb = zlib.compress(b"x" * (64 << 20), 9)
    start = time.process_time()
    for keyword in KEYWORDS:
        name = keyword.encode()
        found = read_generation(png(chunk(b"zTXt", name + b"\0\0" + bomb), chunk(b"iTXt", name + b"\0\1\0\0\0" + bomb)))
        assert found.positive == "" and any("more than 16 MiB" in note for note in found.notes), keyword
    assert time.process_time() - start < 30


@pytest.mark.parametrize("deep", ["[" * 10_000, '{"a":' * 10_000, '{"prompt":' * 10_000 + "1" + "}" * 10_000])
def test_deep_json_is_a_note(deep: str) -> None:
    for keyword in KEYWORDS:
        found = read_generation(texts({keyword: deep}))
        assert (found.positive, found.seed) == ("", None)
        assert keyword in ("Software", "Title", "Source", "keepers", "XML:com.adobe.xmp") or found.notes, keyword


@pytest.mark.parametrize("piece", PIECES, ids=ascii)
def test_long_texts_take_linear_time(piece: str) -> None:
    for keyword in KEYWORDS:
        start = time.process_time()
        read_generation(texts({keyword: piece * (200_000 // len(piece))}))
        assert time.process_time() - start < 3, keyword


def test_lone_surrogates_do_no_harm() -> None:
    data = {"prompt": "a \ud800 newt", "uc": "\udfff", "seed": 1, "sampler": "x", "scale": 1, "n_samples": 1}
    found = read_generation(texts({"Comment": json.dumps(data)}))
    assert (found.positive, found.negative, found.seed) == ("a \ud800 newt", "\udfff", 1)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(KEYWORDS), values.map(json.dumps) | st.text(max_size=80), max_size=4))
def test_any_texts_are_read(found: dict[str, str]) -> None:
    said = read_generation(texts(found))
    assert isinstance(said, Generation)
    assert all(isinstance(note, str) for note in said.notes)


REAL = (
    "a newt, <lora:moss:0.5>\nNegative prompt: fog\nSteps: 24, Sampler: Euler a, CFG scale: 6.5, Seed: 5, Size: 64x48, "
    'Civitai resources: [{"type":"checkpoint","modelName":"x, y"}], Lora hashes: "moss: cd34", Version: v1'
)


@settings(deadline=None)
@given(st.integers(0, len(REAL)), st.integers(0, 20), st.text(max_size=6))
def test_any_mutated_infotext_is_read(at: int, cut: int, put: str) -> None:
    found = read_generation(texts({"parameters": REAL[:at] + put + REAL[at + cut :]}))
    assert found.seed is None or found.seed >= 0
