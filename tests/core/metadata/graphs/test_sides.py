"""The side of a prompt is carried through every node that hands it on, and never told as the other one."""

from __future__ import annotations

from typing import Any

import pytest

from keepers.tests.core.metadata.graphs.world import basic, node, read

POSITIVE, NEGATIVE = "a red fox", "blurry"


def through(positive: list[Any], negative: list[Any], **nodes: Any) -> dict[str, Any]:
    graph = basic() | nodes
    graph["3"]["inputs"] |= {"positive": positive, "negative": negative}
    return graph


CARRIED = {
    "context": through(["20", 4], ["20", 5], **{
        "20": node("Context (rgthree)", base_ctx=["21", 0]),
        "21": node("Context Switch (rgthree)", ctx_01=["22", 0], ctx_02=["23", 0]),
        "22": node("Context Big (rgthree)", model=["10", 0], positive=["6", 0], negative=["7", 0]),
        "23": node("Context (rgthree)", positive=["7", 0], negative=["6", 0])}),
    "context of which one side is new": through(["20", 4], ["20", 5], **{
        "20": node("Context (rgthree)", base_ctx=["21", 0], positive=["6", 0]),
        "21": node("Context (rgthree)", positive=["24", 0], negative=["7", 0]),
        "24": node("CLIPTextEncode", text="x")}),
    "basic pipe": through(["21", 3], ["21", 4], **{
        "20": node("ToBasicPipe", model=["10", 0], clip=["11", 0], positive=["6", 0], negative=["7", 0]),
        "19": node("EditBasicPipe", basic_pipe=["20", 0], vae=["4", 2]),
        "21": node("FromBasicPipe", basic_pipe=["19", 0])}),
    "detailer pipe": through(["21", 3], ["21", 4], **{
        "20": node("ToDetailerPipe", model=["10", 0], positive=["6", 0], negative=["7", 0], wildcard="big eyes"),
        "21": node("FromDetailerPipe", detailer_pipe=["20", 0])}),
    "model before the sides": through(["20", 1], ["20", 2], **{
        "20": node("UnknownToVideo", mode="x", model=["10", 0], positive=["6", 0], negative=["7", 0])}),
    "video conditioning": through(["20", 0], ["20", 1], **{
        "20": node("WanImageToVideo", positive=["6", 0], negative=["7", 0], width=832, height=480, length=81)}),
    "pipe with short names": through(["21", 2], ["21", 3], **{
        "20": node("CR Module Pipe Loader", model=["10", 0], pos=["6", 0], neg=["7", 0], seed=5),
        "21": node("CR Module Input", pipe=["20", 0])}),
    "pipe of anything": through(["21", 3], ["21", 4], **{
        "20": node("Pipe to/edit any [Crystools]", any_3=["6", 0], any_4=["7", 0]),
        "21": node("Pipe from any [Crystools]", CPipeAny=["20", 0])}),
    "bus": through(["21", 4], ["21", 5], **{
        "20": node("Bus Node", positive=["6", 0], negative=["7", 0]), "21": node("Bus Node", bus=["20", 0])}),
}  # fmt: skip


@pytest.mark.parametrize("graph", CARRIED.values(), ids=CARRIED)
def test_both_sides_arrive(graph: dict[str, Any]) -> None:
    found = read(graph)
    assert (found.positive, found.negative, found.seed) == (POSITIVE, NEGATIVE, 156680208700286)
    assert found.notes == ()


def test_outputs_that_are_wired_crosswise_are_told_as_they_are_wired() -> None:
    pipe = node("ControlNetApplyAdvanced", positive=["6", 0], negative=["7", 0], control_net=["9", 0], image=["9", 0])
    found = read(through(["20", 1], ["20", 0], **{"20": pipe}))
    assert (found.positive, found.negative) == (NEGATIVE, POSITIVE)


def test_one_sided_things_have_no_negative() -> None:
    graph = basic()
    graph["3"]["inputs"]["negative"] = ["6", 0]
    assert (read(graph).positive, read(graph).negative) == (POSITIVE, "")
    graph["3"]["inputs"] |= {"positive": ["20", 0], "negative": ["20", 1]}
    graph["20"] = node("TextEncodeSomething", prompt="a fox edited", clip=["11", 0], vae=["4", 2])
    assert (read(graph).positive, read(graph).negative) == ("a fox edited", "")
    graph["20"] = node("HunyuanImageToVideo", positive=["6", 0], vae=["4", 2], width=64, height=64)
    graph["3"]["inputs"]["negative"] = ["20", 0]
    assert read(graph).negative == ""


