"""A node pack for tests: images of every odd kind to feed ours with, and a node that tells what came out of them."""

# pyright: basic, reportUnknownParameterType=false, reportArgumentType=false, reportAttributeAccessIssue=false
# Written as node packs are written: without types, for the engine to call.
import json
import time

import torch
from comfy_execution.graph_utils import ExecutionBlocker

KINDS = ["good", "black", "noise", "nan", "inf", "bright", "rgba", "grey", "half", "mixed", "empty", "blocked"]


def good(count: int, height: int, width: int, seed: int) -> torch.Tensor:
    """Soft random landscapes: neither noise nor blur nor copies of each other."""
    generator = torch.Generator().manual_seed(seed)
    parts = [
        torch.nn.functional.interpolate(
            torch.rand(count, 3, size, size, generator=generator), (height, width), mode="bicubic"
        )
        / weight
        for size, weight in ((4, 1.6), (16, 3), (64, 6))
    ]
    return sum(parts).clamp(0, 1).permute(0, 2, 3, 1).contiguous()


class ProbeImages:
    """Images of a kind: `kinds` names one for each image, as "good,black,good"."""

    RETURN_TYPES = ("IMAGE", "LATENT", "MASK", "STRING")
    FUNCTION = "make"
    CATEGORY = "probe"
    OUTPUT_IS_LIST = (True, False, False, True)

    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802  ComfyUI's own name
        text = {"default": "good,black"}
        return {
            "required": {"kinds": ("STRING", text), "size": ("INT", {"default": 128}), "seed": ("INT", {"default": 0})}
        }

    def make(self, kinds, size, seed):
        names = kinds.split(",")
        count = len(names)
        latent = {"samples": torch.arange(count).float().reshape(-1, 1, 1, 1).expand(-1, 4, 8, 8).clone()}
        latent["batch_index"] = list(range(count))
        latent["noise_mask"] = torch.arange(count).float().reshape(-1, 1, 1).expand(-1, 8, 8).clone()
        mask = torch.arange(count).float().reshape(-1, 1, 1).expand(-1, size, size) / 10
        texts = [f"caption {index}" for index in range(count)]
        return (self.images(names, size, seed), latent, mask, texts)

    def images(self, names, size, seed):
        if names == ["empty"]:
            return [torch.zeros(0, size, size, 3)]
        if names == ["none"]:
            return []
        if names == ["blocked"]:
            return [ExecutionBlocker(None)]
        batch = good(len(names), size, size, seed)
        for index, name in enumerate(names):
            self.spoil(batch[index], name)
        if "mixed" in names:
            return [good(1, size + 16 * index, size, seed + index) for index in range(len(names))]
        if "rgba" in names:
            return [torch.cat([batch, torch.ones_like(batch[..., :1])], dim=-1)]
        if "grey" in names:
            return [batch[..., :1].contiguous()]
        return [batch.half()] if "half" in names else [batch]

    def spoil(self, image, name):
        if name == "black":
            image.zero_()
        if name == "noise":
            image.copy_(torch.rand(image.shape, generator=torch.Generator().manual_seed(7)))
        if name in ("nan", "inf"):
            image[3, 5] = float(name)
        if name == "bright":
            image.copy_(image * 1.4 - 0.1)


class ProbeSlow:
    """Hands images on after some seconds, so that a test can interrupt a prompt."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "wait"
    CATEGORY = "probe"

    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802  ComfyUI's own name
        return {"required": {"images": ("IMAGE",), "seconds": ("FLOAT", {"default": 1.0})}}

    def wait(self, images, seconds):
        time.sleep(seconds)
        return (images,)


class AnyType(str):
    """Matches every type."""

    def __ne__(self, other):
        return False


class ProbeSee:
    """Tells what comes in, as JSON in the history."""

    RETURN_TYPES = ()
    FUNCTION = "see"
    CATEGORY = "probe"
    OUTPUT_NODE = True
    INPUT_IS_LIST = True

    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802  ComfyUI's own name
        return {"required": {"value": (AnyType("*"),)}}

    def see(self, value):
        return {"ui": {"seen": [json.dumps([self.told(one) for one in value])]}}

    def told(self, one):
        if isinstance(one, torch.Tensor):
            mean = one.float().mean().item() if one.numel() else None
            return {"shape": list(one.shape), "dtype": str(one.dtype), "mean": mean}
        if isinstance(one, dict) and "samples" in one:
            values = {"samples": one["samples"][:, 0, 0, 0].tolist(), "shape": list(one["samples"].shape)}
            values["batch_index"] = one.get("batch_index")
            values["noise_mask"] = one["noise_mask"][:, 0, 0].tolist() if "noise_mask" in one else None
            return values
        return one if isinstance(one, str | int | float | bool | None) else type(one).__name__


NODE_CLASS_MAPPINGS = {"ProbeImages": ProbeImages, "ProbeSlow": ProbeSlow, "ProbeSee": ProbeSee}
