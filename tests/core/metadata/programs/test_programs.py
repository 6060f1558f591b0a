"""Metadata as each program writes it: prompts, seed, model, LoRAs, and the program's name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepers.core.metadata.generation import PROGRAMS, Generation, Lora, Source
from keepers.core.metadata.programs.a1111 import read_bare_prompt, read_infotext
from keepers.core.metadata.programs.civitai import read_civitai
from keepers.core.metadata.programs.drawthings import read_drawthings
from keepers.core.metadata.programs.easydiffusion import read_easydiffusion
from keepers.core.metadata.programs.fooocus import read_fooocus
from keepers.core.metadata.programs.invokeai import read_invokeai
from keepers.core.metadata.programs.midjourney import read_midjourney
from keepers.core.metadata.programs.novelai import read_novelai
from keepers.core.metadata.programs.plain import read_plain
from keepers.core.metadata.programs.swarmui import read_swarmui
from keepers.core.metadata.said import Said

POSITIVE, NEGATIVE = "an otter in a teacup, watercolour", "frame, signature"
JOB = "0f8fad5b-d9cb-469f-a165-70867728950e"
ALL = (
    read_infotext, read_bare_prompt, read_civitai, read_drawthings, read_easydiffusion, read_fooocus, read_invokeai,
    read_midjourney, read_novelai, read_plain, read_swarmui,
)  # fmt: skip


def said(**texts: Any) -> Said:
    return Said.of({key: one if isinstance(one, str) else json.dumps(one) for key, one in texts.items()})


def check(found: Generation | None, source: Source, *, seed: int = 91, model: str = "pond XL", steps: int = 17) -> None:
    assert found is not None
    assert (found.positive, found.negative) == (POSITIVE, NEGATIVE)
    assert (found.source, found.seed, found.model, found.steps) == (source, seed, model, steps)


NOVELAI = {"prompt": POSITIVE, "uc": NEGATIVE, "seed": 91, "steps": 17, "sampler": "k_euler", "scale": 5.5, "width": 64}
V4 = {
    "v4_prompt": {"caption": {"base_caption": POSITIVE, "char_captions": [{"char_caption": "duck, red scarf"}]}},
    "v4_negative_prompt": {"caption": {"base_caption": NEGATIVE, "char_captions": [{"char_caption": "hat"}, 7]}},
}


def test_novelai() -> None:
    texts = {"Software": "NovelAI", "Description": POSITIVE, "Source": "pond XL 0A1B2C3D"}
    wrapped = {**texts, "Comment": json.dumps(NOVELAI)}
    for found in (read_novelai(said(**texts, Comment=NOVELAI)), read_novelai(said(UserComment=wrapped))):
        check(found, "novelai")
        assert found
        assert (found.model_hash, found.cfg, found.sampler, found.width) == ("0A1B2C3D", 5.5, "k_euler", 64)
    first = read_novelai(said(**texts, Comment={key: one for key, one in NOVELAI.items() if key != "prompt"}))
    check(first, "novelai")
    alone = read_novelai(said(Comment={**NOVELAI, "n_samples": 1}))
    assert alone and (alone.positive, alone.model) == (POSITIVE, "")
    broken = read_novelai(said(**texts, Comment="{"))
    assert broken and (broken.positive, broken.seed) == (POSITIVE, None)
    assert broken.notes == ("NovelAI's settings are missing or cannot be read",)


def test_novelai_tells_each_character_on_a_line_of_its_own() -> None:
    found = read_novelai(said(Software="NovelAI", Source="NovelAI Diffusion V4 ABCDEF01", Comment={**NOVELAI, **V4}))
    assert found and found.positive == f"{POSITIVE}\nduck, red scarf"
    assert found.negative == f"{NEGATIVE}\nhat"
    assert found.model == "NovelAI Diffusion V4"


def test_invokeai_in_all_its_forms() -> None:
    present = {
        "positive_prompt": POSITIVE, "negative_prompt": NEGATIVE, "positive_style_prompt": POSITIVE, "seed": 91,
        "steps": 17, "cfg_scale": 6.0, "scheduler": "dpmpp_3m_k", "model": {"name": "pond XL", "hash": "blake3:77"},
        "loras": [{"model": {"name": "teacups"}, "weight": 0.4}, {"lora": {"model_name": "otters"}}, 3],
    }  # fmt: skip
    found = read_invokeai(said(invokeai_metadata=present))
    check(found, "invokeai")
    assert found and found.loras == (Lora("teacups", 0.4), Lora("otters"))
    check(read_invokeai(said(invokeai_metadata={**present, "model": {"model_name": "pond XL"}})), "invokeai")
    image = {"prompt": [{"prompt": f"{POSITIVE} [{NEGATIVE}]", "weight": 1}], "seed": 91, "steps": 17}
    old = {"model_weights": "pond XL", "image": image}
    command = f'"{POSITIVE} [{NEGATIVE}]" -s 17 -S 91 -W 512 -H 768 -C 5 -A k_lms -G 0.9'
    check(read_invokeai(said(**{"sd-metadata": old, "Dream": command})), "invokeai")
    found = read_invokeai(said(Dream=command))
    check(found, "invokeai", model="")
    assert found and (found.width, found.height, found.cfg, found.sampler) == (512, 768, 5.0, "k_lms")


def test_swarmui() -> None:
    inner = {
        "prompt": POSITIVE, "negativeprompt": NEGATIVE, "seed": 91, "steps": 17, "model": "pond XL", "cfgscale": 4.5,
        "loras": ["cups", "animals/otters"], "loraweights": ["0.5", "1"], "width": 832, "comfyuisampler": "euler",
    }  # fmt: skip
    models = [{"name": "pond XL.safetensors", "hash": "0x12"}, {"name": "cups.safetensors", "hash": "0x34"}]
    for place in ("parameters", "UserComment"):
        found = read_swarmui(said(**{place: {"sui_image_params": inner, "sui_models": models}}))
        check(found, "swarmui")
        assert found and (found.model_hash, found.sampler, found.cfg) == ("0x12", "euler", 4.5)
        assert found.loras == (Lora("cups", 0.5, "0x34"), Lora("animals/otters", 1.0))
    listed = read_swarmui(said(parameters={"sui_image_params": {**inner, "loras": "cups, otters", "loraweights": ""}}))
    assert listed and listed.loras == (Lora("cups"), Lora("otters"))


FOOOCUS = {
    "prompt": POSITIVE, "negative_prompt": NEGATIVE, "full_prompt": [POSITIVE, "cinematic still"], "seed": "91",
    "full_negative_prompt": ["(bad art:1.4), (frame:1.2)"], "steps": 17, "base_model": "pond XL", "sampler": "dpmpp_2m",
    "base_model_hash": "aa11", "guidance_scale": 4, "resolution": "(896, 1152)", "loras": [["cups", 0.3, "bb22"], []],
}  # fmt: skip


def test_fooocus() -> None:
    found = read_fooocus(said(parameters=FOOOCUS, fooocus_scheme="fooocus"))
    check(found, "fooocus")
    assert found and (found.width, found.height, found.cfg, found.model_hash) == (896, 1152, 4.0, "aa11")
    assert found.loras == (Lora("cups", 0.3, "bb22"),)
    older = read_fooocus(said(UserComment={**FOOOCUS, "loras": [], "lora_combined_1": "cups.safetensors : 0.25"}))
    assert older and older.loras == (Lora("cups.safetensors", 0.25),)
    labels = {"Prompt": POSITIVE, "Negative Prompt": NEGATIVE, "Seed": 91, "Steps": 17, "Base Model": "pond XL"}
    check(read_fooocus(said(Comment={**labels, "Sharpness": 2.0, "Resolution": "(512, 768)"})), "fooocus")


def test_fooocus_in_its_infotext_tells_the_prompt_without_its_styles() -> None:
    line = (
        "Steps: 17, Sampler: DPM++ 2M SDE Karras, Seed: 91, Size: 896x1152, CFG scale: 4, Model: pond XL, "
        f'Raw prompt: "{POSITIVE}", Raw negative prompt: "{NEGATIVE}", Lora hashes: "cups: bb22, otters: cc33", '
        'Lora weights: "cups: 0.3, otters: -1", Version: Fooocus v2.5.5'
    )
    text = f"cinematic still {POSITIVE} . film\nNegative prompt: (bad art:1.4), {NEGATIVE}\n{line}"
    found = read_fooocus(said(parameters=text))
    check(found, "fooocus")
    assert found and found.loras == (Lora("cups", 0.3, "bb22"), Lora("otters", -1.0, "cc33"))


def test_ruined_fooocus() -> None:
    data = {
        "Prompt": POSITIVE, "Negative": NEGATIVE, "seed": 91, "steps": 17, "base_model_name": "pond XL", "cfg": 8,
        "base_model_hash": "dd44", "loras": [["ee55", "0.1 - cups.safetensors"]], "software": "RuinedFooocus",
    }  # fmt: skip
    found = read_fooocus(said(parameters=data))
    check(found, "ruinedfooocus")
    assert found and found.loras == (Lora("cups.safetensors", 0.1, "ee55"),)


def test_easydiffusion_by_key_and_by_label() -> None:
    keys = {
        "prompt": POSITIVE, "negative_prompt": NEGATIVE, "seed": "91", "num_inference_steps": "17",
        "use_stable_diffusion_model": "C:\\models\\pond XL", "use_lora_model": "['cups', 'otters']",
        "lora_alpha": "[0.5, 0.7]",
    }  # fmt: skip
    found = read_easydiffusion(said(**keys))
    check(found, "easydiffusion")
    assert found and found.loras == (Lora("cups", 0.5), Lora("otters", 0.7))
    labels = {"Prompt": POSITIVE, "Negative Prompt": NEGATIVE, "Seed": 91, "Steps": 17}
    check(read_easydiffusion(said(UserComment={**labels, "Stable Diffusion model": "pond XL"})), "easydiffusion")


def test_drawthings_from_json_and_from_its_description() -> None:
    data = {"c": POSITIVE, "uc": NEGATIVE, "seed": 91, "steps": 17, "scale": 7.5, "size": "512x640", "model": "pond XL"}
    found = read_drawthings(said(UserComment={**data, "lora": [{"model": "cups_f16.ckpt", "weight": 0.6}]}))
    check(found, "drawthings")
    assert found and (found.width, found.height, found.loras) == (512, 640, (Lora("cups_f16.ckpt", 0.6),))
    line = "Steps: 17, Sampler: Euler a, Guidance Scale: 7.5, Seed: 91, Size: 512x640, Model: pond XL, Strength: 1.0"
    found = read_drawthings(said(CreatorTool="Draw Things", xmp=f"{POSITIVE}\n-{NEGATIVE}\n{line}"))
    check(found, "drawthings")
    assert found and found.cfg == 7.5


@pytest.mark.parametrize(
    ("asked", "prompt", "negative", "seed", "model"),
    [
        (f"{POSITIVE} --ar 2:3 --seed 91 --v 6.1", POSITIVE, "", 91, "Midjourney 6.1"),
        (f"https://s.mj.run/Ab1 {POSITIVE} --no frame, text --niji 6", POSITIVE, "frame, text", None, "Niji 6"),
        (f"{POSITIVE} \u2014seed 5", POSITIVE, "", 5, "Midjourney"),
        ("a well--known pond", "a well--known pond", "", None, "Midjourney"),
    ],
)
def test_midjourney(asked: str, prompt: str, negative: str, seed: int | None, model: str) -> None:
    for texts in ({"Description": f"{asked} Job ID: {JOB}"}, {"Description": asked, "DigImageGUID": JOB}):
        found = read_midjourney(said(**texts))
        assert found and (found.positive, found.negative, found.seed) == (prompt, negative, seed)
        assert (found.model, found.settings["Job ID"], found.source) == (model, JOB, "midjourney")
    assert read_midjourney(said(Description=asked)) is None, "any picture may have a description"


LINE = "Steps: 17, Sampler: Euler a, CFG scale: 7, Seed: 91, Size: 512x768, Model hash: ab12, Model: pond XL"


def test_infotext_says_its_loras() -> None:
    prompt = f"{POSITIVE}, <lora:cups:0.65>, <lyco:otters:0.4:x>, <lora:bare>"
    hashes = 'Lora hashes: "cups: 11aa, unused: 22bb", Hashes: {"model": "ab12", "lora:otters": "33cc"}'
    found = read_infotext(said(parameters=f"{prompt}\nNegative prompt: {NEGATIVE}\n{LINE}, {hashes}"))
    assert found and found.loras == (
        Lora("cups", 0.65, "11aa"), Lora("otters", 0.4, "33cc"), Lora("bare", 1.0), Lora("unused", None, "22bb"),
    )  # fmt: skip
    assert (found.model_hash, found.settings["Model"], found.positive) == ("ab12", "pond XL", prompt)


def test_infotext_of_the_civitai_generator_gives_the_model() -> None:
    listed = [
        {"type": "lora", "weight": 0.65, "modelName": "Old, cups", "modelVersionName": "v1"},
        {"type": "checkpoint", "modelName": "pond XL", "modelVersionName": "V6 (start, here): x"},
    ]
    tail = "Steps: 17, Sampler: Euler a, CFG scale: 7, Seed: 91, Created Date: 2025-02-03T04:05:06.0788580Z"
    resources = f"Civitai resources: {json.dumps(listed)}, Civitai metadata: {{}}"
    found = read_infotext(said(UserComment=f"{POSITIVE}\nNegative prompt: {NEGATIVE}\n{tail}, {resources}"))
    check(found, "a1111")
    assert found and found.loras == (Lora("Old, cups", 0.65),)
    extra = {
        "prompt": POSITIVE, "negativePrompt": NEGATIVE, "seed": 91, "steps": 17, "cfgScale": 3, "resources": listed,
    }  # fmt: skip
    graph = {"1": {"class_type": "KSampler", "inputs": {}}}
    check(read_civitai(said(UserComment={**graph, "extraMetadata": json.dumps(extra)})), "civitai")


@pytest.mark.parametrize(
    "text",
    [
        f"{POSITIVE} Negative prompt: {NEGATIVE} {LINE}",
        f"{POSITIVE}.Negative prompt: {NEGATIVE}.{LINE}",
        f"{POSITIVE}\r\nNegative prompt: {NEGATIVE}\r\n{LINE}",
        f'{POSITIVE}\nNegative prompt: {NEGATIVE}\n{LINE}, Wildcard prompt: "a __cup__,\nSteps: soft", Version: v1',
        f"{POSITIVE}\nNegative prompt: {NEGATIVE}\n{LINE}\nTemplate: an {{otter|seal}},\nSeed: none",
        f"{POSITIVE}\nNegative prompt: {NEGATIVE}\nSteps: 17, Seed: 91, Model: pond XL, Seed resize from: -1x-1",
    ],
)
def test_infotext_in_odd_shapes(text: str) -> None:
    check(read_infotext(said(parameters=text)), "a1111")


def test_a_prompt_without_settings() -> None:
    for place in ("parameters", "XPComment"):
        found = read_bare_prompt(said(**{place: f"{POSITIVE}\nNegative prompt: {NEGATIVE}"}))
        assert found and (found.positive, found.negative, found.source) == (POSITIVE, NEGATIVE, "a1111")
    found = read_bare_prompt(said(parameters=POSITIVE))
    assert found and (found.positive, found.negative) == (POSITIVE, "")
    for nothing in ({"ImageDescription": "OLYMPUS DIGITAL CAMERA"}, {"parameters": '{"x": 1}'}, {"parameters": " "}):
        assert read_bare_prompt(said(**nothing)) is None


def test_plain_texts_and_objects() -> None:
    texts = {"Prompt": POSITIVE, "Negative Prompt": NEGATIVE, "Seed": "91", "Steps": "17", "model": "pond XL"}
    check(read_plain(said(**texts)), "other")
    check(read_plain(said(metadata=texts)), "other")
    assert read_plain(said(prompt={"1": {"class_type": "X"}}, other={"prompt": {}})) is None


def test_every_source_has_a_name() -> None:
    assert set(PROGRAMS) | {""} == set(Source.__args__)  # type: ignore[attr-defined]


words = st.sampled_from(
    ["prompt", "Prompt", "c", "uc", "seed", "v4_prompt", "caption", "char_captions", "image", "sui_image_params",
     "loras", "Comment", "software", "extraMetadata", "resources", "sui_models", "lora_combined_1", "base_model"]
)  # fmt: skip
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
    max_leaves=10,
)
keywords = st.sampled_from(
    ["parameters", "Comment", "Software", "Description", "invokeai_metadata", "sd-metadata", "Dream", "UserComment"]
)


@settings(deadline=None)
@given(st.dictionaries(keywords, values.map(json.dumps) | st.text(max_size=40), max_size=4))
def test_no_metadata_makes_a_reader_fail(texts: dict[str, str]) -> None:
    for read in ALL:
        found = read(Said.of(texts))
        if found:
            assert isinstance(found.positive, str) and isinstance(found.model, str)
            assert found.seed is None or found.seed >= 0
            assert all(isinstance(value, str) for value in found.settings.values())


DREAMS = {
    "with blanks": '"an otter [frame]" -s 17 -S 91 -W 64 -H 32 -C 6.5 -A k_lms',
    "glued": '"an otter [frame]" -s17 -b1 -W64 -H32 -C6.5 -mk_lms -S91',
    "without quotes": "an otter [frame] -s17 -W64 -H32 -C6.5 -Ak_lms -S91",
}


@pytest.mark.parametrize("line", DREAMS.values(), ids=DREAMS)
def test_dream_in_the_ways_it_was_written(line: str) -> None:
    found = read_invokeai(said(Dream=line))
    assert found and (found.positive, found.negative, found.seed, found.steps) == ("an otter", "frame", 91, 17)
    assert (found.width, found.height, found.cfg, found.sampler) == (64, 32, 6.5, "k_lms")


def test_names_of_libraries_are_not_easy_diffusions() -> None:
    data = {"prompt": POSITIVE, "negative_prompt": NEGATIVE, "seed": 91, "num_inference_steps": 17, "model": "pond XL"}
    assert read_easydiffusion(said(parameters=data)) is None
    check(read_plain(said(parameters=data)), "other")


def test_novelai_in_exif() -> None:
    check(read_novelai(said(Software="NovelAI", UserComment=NOVELAI)), "novelai", model="")
    found = read_novelai(said(Software="NovelAI", ImageDescription=POSITIVE))
    assert found and found.positive == POSITIVE and found.notes


def test_novelai_in_webp() -> None:
    """Its own WebP files name the model as the software, and wrap the settings without naming the program."""
    inner = {"Comment": json.dumps({**NOVELAI, **V4}), "Generation_time": "2.5"}
    found = read_novelai(said(Software="NovelAI Diffusion V9 0A1B2C3D", ImageDescription="cut off", UserComment=inner))
    assert found and (found.positive, found.negative) == (f"{POSITIVE}\nduck, red scarf", f"{NEGATIVE}\nhat")
    assert (found.seed, found.model, found.model_hash, found.notes) == (91, "NovelAI Diffusion V9", "0A1B2C3D", ())


def test_draw_things_by_its_own_settings() -> None:
    text = f"{POSITIVE}\n-{NEGATIVE}\nSteps: 17, Sampler: DPM++, Guidance Scale: 7.0, Seed: 91, Model: pond XL"
    own = f"{text}, Strength: 1.0, Seed Mode: Scale Alike"
    check(read_drawthings(said(xmp=own)), "drawthings")
    check(read_drawthings(said(ImageDescription=text, Software="Draw Things")), "drawthings")
    assert read_drawthings(said(xmp=text)) is None


def test_fooocus_before_2_2_numbers_its_loras() -> None:
    found = read_fooocus(said(parameters={"Prompt": POSITIVE, "Base Model": "pond XL", "LoRA 1": "teacups : 0.5"}))
    assert found and found.loras == (Lora("teacups", 0.5),)


def test_civitai_resources_by_address() -> None:
    air = "urn:air:sdxl:{}:civitai:12@34"
    resources = [{"air": air.format("lora"), "weight": 0.6}, {"air": air.format("checkpoint")}]
    found = read_infotext(said(parameters=f"{POSITIVE}\nSteps: 3, Seed: 4, Civitai resources: {json.dumps(resources)}"))
    assert found and found.model == air.format("checkpoint")
    assert found.loras == (Lora(air.format("lora"), 0.6),)


@pytest.mark.parametrize("place", ["XPTitle", "XPSubject", "XPKeywords", "Title"])
def test_infotext_in_the_fields_of_windows(place: str) -> None:
    text = f"{POSITIVE}\nNegative prompt: {NEGATIVE}\nSteps: 17, Seed: 91, Model: pond XL"
    check(read_infotext(said(**{place: text})), "a1111")


@pytest.mark.parametrize("front", ["", "Prompt: ", "Positive prompt: "])
@pytest.mark.parametrize("word", ["Negative prompt:", "Negative Prompt:", "negative prompt:"])
def test_sides_of_an_infotext_in_whatever_case_they_are_named(front: str, word: str) -> None:
    text = f"{front}{POSITIVE}\n{word} {NEGATIVE}\nSteps: 17, Seed: 91, Model: pond XL"
    check(read_infotext(said(parameters=text)), "a1111")
    bare = read_bare_prompt(said(UserComment=f"{front}{POSITIVE}\n{word} {NEGATIVE}"))
    assert bare and (bare.positive, bare.negative) == (POSITIVE, NEGATIVE)


def test_an_infotext_with_nothing_wired_to_its_prompts() -> None:
    found = read_infotext(said(parameters="unknown\nNegative prompt: unknown\nSteps: 3, CFG Scale: 8.0, Seed: 0"))
    assert found and (found.positive, found.negative, found.cfg) == ("", "", 8.0)
