"""Generation metadata as both kinds of host write it, and as nobody should."""

import json
import struct
import time
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, features
from PIL.PngImagePlugin import PngInfo

from keepers.core.errors import UnreadableImage
from keepers.core.metadata.comfy_graph import BadPrompt, parse_prompt
from keepers.core.metadata.comfy_prompt import find_in
from keepers.core.metadata.comfy_workflow import parse_workflow
from keepers.core.metadata.exif import user_comment
from keepers.core.metadata.generation import Generation
from keepers.core.metadata.infotext import parse_infotext
from keepers.core.metadata.read import read_generation

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


def node(kind: str, **inputs: object) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def basic() -> dict[str, Any]:
    return {
        "3": node("KSampler", seed=156680208700286, steps=20, cfg=8.0, sampler_name="euler", scheduler="normal",
                  denoise=1.0, model=["10", 0], positive=["6", 0], negative=["7", 0], latent_image=["5", 0]),
        "4": node("CheckpointLoaderSimple", ckpt_name="sd/furry.safetensors"),
        "10": node("LoraLoader", lora_name="x.safetensors", strength_model=1.0, model=["4", 0], clip=["4", 1]),
        "5": node("EmptyLatentImage", width=832, height=1216, batch_size=1),
        "6": node("CLIPTextEncode", text="a red fox", clip=["11", 0]),
        "7": node("CLIPTextEncode", text="blurry", clip=["11", 0]),
        "11": node("CLIPSetLastLayer", stop_at_clip_layer=-2, clip=["10", 1]),
        "8": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
        "9": node("SaveImage", filename_prefix="ComfyUI", images=["8", 0]),
    }  # fmt: skip


def read(graph: object) -> Any:
    return find_in(parse_prompt(json.dumps(graph)))


def test_comfy_basic() -> None:
    found = read(basic())
    assert found == (
        "a red fox",
        "blurry",
        156680208700286,
        "euler",
        "normal",
        20,
        8.0,
        "sd/furry.safetensors",
        832,
        1216,
        (),
    )


def test_comfy_advanced_flux() -> None:
    found = read({
        "1": node("UNETLoader", unet_name="flux1-dev.safetensors", weight_dtype="fp8"),
        "2": node("DualCLIPLoader", clip_name1="t5.safetensors", clip_name2="l.safetensors", type="flux"),
        "3": node("CLIPTextEncodeFlux", clip=["2", 0], clip_l="fox", t5xxl="a fox in the snow", guidance=3.5),
        "4": node("FluxGuidance", guidance=3.5, conditioning=["3", 0]),
        "5": node("BasicGuider", model=["6", 0], conditioning=["4", 0]),
        "6": node("ModelSamplingFlux", model=["1", 0], max_shift=1.15, width=["20", 0], height=["21", 0]),
        "7": node("RandomNoise", noise_seed=["22", 0]),
        "8": node("KSamplerSelect", sampler_name="dpmpp_2m"),
        "9": node("BasicScheduler", scheduler="beta", steps=28, denoise=1.0, model=["6", 0]),
        "10": node("EmptySD3LatentImage", width=["20", 0], height=["21", 0], batch_size=1),
        "11": node("SamplerCustomAdvanced", noise=["7", 0], guider=["5", 0], sampler=["8", 0], sigmas=["9", 0],
                   latent_image=["10", 0]),
        "12": node("VAEDecode", samples=["11", 0], vae=["13", 0]),
        "13": node("VAELoader", vae_name="ae.safetensors"),
        "14": node("PreviewImage", images=["12", 0]),
        "20": node("PrimitiveInt", value=1024), "21": node("PrimitiveInt", value=1536),
        "22": node("Seed (rgthree)", seed=7),
    })  # fmt: skip
    assert found == (
        "fox\na fox in the snow",
        "",
        7,
        "dpmpp_2m",
        "beta",
        28,
        None,
        "flux1-dev.safetensors",
        1024,
        1536,
        (),
    )


def test_comfy_cfg_guider_and_sampler_custom() -> None:
    graph = basic()
    graph["3"] = node("SamplerCustomAdvanced", noise=["30", 0], guider=["31", 0], sampler=["32", 0], sigmas=["33", 0],
                      latent_image=["5", 0])  # fmt: skip
    graph |= {
        "30": node("RandomNoise", noise_seed=11),
        "31": node("CFGGuider", cfg=5.0, model=["10", 0], positive=["6", 0], negative=["7", 0]),
        "32": node("SamplerEulerAncestral", eta=1.0),
        "33": node("SplitSigmas", step=4, sigmas=["34", 0]),
        "34": node("KarrasScheduler", steps=12, sigma_max=14.6),
    }
    found = read(graph)
    assert (found.positive, found.negative, found.seed, found.steps, found.cfg) == ("a red fox", "blurry", 11, 12, 5.0)
    assert found.model == "sd/furry.safetensors"
    graph["3"] = node("SamplerCustom", add_noise=True, noise_seed=9, cfg=4.5, model=["10", 0], positive=["6", 0],
                      negative=["7", 0], sampler=["32", 0], sigmas=["33", 0], latent_image=["5", 0])  # fmt: skip
    found = read(graph)
    assert (found.positive, found.negative, found.seed, found.steps, found.cfg) == ("a red fox", "blurry", 9, 12, 4.5)


