"""What reading metadata costs: 1,000 files of each kind, and the largest graphs that are taken.

python -m keepers.benchmarks metadata
python -m keepers.benchmarks.metadata FOLDER   # of pictures, or of graphs as JSON: how many say something, counted
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from keepers.core.metadata.comfy_read import read_comfy
from keepers.core.metadata.generation import Generation
from keepers.core.metadata.graphs.graph import NODE_LIMIT
from keepers.core.metadata.read import read_generation

FILES = 1000
SETTINGS = (
    "a red fox in snow\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 42, Model: furry"
)
Nodes = dict[str, Any]


def node(kind: str, **inputs: object) -> dict[str, Any]:
    """A node of a prompt."""
    return {"class_type": kind, "inputs": inputs}


def plain() -> Nodes:
    """A graph with one sampler."""
    return {
        "1": node("CheckpointLoaderSimple", ckpt_name="furry.safetensors"),
        "2": node("CLIPTextEncode", text="a red fox in snow", clip=["1", 1]),
        "3": node("CLIPTextEncode", text="blurry", clip=["1", 1]),
        "4": node("EmptyLatentImage", width=832, height=1216, batch_size=1),
        "5": node("KSampler", seed=42, steps=20, cfg=7.0, sampler_name="euler", scheduler="normal", denoise=1.0,
                  model=["1", 0], positive=["2", 0], negative=["3", 0], latent_image=["4", 0]),
        "6": node("VAEDecode", samples=["5", 0], vae=["1", 2]),
        "7": node("SaveImage", filename_prefix="x", images=["6", 0]),
    }  # fmt: skip


def samplers() -> Nodes:
    """As many samplers in a row as nodes are taken, each with conditionings of its own before it."""
    graph = plain()
    for i in range((NODE_LIMIT - 10) // 2):
        graph[f"c{i}"] = node("ControlNetApplyAdvanced", positive=[f"c{i + 1}", 0], negative=[f"c{i + 1}", 1])
        graph[f"k{i}"] = node("KSampler", seed=i, steps=20, denoise=0.5, model=["1", 0], positive=[f"c{i}", 0],
                              negative=[f"c{i}", 1], latent_image=[f"k{i + 1}", 0])  # fmt: skip
    graph["6"]["inputs"]["samples"] = ["k0", 0]
    return graph


def texts() -> Nodes:
    """As many nodes as are taken, each of which puts a text of 256 KB beside others."""
    graph = plain() | {"p": node("PrimitiveString", value="x " * (128 << 10))}
    count = (NODE_LIMIT - 10) // 2
    graph |= {
        f"t{i}": node("StringConcatenate", string_a=["p", 0], string_b=str(i), delimiter="") for i in range(count)
    }
    graph |= {f"e{i}": node("CLIPTextEncode", text=[f"t{i}", 0]) for i in range(count)}
    graph["2"] = node("ConditioningCombine", **{f"conditioning_{i}": [f"e{i}", 0] for i in range(count)})
    return graph


def combined() -> Nodes:
    """Conditionings that are combined from each other, many times over."""
    graph = plain()
    for i in range(NODE_LIMIT - 10):
        links = {f"conditioning_{j}": [f"c{(i * 7 + j) % (NODE_LIMIT - 10)}", 0] for j in range(6)}
        graph[f"c{i}"] = node("ConditioningCombine", **links)
    graph["5"]["inputs"]["positive"] = ["c0", 0]
    return graph


def workflow() -> dict[str, Any]:
    """As many nodes as are taken in the editor's form, half of them reroutes in a row."""
    nodes: list[dict[str, Any]] = []
    links: list[list[Any]] = []
    for i in range(NODE_LIMIT // 2):
        names = ("model", "positive", "negative", "latent_image")
        nodes.append({"id": i, "type": "KSampler", "widgets_values": [i, "fixed", 20, 7, "euler", "normal", 1],
                      "inputs": [{"name": name, "link": 10_000 + i} for name in names],
                      "outputs": [{"name": "LATENT", "type": "LATENT"}]})  # fmt: skip
        nodes.append({"id": 5000 + i, "type": "Reroute", "inputs": [{"name": "", "link": 20_000 + i}], "outputs": []})
        links += [[10_000 + i, 5000 + i, 0, i, 0, "*"], [20_000 + i, 5001 + i, 0, 5000 + i, 0, "*"]]
    return {"nodes": nodes, "links": links}


def file_of(folder: Path, name: str, **chunks: str) -> Path:
    """A small PNG with these texts."""
    info = PngInfo()
    for key, text in chunks.items():
        info.add_text(key, text)
    Image.new("RGB", (64, 64)).save(folder / name, pnginfo=info)
    return folder / name


def milliseconds(work: Callable[[], object], times: int) -> float:
    """Processor time of one call."""
    work()
    start = time.process_time()
    for _ in range(times):
        work()
    return 1000 * (time.process_time() - start) / times


def count(folder: Path) -> None:
    """What the pictures and graphs of a folder say."""
    said: Counter[str] = Counter()
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".json", ".png", ".webp", ".jpg")):
        if found := graph_in(path) if path.suffix.lower() == ".json" else read_generation(path):
            said["prompt" if found.positive else "note" if found.notes else "empty without a note"] += 1
    print(f"{folder}: {said.total()} files: " + ", ".join(f"{number} {what}" for what, number in said.most_common()))


def graph_in(path: Path) -> Generation | None:
    """What a prompt or a workflow in a JSON file says; None if it is neither."""
    text = path.read_text(encoding="utf-8", errors="replace")
    return read_comfy({"workflow" if '"links"' in text else "prompt": text})


def main() -> None:
    """Print the times, and the counts of a folder that was named."""
    with tempfile.TemporaryDirectory() as name:
        small = {
            "no metadata": {},
            "infotext": {"parameters": SETTINGS},
            "plain graph": {"prompt": json.dumps(plain())},
        }
        for what, chunks in small.items():
            path = file_of(Path(name), f"{what}.png", **chunks)
            took = milliseconds(lambda path=path: read_generation(path), FILES)
            print(f"{what + ':':<28} {took:7.2f} ms a file over {FILES} files")
    large = {"samplers": samplers(), "long texts": texts(), "combined": combined()}
    for what, graph in large.items():
        chunks = {"prompt": json.dumps(graph)}
        print(f"{len(graph)} nodes, {what + ':':<16} {milliseconds(lambda t=chunks: read_comfy(t), 5):7.2f} ms")
    chunks = {"workflow": json.dumps(workflow())}
    print(f"{NODE_LIMIT} nodes, {'workflow:':<16} {milliseconds(lambda: read_comfy(chunks), 5):7.2f} ms")


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    for argument in sys.argv[1:]:
        count(Path(argument))
