"""Which node made the picture that was saved: samplers, detailers, services; not what only feeds a control map."""

from __future__ import annotations

from typing import Any

from keepers.tests.core.metadata.graphs.world import basic, node, read


def test_sampler_of_a_control_map_did_not_make_the_picture() -> None:
    graph = basic()
    graph |= {
        "30": node("VAEEncode", pixels=["39", 0], vae=["4", 2]),
        "33": node("LotusConditioning"), "34": node("BasicGuider", model=["32", 0], conditioning=["33", 0]),
        "32": node("UNETLoader", unet_name="depth.safetensors"), "31": node("LoadImage", image="in.png"),
        "38": node("SamplerCustomAdvanced", noise=["37", 0], guider=["34", 0], sigmas=["36", 0],
                   latent_image=["35", 0]),
        "35": node("VAEEncode", pixels=["31", 0], vae=["4", 2]), "36": node("BasicScheduler", steps=1, model=["32", 0]),
        "37": node("DisableNoise"), "39": node("VAEDecode", samples=["38", 0], vae=["4", 2]),
        "40": node("ControlNetApplyAdvanced", positive=["6", 0], negative=["7", 0], control_net=["41", 0],
                   image=["39", 0]),
        "41": node("ControlNetLoader", control_net_name="d.safetensors"),
    }  # fmt: skip
    graph["3"]["inputs"] |= {"positive": ["40", 0], "negative": ["40", 1], "latent_image": ["30", 0]}
    found = read(graph)
    assert (found.positive, found.seed, found.model) == ("a red fox", 156680208700286, "sd/furry.safetensors")
    graph["3"]["inputs"]["denoise"] = 0.6
    assert (read(graph).positive, read(graph).seed) == ("a red fox", 156680208700286), "the earlier one has no prompt"


def test_preprocessor_is_not_looked_through() -> None:
    graph = basic()
    graph |= {
        "50": node("CLIPTextEncode", text="a statue", clip=["11", 0]),
        "51": node("KSampler", seed=8, steps=4, cfg=1.0, positive=["50", 0], negative=["7", 0], latent_image=["5", 0]),
        "52": node("VAEDecode", samples=["51", 0]), "53": node("CannyEdgePreprocessor", image=["52", 0]),
        "54": node("VAEEncode", pixels=["53", 0]), "55": node("SaveImage", images=["53", 0]),
    }  # fmt: skip
    graph["3"]["inputs"] |= {"latent_image": ["54", 0], "denoise": 0.9}
    assert (read(graph).positive, read(graph).seed) == ("a red fox", 156680208700286)


def test_detailer_behind_a_sampler_and_alone() -> None:
    graph = basic()
    graph["56"] = node("CLIPTextEncode", text="detailed face", clip=["11", 0])
    graph["60"] = node("FaceDetailer", image=["8", 0], model=["10", 0], positive=["56", 0], negative=["7", 0], seed=9,
                       steps=20, cfg=6.0, denoise=0.4, wildcard="")  # fmt: skip
    graph["9"]["inputs"]["images"] = ["60", 0]
    assert (read(graph).positive, read(graph).seed) == ("a red fox", 156680208700286)
    graph["60"]["inputs"]["image"] = ["61", 0]
    graph["61"] = node("LoadImage", image="x.png")
    assert (read(graph).positive, read(graph).seed) == ("detailed face", 9)


def test_the_saved_picture_goes_before_the_previewed_one() -> None:
    graph = basic()
    other = {
        "56": node("CLIPTextEncode", text="another", clip=["11", 0]),
        "53": node("KSampler", seed=5, steps=1, positive=["56", 0], negative=["7", 0], latent_image=["5", 0]),
        "58": node("VAEDecode", samples=["53", 0]), "59": node("PreviewImage", images=["58", 0]),
    }  # fmt: skip
    found = read(other | graph)
    assert found.positive == "a red fox"
    assert "2 pictures" in found.notes[0]


SERVICES: dict[str, dict[str, Any]] = {
    "FluxProUltraImageNode": {"aspect_ratio": "1:1", "raw": False},
    "GeminiImage2Node": {"model": "some-image-model", "system_prompt": "You draw.", "resolution": "1K"},
    "ByteDanceSeedreamNodeV9": {"model": "seedream", "model.size": "2K"},
    "GrokImageEditNode": {"model": "grok", "image": ["2", 0]},
}


def test_services() -> None:
    for kind, inputs in SERVICES.items():
        for prompt in ("a red fox", ["1", 0]):
            found = read({"1": node("PrimitiveString", value="a red fox"), "2": node("LoadImage", image="x.png"),
                          "3": node(kind, prompt=prompt, seed=77, **inputs), "4": node("SaveImage", images=["5", 0]),
                          "5": node("ImageUpscaleWithModel", upscale_model=["6", 0], image=["3", 0])})  # fmt: skip
            assert (found.positive, found.negative, found.seed) == ("a red fox", "", 77), kind
            assert found.model == inputs.get("model", ""), kind
            assert not found.notes


def test_service_with_inputs_of_its_model() -> None:
    found = read({"3": node("ByteDance2Node", **{"model": "seedance 2", "model.prompt": "a red fox", "model.seed": 7}),
                  "4": node("SaveVideo", video=["3", 0])})  # fmt: skip
    assert (found.positive, found.seed, found.model) == ("a red fox", 7, "seedance 2")


def test_segmenting_by_words_is_no_prompt() -> None:
    graph = basic()
    graph["70"] = node("GroundingDinoSAMSegment", prompt="face", threshold=0.3, image=["8", 0])
    graph["9"]["inputs"]["images"] = ["70", 0]
    assert read(graph).positive == "a red fox"


def test_seeds() -> None:
    graph = basic()
    for seed, expected in ((["20", 0], 77), (-1, None), (["21", 0], None), (["22", 0], None)):
        graph["3"]["inputs"]["seed"] = seed
        graph |= {"20": node("Seed (rgthree)", seed=77), "21": node("Seed (rgthree)", seed=-1),
                  "22": node("Random Number", minimum=0, maximum=9, seed=5)}  # fmt: skip
        assert read(graph).seed == expected


def test_loras_of_every_form() -> None:
    graph = basic()
    graph["10"] = node("Power Lora Loader (rgthree)", model=["12", 0], clip=["4", 1],
                       lora_1={"on": True, "lora": "a.safetensors", "strength": 0.5},
                       lora_2={"on": False, "lora": "off.safetensors", "strength": 1})  # fmt: skip
    graph["12"] = node("CR Apply LoRA Stack", model=["13", 0], lora_stack=["14", 0])
    graph["13"] = node("LoraLoaderModelOnly", lora_name="c.safetensors", strength_model=0.25, model=["4", 0])
    graph["14"] = node("CR LoRA Stack", switch_1="On", lora_name_1="b.safetensors", model_weight_1=0.75, switch_2="Off",
                       lora_name_2="off.safetensors", model_weight_2=1.0)  # fmt: skip
    loras = {lora.name: lora.weight for lora in read(graph).loras}
    assert loras == {"c.safetensors": 0.25, "b.safetensors": 0.75, "a.safetensors": 0.5}
    assert read(graph).model == "sd/furry.safetensors"