def test_comfy_hires_counts_the_first_pass() -> None:
    graph = basic()
    graph |= {
        "8": node("VAEDecode", samples=["41", 0], vae=["4", 2]),
        "40": node("LatentUpscale", samples=["3", 0], width=1664, height=2432),
        "41": node("KSampler", seed=5, steps=10, cfg=3.0, sampler_name="ddim", scheduler="simple", denoise=0.5,
                   model=["4", 0], positive=["42", 0], negative=["7", 0], latent_image=["40", 0]),
        "42": node("CLIPTextEncode", text="details", clip=["4", 1]),
    }  # fmt: skip
    found = read(graph)
    assert (found.positive, found.seed, found.steps, found.width) == ("a red fox", 156680208700286, 20, 832)
    assert found.notes == ("2 samplers in a row: the values are the first one's",)


def test_comfy_conditioning_paths() -> None:
    graph = basic()
    sampler = graph["3"]["inputs"]
    sampler["positive"], sampler["negative"] = ["50", 0], ["50", 1]
    graph |= {
        "50": node("ControlNetApplyAdvanced", positive=["51", 0], negative=["54", 0], control_net=["59", 0],
                   image=["58", 0]),
        "51": node("ConditioningCombine", conditioning_1=["52", 0], conditioning_2=["53", 0]),
        "52": node("CLIPTextEncodeSDXL", text_g="g text", text_l="l text", width=1024, height=1024, clip=["4", 1]),
        "53": node("ConditioningSetArea", conditioning=["6", 0], width=64, height=64),
        "54": node("ConditioningZeroOut", conditioning=["6", 0]),
        "58": node("LoadImage", image="pose.png"), "59": node("ControlNetLoader", control_net_name="c.safetensors"),
    }  # fmt: skip
    found = read(graph)
    assert (found.positive, found.negative) == ("g text\nl text\na red fox", "")
    sampler["negative"] = ["60", 0]
    graph["60"] = node("UnknownMixer", a=["7", 0], b=["6", 0])
    assert read(graph).negative == "blurry\na red fox"


def test_comfy_strings_and_loaders() -> None:
    graph = basic()
    graph["6"]["inputs"]["text"] = ["70", 0]
    graph |= {
        "70": node("StringConcatenate", string_a=["71", 0], string_b="in snow", delimiter=" | "),
        "71": node("ShowText|pysssss", text=["72", 0], text_0="a red fox"),
        "72": node("ImpactWildcardProcessor", wildcard_text="a __color__ fox", populated_text="a red fox", seed=1),
    }
    assert read(graph).positive == "a red fox | in snow"
    graph["3"] = node("KSampler (Efficient)", seed=3, steps=9, cfg=2.5, sampler_name="lcm", scheduler="sgm",
                      model=["80", 0], positive=["80", 1], negative=["80", 2], latent_image=["80", 3])  # fmt: skip
    graph["80"] = node("Efficient Loader", ckpt_name="eff.safetensors", positive="pos text", negative="neg text",
                       empty_latent_width=512, empty_latent_height=768, token_normalization="none")  # fmt: skip
    found = read(graph)
    assert found[:2] == ("pos text", "neg text")
    assert (found.model, found.width, found.height) == ("eff.safetensors", 512, 768)


def test_comfy_without_sampler_and_odd_nodes() -> None:
    found = read({"1": node("LoadImage", image="x.png"), "2": node("SaveImage", images=["1", 0]), "3": "no node",
                  "4": {"class_type": 5}, "is_changed": ["x"], "5": node("CLIPTextEncode", text="alone")})  # fmt: skip
    assert found.positive == "alone"
    assert found.notes == ("no sampler found in the ComfyUI prompt",)


def test_comfy_circles_end() -> None:
    graph = basic()
    graph["6"] = node("Loop", conditioning=["6b", 0], text=["t", 0])
    graph["6b"] = node("Loop", conditioning=["6", 0])
    graph["t"] = node("Text", text=["t2", 0])
    graph["t2"] = node("Text", text=["t", 0])
    graph["5"] = node("Loop", samples=["3", 0], width=["5", 0], height=["5", 0])
    graph["10"] = node("LoraLoader", model=["10", 0])
    found = read(graph)
    assert (found.positive, found.seed) == ("", 156680208700286)


