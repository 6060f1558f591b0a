"""Generation metadata as both kinds of host write it, and as nobody should."""

import json
import struct
import time
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, features
from PIL.PngImagePlugin import PngInfo

from keepers.core.errors import UnreadableImage
from keepers.core.metadata.exif import user_comment
from keepers.core.metadata.generation import Generation
from keepers.core.metadata.infotext import parse_infotext
from keepers.core.metadata.read import read_generation
from keepers.tests.core.metadata.graphs.world import WORKFLOW, basic

INFOTEXT = """a fox, (red fur:1.2), "quoted", <lora:style:0.8>
second line, 狐
Negative prompt: blurry, bad: hands
worst quality
Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 4294967296123, Size: 832x1216, \
Model hash: 45dee52b, Model: furry/model v2, Lora hashes: "style: aaaa, other: bbbb", \
Hires prompt: "a \\"big\\" fox,\\nnight", Version: f2.0.1"""


def check_infotext(found: Generation) -> None:
    assert found.source == "a1111"
    assert found.positive == 'a fox, (red fur:1.2), "quoted", <lora:style:0.8>\nsecond line, 狐'
    assert found.negative == "blurry, bad: hands\nworst quality"
    assert (found.seed, found.steps, found.cfg) == (4294967296123, 20, 6.5)
    assert (found.sampler, found.scheduler, found.model) == ("DPM++ 2M", "Karras", "furry/model v2")
    assert (found.width, found.height) == (832, 1216)
    assert found.settings["Lora hashes"] == "style: aaaa, other: bbbb"
    assert found.settings["Hires prompt"] == 'a "big" fox,\nnight'
    assert found.settings["Version"] == "f2.0.1"


def picture() -> Image.Image:
    return Image.linear_gradient("L").convert("RGB").resize((24, 16))


def png(path: Path, **texts: str) -> Path:
    info = PngInfo()
    for key, text in texts.items():
        info.add_text(key, text)
    picture().save(path, pnginfo=info)
    return path


def exif_with(comment: bytes) -> bytes:
    """An EXIF block with a UserComment, by hand: older Pillows cannot write one."""
    head = b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x8769, 4, 1, 26, 0)
    return b"Exif\0\0" + head + struct.pack("<HHHIII", 1, 0x9286, 7, len(comment), 44, 0) + comment


def has_avif() -> bool:
    try:
        return bool(features.check_module("avif"))
    except ValueError:  # Pillow before 11.3
        return False


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("kind", ["tEXt", "iTXt"])
def test_png_infotext(tmp_path: Path, zipped: bool, kind: str) -> None:
    info = PngInfo()
    text = INFOTEXT.replace("狐", "fox") if kind == "tEXt" else INFOTEXT
    (info.add_itxt if kind == "iTXt" else info.add_text)("parameters", text, zip=zipped)
    picture().save(tmp_path / "a.png", pnginfo=info)
    with Image.open(tmp_path / "a.png") as image:
        for found in (read_generation(tmp_path / "a.png"), read_generation(image)):
            if kind == "iTXt":
                check_infotext(found)
            assert found.seed == 4294967296123
            assert found.texts["parameters"] == text
            assert not found.notes


@pytest.mark.parametrize("name", ["a.jpg", "a.webp", "a.png", "a.avif", "a.tiff"])
@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le", "utf-16", "ascii"])
def test_exif_user_comment(tmp_path: Path, name: str, encoding: str) -> None:
    if name.endswith("avif") and not has_avif():
        pytest.skip("Pillow without AVIF")
    body = INFOTEXT.encode("utf-8" if encoding == "ascii" else encoding)
    comment = (b"ASCII\0\0\0" if encoding == "ascii" else b"UNICODE\0") + body
    picture().save(tmp_path / name, exif=exif_with(comment))
    check_infotext(read_generation(tmp_path / name))
    with Image.open(tmp_path / name) as image:
        check_infotext(read_generation(image))


