"""The tables are sorted and sound."""

from __future__ import annotations

import json
from pathlib import Path

from keepers.core.metadata.graphs import signatures as module
from keepers.core.metadata.graphs.carried import by_name, by_type, side_of_name
from keepers.core.metadata.graphs.signatures import signature, signatures
from keepers.core.metadata.graphs.text_kinds import TEXT_KINDS, Drawn, Join, Same, Styled

FILE = Path(str(module.__file__)).with_name("signatures.json")


def test_signatures_are_sorted_and_sound() -> None:
    text = FILE.read_text(encoding="utf-8")
    entries = json.loads(text)
    assert list(entries) == sorted(entries)
    assert text.count("\n") == len(entries) + 2, "one line a kind"
    for kind, (widgets, types, outputs) in entries.items():
        assert len(types) == len(widgets), kind
        assert set(types) <= set("nsb?"), kind
        named = [name for name in widgets if name]
        assert kind.strip()
        assert len(set(named)) == len(named), kind
        assert all(isinstance(name, str) and name for name in outputs), kind
        assert not widgets or widgets[-1], f"{kind} ends in a widget that is not read"
        assert widgets or outputs, kind


def test_signatures_of_nodes_that_everyone_has() -> None:
    assert signature("KSampler").widgets == ("seed", "steps", "cfg", "sampler_name", "scheduler", "denoise")
    assert [output.name for output in signature("FromBasicPipe").outputs][3:] == ["positive", "negative"]
    assert signature("CLIPTextEncode").outputs[0].type == "CONDITIONING"
    assert signature("KSampler").types == "nnnssn"
    assert signature("nothing of the kind") == ((), "", ())


def test_texts_are_sorted_and_name_inputs() -> None:
    assert list(TEXT_KINDS) == sorted(TEXT_KINDS)
    for kind, made in TEXT_KINDS.items():
        names = {
            Same: lambda m: m.names,
            Styled: lambda m: m.names,
            Join: lambda m: m.parts,
            Drawn: lambda m: (m.text,),
        }
        for name in names.get(type(made), lambda _: ())(made):
            known = signature(kind).widgets
            assert name, kind
            assert not known or name in known or name.endswith("*") or name not in ("", None)


def test_types_and_names() -> None:
    types = {"CONDITIONING": "conditioning", "WANVIDEOTEXTEMBEDS": "conditioning", "BASIC_PIPE": "pipe",
             "LATENT": "picture", "RGTHREE_CONTEXT": "pipe", "SDXL_TUPLE": "pipe", "WANVIDEOMODEL": "model",
             "UPSCALE_MODEL": "other",
             "STRING": "text", "*": "", "IMAGE,MASK": "", "WANVIDIMAGE_EMBEDS": "other", "GUIDER": "pipe"}  # fmt: skip
    assert {name: by_type(name) for name in types} == types
    names = {"latent_image": "picture", "positive": "conditioning", "base_ctx": "pipe", "model": "model",
             "clip": "other", "text_g": "text", "noise_seed": "setting", "control_net": "other"}  # fmt: skip
    assert {name: by_name(name) for name in names} == names


def test_sides_of_names() -> None:
    for name in ("positive", "pos", "text_positive", "positive_prompt", "base_pos", "optional_positive", "pos_g"):
        assert side_of_name(name) == "positive", name
    for name in ("negative", "neg", "negative_prompt", "neg_conditioning", "text_negative", "uncond"):
        assert side_of_name(name) == "negative", name
    for name in ("text", "position", "positive_ascore", "negative_token_normalization", "compose", "postfix", "expose"):
        assert side_of_name(name) is None, name


def test_signatures_are_read_once() -> None:
    assert signatures() is signatures()
