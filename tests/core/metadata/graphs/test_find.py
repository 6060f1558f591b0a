"""What plain graphs say: prompts, seed, sampler, model and size."""

from __future__ import annotations

from keepers.core.metadata.generation import Lora
from keepers.tests.core.metadata.graphs.world import basic, node, read


def test_basic() -> None:
    found = read(basic())
    assert (found.positive, found.negative, found.seed) == ("a red fox", "blurry", 156680208700286)
    assert (found.sampler, found.scheduler, found.steps, found.cfg) == ("euler", "normal", 20, 8.0)
    assert (found.model, found.width, found.height) == ("sd/furry.safetensors", 832, 1216)
    assert (found.loras, found.notes) == ((Lora("x.safetensors", 1.0),), ())


def test_advanced_flux() -> None:
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
    assert (found.positive, found.negative, found.seed) == ("fox\na fox in the snow", "", 7)
    assert (found.sampler, found.scheduler, found.steps, found.cfg) == ("dpmpp_2m", "beta", 28, None)
    assert (found.model, found.width, found.height, found.notes) == ("flux1-dev.safetensors", 1024, 1536, ())


def test_cfg_guider_and_sampler_custom() -> None:
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


def test_hires_counts_the_first_pass() -> None:
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


def test_conditioning_paths() -> None:
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
    assert read(graph).negative == "blurry", "what is the positive prompt is not told as the negative one as well"


def test_strings_and_loaders() -> None:
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
    assert (found.positive, found.negative) == ("pos text", "neg text")
    assert (found.model, found.width, found.height) == ("eff.safetensors", 512, 768)


def test_graph_that_makes_no_picture() -> None:
    found = read({"1": node("LoadImage", image="x.png"), "2": node("SaveImage", images=["1", 0]), "3": "no node",
                  "4": {"class_type": 5}, "is_changed": ["x"], "5": node("CLIPTextEncode", text="alone")})  # fmt: skip
    assert found.positive == "", "nothing says whether a lone encoder is the positive or the negative prompt"
    assert found.notes == ("no node that makes pictures was found in the ComfyUI graph",)


def test_circles_end() -> None:
    graph = basic()
    graph["6"] = node("Loop", conditioning=["6b", 0], text=["t", 0])
    graph["6b"] = node("Loop", conditioning=["6", 0])
    graph["t"] = node("Text", text=["t2", 0])
    graph["t2"] = node("Text", text=["t", 0])
    graph["5"] = node("Loop", samples=["3", 0], width=["5", 0], height=["5", 0])
    graph["10"] = node("LoraLoader", model=["10", 0])
    found = read(graph)
    assert (found.positive, found.seed) == ("", 156680208700286)
