"""Graphs for the tests: nodes as a prompt has them, and a plain workflow."""

from __future__ import annotations

import json
from typing import Any

from keepers.core.metadata.comfy_read import read_comfy
from keepers.core.metadata.generation import Generation


def read(graph: object, **texts: str) -> Generation:
    """What a prompt says, beside other texts of the file."""
    found = read_comfy({"prompt": json.dumps(graph), **texts})
    assert found is not None
    return found


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


def loaded(**more: Any) -> dict[str, Any]:
    """The basic graph whose positive prompt comes from node "t", over a picture that was loaded."""
    graph = basic()
    graph["20"] = node("LoadImage", image="my_photo.png")
    graph["6"]["inputs"]["text"] = ["t", 0]
    return graph | more