def test_lone_negative_encoder_is_not_the_prompt() -> None:
    graph = basic()
    graph["3"]["inputs"]["positive"] = ["20", 0]
    graph["20"] = node("RegionsByMagic", magic=["99", 0])
    found = read(graph)
    assert (found.positive, found.negative) == ("", NEGATIVE)
    assert "RegionsByMagic" in " ".join(found.notes)


def test_unknown_node_is_not_read_as_all_its_inputs() -> None:
    graph = basic()
    graph["3"]["inputs"]["positive"] = ["20", 0]
    graph["20"] = node("Mystery", a="secret setting", file="x.safetensors", conditioning=["6", 0], image=["8", 0])
    assert read(graph).positive == POSITIVE


def test_embeds_that_hold_both_sides() -> None:
    found = read({
        "1": node("WanVideoModelLoader", model="wan.safetensors"),
        "2": node("WanVideoTextEncode", positive_prompt=POSITIVE, negative_prompt=NEGATIVE, t5=["1", 0]),
        "3": node("WanVideoSampler", steps=20, cfg=6.0, seed=7, model=["1", 0], text_embeds=["2", 0]),
        "8": node("WanVideoDecode", samples=["3", 0]), "9": node("SaveImage", images=["8", 0]),
    })  # fmt: skip
    assert (found.positive, found.negative, found.seed, found.model) == (POSITIVE, NEGATIVE, 7, "wan.safetensors")


def test_conditioning_and_neg_conditioning() -> None:
    graph = basic()
    graph["3"] = node("XlabsSampler", noise_seed=4, steps=20, true_gs=3.5, model=["10", 0], conditioning=["6", 0],
                      neg_conditioning=["7", 0], latent_image=["5", 0])  # fmt: skip
    assert (read(graph).positive, read(graph).negative, read(graph).seed) == (POSITIVE, NEGATIVE, 4)


def test_guiders() -> None:
    graph = basic()
    graph["3"] = node("SamplerCustomAdvanced", noise=["30", 0], guider=["31", 0], sigmas=["33", 0])
    graph |= {"30": node("RandomNoise", noise_seed=11), "24": node("CLIPTextEncode", text="in between"),
              "33": node("KarrasScheduler", steps=12)}  # fmt: skip
    guiders = {
        "CFGGuider": ({"positive": ["6", 0], "negative": ["7", 0]}, NEGATIVE),
        "DualCFGGuider": ({"cond1": ["6", 0], "cond2": ["24", 0], "negative": ["7", 0]}, NEGATIVE),
        "PerpNegGuider": ({"positive": ["6", 0], "negative": ["7", 0], "empty_conditioning": ["24", 0]}, NEGATIVE),
        "BasicGuider": ({"conditioning": ["6", 0]}, ""),
    }
    for kind, (inputs, negative) in guiders.items():
        graph["31"] = node(kind, model=["10", 0], **inputs)
        found = read(graph)
        assert (found.positive, found.negative, found.model) == (POSITIVE, negative, "sd/furry.safetensors"), kind


def test_pipes_that_sample() -> None:
    easy = node("easy fullLoader", ckpt_name="e.safetensors", positive=POSITIVE, negative=NEGATIVE, batch_size=1)
    found = read({"1": easy, "2": node("easy preSampling", steps=20, cfg=6.0, seed=7, denoise=1.0, pipe=["1", 0]),
                  "3": node("easy kSampler", image_output="Save", pipe=["2", 0])})  # fmt: skip
    assert (found.positive, found.negative, found.seed, found.model) == (POSITIVE, NEGATIVE, 7, "e.safetensors")
    sdxl = node("Eff. Loader SDXL", base_ckpt_name="e.safetensors", positive=POSITIVE, negative=NEGATIVE,
                positive_ascore=6.0)  # fmt: skip
    found = read({"1": sdxl, "3": node("KSampler SDXL (Eff.)", noise_seed=7, steps=20, sdxl_tuple=["1", 0]),
                  "9": node("SaveImage", images=["3", 3])})  # fmt: skip
    assert (found.positive, found.negative, found.seed, found.model) == (POSITIVE, NEGATIVE, 7, "e.safetensors")


def test_styler_with_two_texts() -> None:
    graph = basic()
    graph["6"]["inputs"]["text"], graph["7"]["inputs"]["text"] = ["20", 0], ["20", 1]
    graph["20"] = node(
        "SDXLPromptStyler", text_positive=POSITIVE, text_negative=NEGATIVE, style="base", log_prompt="No"
    )
    assert (read(graph).positive, read(graph).negative, read(graph).notes) == (POSITIVE, NEGATIVE, ())
    graph["20"]["inputs"]["style"] = "sai-anime"
    assert "style" in read(graph).notes[0]
    assert read(graph).positive == POSITIVE
