"""Generation metadata exactly as the hosts write it: the WebUI's infotext, ComfyUI's prompt and workflow."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from PIL import Image, PngImagePlugin

USER_COMMENT, EXIF_FOLDER, MAKE, MODEL = 0x9286, 0x8769, 0x010F, 0x0110


@dataclass(frozen=True)
class Generation:
    """The settings an image was generated with."""

    prompt: str
    seed: int
    negative: str = "lowres, blurry, watermark"
    steps: int = 28
    guidance: float = 7.0
    width: int = 512
    height: int = 512


def infotext(asked: Generation) -> str:
    """What A1111 and Forge write below an image."""
    return (
        f"{asked.prompt}\nNegative prompt: {asked.negative}\n"
        f"Steps: {asked.steps}, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: {asked.guidance:g}, "
        f"Seed: {asked.seed}, Size: {asked.width}x{asked.height}, Model hash: 6ce0161689, "
        f"Model: v1-5-pruned-emaonly, Version: v1.10.1"
    )


def webui_png(asked: Generation) -> PngImagePlugin.PngInfo:
    """The PNG chunk of the WebUI."""
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", infotext(asked))
    return info


def webui_exif(asked: Generation) -> Image.Exif:
    """The EXIF block of the WebUI for JPEG and WebP: a UserComment in big-endian UTF-16, as piexif does it."""
    exif = Image.Exif()
    exif.get_ifd(EXIF_FOLDER)[USER_COMMENT] = b"UNICODE\0" + infotext(asked).encode("utf-16-be")
    return exif


def comfy_prompt(asked: Generation) -> dict[str, Any]:
    """The graph in ComfyUI's API form, as it was executed."""

    def node(kind: str, title: str, **inputs: Any) -> dict[str, Any]:
        return {"inputs": inputs, "class_type": kind, "_meta": {"title": title}}

    sampler = {
        "seed": asked.seed,
        "steps": asked.steps,
        "cfg": asked.guidance,
        "sampler_name": "dpmpp_2m",
        "scheduler": "karras",
        "denoise": 1,
    }
    links = {"model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]}
    return {
        "3": node("KSampler", "KSampler", **sampler, **links),
        "4": node("CheckpointLoaderSimple", "Load Checkpoint", ckpt_name="v1-5-pruned-emaonly.safetensors"),
        "5": node("EmptyLatentImage", "Empty Latent Image", width=asked.width, height=asked.height, batch_size=1),
        "6": node("CLIPTextEncode", "CLIP Text Encode (Prompt)", text=asked.prompt, clip=["4", 1]),
        "7": node("CLIPTextEncode", "CLIP Text Encode (Prompt)", text=asked.negative, clip=["4", 1]),
        "8": node("VAEDecode", "VAE Decode", samples=["3", 0], vae=["4", 2]),
        "9": node("SaveImage", "Save Image", filename_prefix="ComfyUI", images=["8", 0]),
    }


_LINKS = [
    [1, 4, 0, 3, 0, "MODEL"],
    [2, 5, 0, 3, 3, "LATENT"],
    [3, 4, 1, 6, 0, "CLIP"],
    [4, 6, 0, 3, 1, "CONDITIONING"],
    [5, 4, 1, 7, 0, "CLIP"],
    [6, 7, 0, 3, 2, "CONDITIONING"],
    [7, 3, 0, 8, 0, "LATENT"],
    [8, 4, 2, 8, 1, "VAE"],
    [9, 8, 0, 9, 0, "IMAGE"],
]
"""Link id, from node and slot, to node and slot, type."""
_SLOTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "CheckpointLoaderSimple": ((), ("MODEL", "CLIP", "VAE")),
    "EmptyLatentImage": ((), ("LATENT",)),
    "CLIPTextEncode": (("clip",), ("CONDITIONING",)),
    "KSampler": (("model", "positive", "negative", "latent_image"), ("LATENT",)),
    "VAEDecode": (("samples", "vae"), ("IMAGE",)),
    "SaveImage": (("images",), ()),
}


def comfy_workflow(asked: Generation) -> dict[str, Any]:
    """The graph as ComfyUI's editor keeps it."""
    widgets: dict[int, tuple[str, list[Any]]] = {
        4: ("CheckpointLoaderSimple", ["v1-5-pruned-emaonly.safetensors"]),
        5: ("EmptyLatentImage", [asked.width, asked.height, 1]),
        6: ("CLIPTextEncode", [asked.prompt]),
        7: ("CLIPTextEncode", [asked.negative]),
        3: ("KSampler", [asked.seed, "fixed", asked.steps, asked.guidance, "dpmpp_2m", "karras", 1]),
        8: ("VAEDecode", []),
        9: ("SaveImage", ["ComfyUI"]),
    }
    nodes = [_editor_node(number, order, *widgets[number]) for order, number in enumerate(widgets)]
    return {
        "last_node_id": 9,
        "last_link_id": 9,
        "nodes": nodes,
        "links": _LINKS,
        "groups": [],
        "config": {},
        "extra": {"ds": {"scale": 1, "offset": [0, 0]}},
        "version": 0.4,
    }


def _editor_node(number: int, order: int, kind: str, widgets: list[Any]) -> dict[str, Any]:
    inputs, outputs = _SLOTS[kind]
    arriving = {link[4]: link for link in _LINKS if link[3] == number}
    return {
        "id": number,
        "type": kind,
        "pos": [60 + 330 * (order // 2), 80 + 260 * (order % 2)],
        "size": [315, 180],
        "flags": {},
        "order": order,
        "mode": 0,
        "inputs": [
            {"name": name, "type": arriving[slot][5], "link": arriving[slot][0]} for slot, name in enumerate(inputs)
        ],
        "outputs": [
            {
                "name": name,
                "type": name,
                "links": [x[0] for x in _LINKS if x[1:3] == [number, slot]],
                "slot_index": slot,
            }
            for slot, name in enumerate(outputs)
        ],
        "properties": {"Node name for S&R": kind},
        "widgets_values": widgets,
    }


def comfy_png(asked: Generation) -> PngImagePlugin.PngInfo:
    """The two PNG chunks of ComfyUI's SaveImage."""
    info = PngImagePlugin.PngInfo()
    info.add_text("prompt", json.dumps(comfy_prompt(asked)))
    info.add_text("workflow", json.dumps(comfy_workflow(asked)))
    return info


def comfy_exif(asked: Generation) -> Image.Exif:
    """The EXIF block of ComfyUI's SaveAnimatedWEBP: JSON behind a name, in the tags for camera model and maker."""
    exif = Image.Exif()
    exif[MODEL] = f"prompt:{json.dumps(comfy_prompt(asked))}"
    exif[MAKE] = f"workflow:{json.dumps(comfy_workflow(asked))}"
    return exif