def test_comfy_doubling_and_long_graphs_stay_cheap() -> None:
    graph = basic()
    graph["6"]["inputs"]["text"] = ["s0", 0]
    for i in range(60):
        graph[f"s{i}"] = node(
            "StringConcatenate", string_a=[f"s{i + 1}", 0], string_b=[f"s{i + 1}", 1], string_c=f"{i}"
        )
    graph["s60"] = node("PrimitiveString", value="x")
    assert len(read(graph).positive) <= 1 << 18
    long = {
        str(i): node("KSampler", seed=i, steps=1, positive=[str(i + 1), 0], latent_image=[str(i + 1), 0])
        for i in range(19_000)
    }
    start = time.process_time()
    assert read(long).seed is not None
    assert time.process_time() - start < 20


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "NaN", "{}", '{"1": 2}', "[" * 100_000, '{"a":' * 100_000, "9" * 10_000,
     '{"1": {"class_type": 1}}', '"' + "x" * (17 << 20), "\ud800"],
    ids=lambda text: ascii(text[:12]),
)  # fmt: skip
def test_comfy_nonsense_is_refused(text: str) -> None:
    with pytest.raises(BadPrompt):
        parse_prompt(text)


def test_comfy_nan_and_wrong_types() -> None:
    text = json.dumps(basic()).replace("156680208700286", "NaN").replace('"steps": 20', '"steps": Infinity')
    found = find_in(parse_prompt(text))
    assert (found.seed, found.steps, found.positive) == (None, None, "a red fox")
    graph = basic()
    graph["3"]["inputs"] |= {
        "seed": True,
        "cfg": "8",
        "sampler_name": 5,
        "positive": {"x": 1},
        "negative": [None, None],
    }
    found = read(graph)
    assert (found.seed, found.cfg, found.sampler, found.positive, found.negative) == (None, None, "", "", "")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["1", "2", "text", "positive"]),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(st.sampled_from("123"), st.integers(0, 2)).map(list),
    max_leaves=4,
)
NAMES = "positive negative seed steps text images latent_image model conditioning guider width height string_a"
input_names = st.sampled_from(NAMES.split())
kinds = st.sampled_from(["KSampler", "SaveImage", "CLIPTextEncode", "X"])
nodes = st.fixed_dictionaries({"class_type": kinds, "inputs": st.dictionaries(input_names, json_values)})


@given(st.dictionaries(st.sampled_from("123"), nodes | json_values, min_size=1))
def test_comfy_never_raises_anything_else(graph: dict[str, object]) -> None:
    try:
        found = find_in(parse_prompt(json.dumps(graph)))
    except BadPrompt:
        return
    assert isinstance(found.positive, str)
    assert found.seed is None or isinstance(found.seed, int)


WORKFLOW_KEYS = ["id", "type", "inputs", "widgets_values", "name", "link", "links", "nodes", "mode"]
WORKFLOW = {
    "nodes": [
        {"id": 3, "type": "KSampler", "widgets_values": [42, "randomize", 25, 7.5, "euler", "karras", 1],
         "inputs": [{"name": "positive", "link": 1}, {"name": "negative", "link": 2},
                    {"name": "latent_image", "link": 3}, {"name": "model", "link": 6}]},
        {"id": 6, "type": "CLIPTextEncode", "widgets_values": ["a wolf"], "inputs": [{"name": "clip", "link": None}]},
        {"id": 7, "type": "CLIPTextEncode", "widgets_values": ["bad"]},
        {"id": 5, "type": "EmptyLatentImage", "widgets_values": [512, 640, 1]},
        {"id": 4, "type": "CheckpointLoaderSimple", "widgets_values": ["wolf.safetensors"]},
        {"id": 8, "type": "VAEDecode", "inputs": [{"name": "samples", "link": 4}]},
        {"id": 9, "type": "SaveImage", "widgets_values": ["ComfyUI"], "inputs": [{"name": "images", "link": 5}]},
    ],
    "links": [[1, 6, 0, 3, 1, "CONDITIONING"], [2, 7, 0, 3, 2, "CONDITIONING"], [3, 5, 0, 3, 3, "LATENT"],
              [4, 3, 0, 8, 0, "LATENT"], [5, 8, 0, 9, 0, "IMAGE"], [6, 4, 0, 3, 0, "MODEL"]],
}  # fmt: skip


def test_workflow_alone(tmp_path: Path) -> None:
    found = read_generation(png(tmp_path / "a.png", workflow=json.dumps(WORKFLOW)))
    assert (found.source, found.positive, found.negative, found.seed) == ("comfyui", "a wolf", "bad", 42)
    assert (found.steps, found.cfg, found.sampler, found.model, found.width) == (
        25,
        7.5,
        "euler",
        "wolf.safetensors",
        512,
    )
    for broken in (
        {},
        {"nodes": 1, "links": []},
        {"nodes": [1], "links": []},
        {"nodes": [], "links": [[]]},
        {"nodes": [], "links": []},
    ):
        found = read_generation(png(tmp_path / "b.png", workflow=json.dumps(broken)))
        assert found.source == ""
        assert found.notes


workflow_values = st.recursive(
    st.none() | st.integers(0, 3) | st.sampled_from(["KSampler", "CLIPTextEncode", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORKFLOW_KEYS), inner, max_size=4),
    max_leaves=12,
)


@given(st.fixed_dictionaries({"nodes": workflow_values, "links": workflow_values}) | workflow_values)
def test_any_workflow_is_read_or_refused(data: object) -> None:
    try:
        graph = parse_workflow(json.dumps(data))
    except BadPrompt:
        return
    assert isinstance(find_in(graph).positive, str)


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