def test_gif_comment_and_xmp(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.gif", comment=INFOTEXT.encode())
    check_infotext(read_generation(tmp_path / "a.gif"))
    text = INFOTEXT.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    item = f'<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{text}</rdf:li></rdf:Alt></dc:description>'
    xmp = f"<x:xmpmeta><rdf:RDF><rdf:Description>{item}</rdf:Description></rdf:RDF></x:xmpmeta>"
    picture().save(tmp_path / "a.webp", xmp=xmp.encode())
    check_infotext(read_generation(tmp_path / "a.webp"))


def test_user_comment_without_a_known_head() -> None:
    assert user_comment(b"") == ""
    assert user_comment(b"\0" * 8 + b"plain\0\0") == "plain"
    assert user_comment(b"just text, no head") == "just text, no head"
    assert user_comment(b"UNICODE\0" + "Größe 狐".encode("utf-16-be")) == "Größe 狐"


def test_infotext_forms() -> None:
    assert parse_infotext("") is None
    assert parse_infotext("only a prompt\nwith: colons") is None
    bare = parse_infotext("Steps: 1, Sampler: Euler, Seed: 2")
    assert bare is not None
    assert (bare.positive, bare.negative) == ("", "")
    after = parse_infotext("p\nSteps: 1, Sampler: Euler, Seed: 2\nTemplate: p\nNegative Template: q")
    assert after is not None
    assert (after.positive, after.settings["Seed"]) == ("p", "2")
    told = parse_infotext("Steps: climbing, a: stair, b: c\nNegative prompt: x\nSteps: 30, Sampler: Euler, Seed: 3")
    assert told is not None
    assert told.positive.startswith("Steps: climbing")
    assert told.settings["Steps"] == "30"
    other = parse_infotext("p\nSampler: Euler, Seed: 4, Steps: 5")
    assert other is not None
    assert other.settings == {"Sampler": "Euler", "Seed": "4", "Steps": "5"}


@pytest.mark.parametrize("text", ["a" * 500_000, 'a: "' * 200_000, 'aa:"\\' * 200_000, "a " * 300_000,
                                  "Steps: 1,\n" * 90_000, " \t" * 400_000, "a:" * 300_000 + ",b: c, d: e"])  # fmt: skip
def test_infotext_takes_linear_time(text: str) -> None:
    start = time.process_time()
    parse_infotext(text)
    assert time.process_time() - start < 20, "seconds mean that time is quadratic: this takes a fraction of one"


def test_comfy_in_files(tmp_path: Path) -> None:
    prompt, workflow = json.dumps(basic()), json.dumps(WORKFLOW)
    png(tmp_path / "a.png", prompt=prompt, workflow=workflow)
    exif = picture().getexif()  # as ComfyUI's animated WebP
    exif[0x0110], exif[0x010F] = f"prompt:{prompt}", f"workflow:{workflow}"
    picture().save(tmp_path / "a.webp", save_all=True, append_images=[picture().rotate(180)], exif=exif, lossless=True)
    info = PngInfo()  # as ComfyUI's animated PNG
    for key, text in (("prompt", prompt), ("workflow", workflow)):
        info.add(b"comf", key.encode() + b"\0" + text.encode(), after_idat=True)
    picture().save(tmp_path / "b.png", save_all=True, append_images=[picture().rotate(180)], pnginfo=info)
    for name in ("a.png", "a.webp", "b.png"):
        found = read_generation(tmp_path / name)
        assert (found.source, found.positive, found.seed, found.model) == (
            "comfyui", "a red fox", 156680208700286, "sd/furry.safetensors"), name  # fmt: skip
        assert set(found.texts) >= {"prompt", "workflow"}
        assert not found.notes
    with Image.open(tmp_path / "a.webp") as image:
        assert read_generation(image).seed == 156680208700286


def test_infotext_goes_before_the_graph(tmp_path: Path) -> None:
    found = read_generation(png(tmp_path / "a.png", parameters=INFOTEXT.replace("狐", ""), prompt=json.dumps(basic())))
    assert (found.source, found.seed) == ("a1111", 4294967296123)
    found = read_generation(png(tmp_path / "a.png", parameters="no settings here", prompt=json.dumps(basic())))
    assert (found.source, found.seed) == ("comfyui", 156680208700286)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunks(path: Path, *chunks: bytes) -> Path:
    stream = BytesIO()
    picture().save(stream, "PNG")
    data = stream.getvalue()
    path.write_bytes(data[:33] + b"".join(chunks) + data[33:])
    return path


def test_hostile_png_texts_leave_notes(tmp_path: Path) -> None:
    bomb = zlib.compress(b"x" * (200 << 20), 9)
    path = with_chunks(tmp_path / "a.png", chunk(b"zTXt", b"prompt\0\0" + bomb), chunk(b"zTXt", b"x\0\0not zlib"),
                       chunk(b"tEXt", b"no zero byte"), chunk(b"tEXt", b""), chunk(b"iTXt", b"short\0"),
                       chunk(b"comf", b"x"),
                       chunk(b"tEXt", b"parameters\0" + INFOTEXT.encode()))  # fmt: skip
    found = read_generation(path)
    check_infotext(found)
    assert len(found.notes) == 2
    found = read_generation(with_chunks(tmp_path / "b.png", *(chunk(b"tEXt", b"k%d\0v" % i) for i in range(5000))))
    assert found.notes[0] == "more texts than are read"
    assert found.notes[-1] == "metadata of unknown form under 992 more names"
    found = read_generation(with_chunks(tmp_path / "c.png", chunk(b"tEXt", b"prompt\0{\xff\xfe\x80")))
    assert found.source == ""
    assert "not JSON" in found.notes[0]


def test_truncated_and_foreign_files(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "a.webp"):
        exif = exif_with(b"UNICODE\0" + INFOTEXT.encode("utf-16-be"))
        picture().save(tmp_path / name, exif=exif)
        data = (tmp_path / name).read_bytes()
        for length in range(0, len(data), 7):
            (tmp_path / name).write_bytes(data[:length])
            assert isinstance(read_generation(tmp_path / name), Generation)
    (tmp_path / "x.png").write_bytes(b"<html>not an image</html>" * 10)
    assert read_generation(tmp_path / "x.png") == Generation(notes=("not an image format that metadata is read from",))
    (tmp_path / "e.png").write_bytes(b"")
    assert read_generation(tmp_path / "e.png").notes
    for missing in (tmp_path / "none.png", tmp_path):
        with pytest.raises(UnreadableImage):
            read_generation(missing)


@given(
    st.binary(max_size=300),
    st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe1", b"RIFF\x80\0\0\0WEBP", b"GIF89a", b"II*\0"]),
)
@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_any_bytes_give_notes(tmp_path_factory: pytest.TempPathFactory, data: bytes, head: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(head + data)
    assert isinstance(read_generation(path), Generation)


@given(st.binary(max_size=200))
@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_any_exif_gives_notes(data: bytes) -> None:
    image = picture()
    image.info["exif"] = b"Exif\0\0II*\0\x08\0\0\0" + data
    assert isinstance(read_generation(image), Generation)


@pytest.mark.parametrize(
    "text", ["Negative prompt: fog\nSteps: 8, Seed: 12, Size: 8x8", "Steps: 8, Seed: 12, Size: 8x8"]
)
def test_a_missing_prompt_is_told(tmp_path: Path, text: str) -> None:
    found = read_generation(png(tmp_path / "a.png", parameters=text))
    only = ", only a negative one" if "fog" in text else ""
    assert (found.positive, found.seed) == ("", 12)
    assert found.notes == (f"Stable Diffusion WebUI wrote no prompt into this file{only}",)
    assert read_generation(png(tmp_path / "a.png", parameters=f"a fox\n{text}")).notes == ()


def test_what_the_civitai_generator_leaves_to_its_graph(tmp_path: Path) -> None:
    said: dict[str, object] = {"prompt": "a vixen", "seed": 3, "resources": [{"modelVersionId": 7, "strength": 1}]}
    texts = {**basic(), "extraMetadata": json.dumps(said)}
    found = read_generation(png(tmp_path / "a.png", parameters=json.dumps(texts)))
    assert (found.source, found.positive, found.negative, found.seed) == ("civitai", "a vixen", "", 3)
    assert (found.model, found.width, found.scheduler) == ("sd/furry.safetensors", 832, "normal")
    texts["extraMetadata"] = json.dumps({"seed": 3})
    found = read_generation(png(tmp_path / "a.png", parameters=json.dumps(texts)))
    assert (found.source, found.positive, found.negative, found.seed) == ("civitai", "a red fox", "blurry", 3)


def test_an_infotext_without_prompts_takes_them_from_the_graph(tmp_path: Path) -> None:
    text = "unknown\nNegative prompt: unknown\nSteps: 3, Sampler: euler, Seed: 7"
    found = read_generation(png(tmp_path / "a.png", parameters=text, prompt=json.dumps(basic())))
    assert (found.source, found.positive, found.negative, found.seed) == ("a1111", "a red fox", "blurry", 7)
    other = text.replace("unknown", "a dog", 1)
    found = read_generation(png(tmp_path / "a.png", parameters=other, prompt=json.dumps(basic())))
    assert (found.positive, found.negative) == ("a dog", "")


def test_a_workflow_where_the_prompt_belongs(tmp_path: Path) -> None:
    for texts in ({"prompt": WORKFLOW}, {"workflow": {"workflow": WORKFLOW}}):
        written = {key: json.dumps(value) for key, value in texts.items()}
        found = read_generation(png(tmp_path / "a.png", **written))
        assert (found.positive, found.negative, found.seed, found.notes) == ("a wolf", "bad", 42, ())


def test_texts_that_a_converter_wrapped_into_json(tmp_path: Path) -> None:
    invoke = json.dumps({"positive_prompt": "a fox", "negative_prompt": "fog", "seed": 12})
    infotext = "a fox\nNegative prompt: fog\nSteps: 8, Sampler: Euler, Seed: 12"
    for inner, source in (({"parameters": infotext}, "a1111"), ({"invokeai_metadata": invoke}, "invokeai")):
        comment = json.dumps({**inner, "Software": "x"}) + chr(0) * 2
        found = read_generation(png(tmp_path / "a.png", Comment=comment))
        assert (found.source, found.positive, found.negative, found.seed) == (source, "a fox", "fog", 12)
        assert found.notes == ()
