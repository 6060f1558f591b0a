"""Texts in Exif blocks, as the hosts and many savers for ComfyUI write them, rightly and wrongly."""

from __future__ import annotations

import json
import struct
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from keepers.core.metadata.exif import user_comment
from keepers.core.metadata.read import read_generation

TEXT = "a kingfisher over a stream\nNegative prompt: fog\nSteps: 8, Sampler: Euler, CFG scale: 3, Seed: 12, Model: reed"
GRAPH = {
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "reed.safetensors"}},
    "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "a kingfisher", "clip": ["1", 1]}},
    "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "fog", "clip": ["1", 1]}},
    "4": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
    "5": {"class_type": "KSampler", "inputs": {
        "seed": 12, "steps": 8, "cfg": 3.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0,
        "model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0], "latent_image": ["4", 0]}},
    "6": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["1", 2]}},
    "7": {"class_type": "SaveImage", "inputs": {"images": ["6", 0], "filename_prefix": "x"}},
}  # fmt: skip
LANGUAGES = ["a kingfisher, reeds", "红色的自行车靠在砖墙上，清晨的雾", "зимородок над ручьём", "갈대밭 위의 새"]
WORKFLOW = {"nodes": [{"id": 1, "type": "Note"}], "links": []}


def jpeg(tags: dict[int, Any]) -> bytes:
    exif = Image.Exif()
    for tag, value in tags.items():
        exif[tag] = value
    stream = BytesIO()
    Image.new("RGB", (16, 16)).save(stream, "JPEG", exif=exif.tobytes())
    return stream.getvalue()


@pytest.mark.parametrize(
    "language",
    ["a kingfisher, reeds", "红色的自行车靠在砖墙上，清晨的雾", "зимородок над ручьём", "갈대밭 위의 물총새"],
)
@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le", "utf-16", "utf-8", "utf-8-sig"])
def test_unicode_is_read_in_whatever_form_it_is(language: str, encoding: str) -> None:
    assert user_comment(b"UNICODE\0" + language.encode(encoding)) == language
    assert user_comment(b"Unicode\0" + language.encode(encoding) + b"\0\0") == language


def test_user_comment_of_other_heads() -> None:
    assert user_comment(b"ASCII\0\0\0" + "a café".encode()) == "a café"
    assert user_comment(b"\0" * 8 + TEXT.encode() + b"\0") == TEXT
    assert user_comment(TEXT.encode()) == TEXT


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_comment_is_a_text(data: bytes) -> None:
    for head in (b"UNICODE\0", b"ASCII\0\0\0", b""):
        assert isinstance(user_comment(head + data), str)


@pytest.mark.parametrize("tag", [0x010E, 0x9286])
def test_an_infotext_in_the_outer_block(tag: int) -> None:
    """ImageDescription; and Fooocus and others put UserComment where it does not belong."""
    found = read_generation(jpeg({tag: TEXT}))
    assert (found.positive, found.negative, found.seed, found.model) == (
        "a kingfisher over a stream",
        "fog",
        12,
        "reed",
    )


def test_windows_comment() -> None:
    found = read_generation(jpeg({0x9C9C: TEXT.encode("utf-16-le") + b"\0\0"}))
    assert (found.source, found.seed) == ("a1111", 12)


@pytest.mark.parametrize("tags", [(0x010F, 0x010E), (0x010E, 0x010F), (0x0110, 0x010F), (0x013B, 0x0131)])
@pytest.mark.parametrize("words", [("prompt", "workflow"), ("Prompt", "Workflow")])
def test_graphs_in_any_two_tags(tags: tuple[int, int], words: tuple[str, str]) -> None:
    prompt, workflow = json.dumps(GRAPH), json.dumps(WORKFLOW)
    found = read_generation(jpeg({tags[0]: f"{words[0]}: {prompt}", tags[1]: f"{words[1]}:{workflow}"}))
    assert (found.source, found.positive, found.negative, found.seed) == ("comfyui", "a kingfisher", "fog", 12)
    assert json.loads(found.texts["workflow"]) == WORKFLOW


@pytest.mark.parametrize(
    "comment",
    [
        json.dumps({"prompt": GRAPH, "workflow": WORKFLOW}),
        json.dumps({"prompt": json.dumps(GRAPH)}),
        json.dumps(GRAPH),
        "Prompt: " + json.dumps(GRAPH),
    ],
)
def test_graphs_in_the_user_comment(comment: str) -> None:
    found = read_generation(jpeg({0x9286: comment}))
    assert (found.source, found.positive, found.seed) == ("comfyui", "a kingfisher", 12)


def test_a_camera_says_nothing() -> None:
    found = read_generation(jpeg({0x010E: "OLYMPUS DIGITAL CAMERA", 0x010F: "OLYMPUS", 0x0110: "E-M10", 0x0131: "v1"}))
    assert (found.source, found.positive, found.notes) == ("", "", ())


def test_unknown_json_is_told_by_name() -> None:
    found = read_generation(jpeg({0x010E: '{"layers": [1, 2]}'}))
    assert found.notes == ("metadata of unknown form under 'ImageDescription'",)


@pytest.mark.parametrize("head", [b"", b"\0" * 8, b"ASCII\0\0\0", b"JIS\0\0\0\0\0", b"charset=Unicode "])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_a_comment_under_a_wrong_name_or_none(head: bytes, encoding: str) -> None:
    assert user_comment(head + TEXT.encode(encoding)) == TEXT


@pytest.mark.parametrize("form", [json.dumps(GRAPH), json.dumps(json.dumps(GRAPH)), json.dumps({"prompt": GRAPH})])
@pytest.mark.parametrize("word", ["prompt", "workflow"])
def test_a_graph_written_twice_wrapped_or_under_the_other_name(form: str, word: str) -> None:
    found = read_generation(jpeg({0x010F: f"{word}: {form}"}))
    assert (found.source, found.positive, found.negative, found.notes) == ("comfyui", "a kingfisher", "fog", ())


@pytest.mark.parametrize("words", LANGUAGES)
def test_a_description_in_utf_8(words: str) -> None:
    """Exif has only ASCII there; programs write UTF-8, and some begin with noughts."""
    text = f"{words}\nNegative prompt: fog\nSteps: 8, Sampler: Euler, Seed: 12".encode()
    for data in (text, bytes(4) + text):
        value = data + bytes(1)
        block = b"MM\0*" + struct.pack(">IHHHIII", 8, 1, 0x010E, 2, len(value), 26, 0) + value
        stream = BytesIO()
        Image.new("RGB", (16, 16)).save(stream, "JPEG", exif=b"Exif\0\0" + block)
        found = read_generation(stream.getvalue())
        assert (found.positive, found.negative, found.seed) == (words, "fog", 12)
