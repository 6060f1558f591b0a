"""Turns a ComfyUI workflow, the editor's format, into the graph of a prompt, as far as core nodes go."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from .comfy_graph import NODE_LIMIT, SIZE_LIMIT, BadPrompt, Node

_WIDGETS: Mapping[str, tuple[str, ...]] = {
    "KSampler": ("seed", "control", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": ("add_noise", "noise_seed", "control", "steps", "cfg", "sampler_name", "scheduler"),
    "SamplerCustom": ("add_noise", "noise_seed", "control", "cfg"),
    "RandomNoise": ("noise_seed", "control"),
    "KSamplerSelect": ("sampler_name",),
    "BasicScheduler": ("scheduler", "steps", "denoise"),
    "CFGGuider": ("cfg",),
    "CLIPTextEncode": ("text",),
    "CLIPTextEncodeFlux": ("clip_l", "t5xxl", "guidance"),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "UNETLoader": ("unet_name", "weight_dtype"),
    "EmptyLatentImage": ("width", "height", "batch_size"),
    "EmptySD3LatentImage": ("width", "height", "batch_size"),
    "PrimitiveNode": ("value", "control"),
    "PrimitiveString": ("value",),
    "PrimitiveStringMultiline": ("value",),
    "PrimitiveInt": ("value",),
}
"""The editor stores a node's values by position; "control" is what happens to the seed after a run."""
_OFF = (2, 4)
"""The modes of muted and bypassed nodes."""


def parse_workflow(text: str) -> dict[str, Node]:
    """The nodes of a workflow by id, with values only for ComfyUI's own nodes. Raises BadPrompt, and nothing else."""
    if len(text) > SIZE_LIMIT:
        raise BadPrompt(f"the ComfyUI workflow is larger than {SIZE_LIMIT >> 20} MiB")
    try:
        data = cast(dict[str, Any], json.loads(text))
        origin: Mapping[Any, Any] = {link[0]: [str(link[1]), link[2]] for link in data["links"]}
        nodes = [_node(entry, origin) for entry in data["nodes"][:NODE_LIMIT] if entry.get("mode") not in _OFF]
    except (ValueError, RecursionError, MemoryError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise BadPrompt(f"the ComfyUI workflow cannot be read ({type(error).__name__})") from error
    if not nodes:
        raise BadPrompt("the ComfyUI workflow has no nodes")
    return {node.id: node for node in nodes}


def _node(entry: Mapping[str, Any], origin: Mapping[Any, Any]) -> Node:
    kind = str(entry["type"])
    values: Any = entry.get("widgets_values") or ()
    by_position = {} if isinstance(values, dict) else dict(zip(_WIDGETS.get(kind, ()), values, strict=False))
    named = cast(dict[object, object], values) if isinstance(values, dict) else by_position
    inputs = {str(name): value for name, value in named.items() if name != "control"}
    for socket in cast(list[dict[str, Any]], entry.get("inputs") or []):
        if socket.get("link") in origin:
            inputs[str(socket["name"])] = origin[socket["link"]]
    return Node(str(entry["id"]), kind, inputs)
