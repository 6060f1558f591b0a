"""ComfyUI: what the pack adds to its start, and what a gate costs when the scores are known.

Runs in a real ComfyUI: COMFYUI_DIR names its checkout, COMFYUI_PYTHON the interpreter it runs with.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
STARTS = 5

INSIDE = """
import asyncio, json, logging, sys, time
sys.path.insert(0, ".")
pack, other = sys.argv.pop(), sys.argv.pop()
import comfy.options
comfy.options.enable_args_parsing()
logging.disable(logging.CRITICAL)
import utils.extra_config, torch, folder_paths, execution, server, nodes
asyncio.run(nodes.load_custom_node(other))  # what ComfyUI itself loads for the first pack of all
before = set(sys.modules)
begin, busy = time.perf_counter(), time.process_time()
assert asyncio.run(nodes.load_custom_node(pack))
found = {"import_ms": (time.perf_counter() - begin) * 1000, "busy_ms": (time.process_time() - busy) * 1000}
added = set(sys.modules) - before
heavy = {"timm", "transformers", "tensorflow", "onnxruntime"}
found["heavy"] = sorted({name.partition(".")[0] for name in added} & heavy)
found["modules"] = len(added)

gate = nodes.NODE_CLASS_MAPPINGS["KeepersGate"]
score = nodes.NODE_CLASS_MAPPINGS["KeepersScore"]
machine = {"batch_size": [8], "precision": ["exact"], "download": [False]}
asked = {"preset": ["signals"], "gate": [""]}

class Hidden:
    unique_id = prompt = extra_pnginfo = dynprompt = None

def run(node, **inputs):
    return type(node.__name__, (node,), {"hidden": Hidden}).execute(**inputs)

with torch.inference_mode():
    torch.manual_seed(0)
    noise = torch.rand(8, 3, 64, 64)
    images = torch.nn.functional.interpolate(noise, (1024, 1024), mode="bicubic").clamp(0, 1)
    images = images.permute(0, 2, 3, 1).contiguous()
    kept = score()
    scores = run(score, images=[images], every_model=[False], **asked, **machine).args[0]
    times = []
    for keep in ("all that pass", "best of those that pass") * 10:
        begin = time.perf_counter()
        wish = {"keep": [keep], "best": [4], "rank_by": [""], "if_none_pass": ["pass nothing on"]}
        answer = run(gate, images=[images], scores=[scores], **wish, **asked, **machine)
        times.append((keep, (time.perf_counter() - begin) * 1000 / 8))
        whole = answer.args[0][0] is images
        assert whole == (keep == "all that pass"), "a batch that passes whole is not copied"
    for name, keep in (("gate_ms", "all that pass"), ("best_ms", "best of those that pass")):
        found[name] = sorted(ms for kind, ms in times if kind == keep)[0]
    begin = time.perf_counter()
    images[torch.arange(0, 8, 2)]
    found["copy_ms"] = (time.perf_counter() - begin) * 1000 / 8
print("FOUND" + json.dumps(found))
"""


def main() -> None:
    """Print import time and gate overhead in the ComfyUI that the environment names."""
    folder, python = os.environ.get("COMFYUI_DIR"), os.environ.get("COMFYUI_PYTHON")
    if not folder or not python:
        print("needs a real ComfyUI: set COMFYUI_DIR to its checkout and COMFYUI_PYTHON to its interpreter")
        return
    with tempfile.TemporaryDirectory() as base:
        pack = Path(base) / "comfyui-keepers"
        pack.symlink_to(ROOT)
        other = Path(base) / "other"
        other.mkdir()
        (other / "__init__.py").write_text("NODE_CLASS_MAPPINGS = {}\n")
        (other / "pyproject.toml").write_text('[project]\nname = "other"\nversion = "1"\n[tool.comfy]\n')
        runs = [_once(python, folder, base, pack) for _ in range(STARTS)]
    best = min(runs, key=lambda run: run["import_ms"])
    busy = min(run["busy_ms"] for run in runs)
    print(f"import: {best['import_ms']:.0f} ms, {busy:.0f} of the processor, at best of {STARTS} starts", end="")
    print(f"; {best['modules']} modules", end="")
    print(f", of the heavy ones {', '.join(best['heavy']) or 'none'}")
    print(
        f"gate over known scores, 1024x1024: {min(run['gate_ms'] for run in runs):.3f} ms an image, all pass, no copy"
    )
    copied, bare = min(run["best_ms"] for run in runs), min(run["copy_ms"] for run in runs)
    print(f"gate that keeps half: {copied:.3f} ms an image; copying the kept ones alone takes {bare:.3f} ms")


def _once(python: str, folder: str, base: str, pack: Path) -> dict[str, Any]:
    command = [python, "-c", INSIDE, "--cpu", "--base-directory", base, str(Path(base) / "other"), str(pack)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    told = [line for line in done.stdout.splitlines() if line.startswith("FOUND")]
    if not told:
        raise SystemExit(f"ComfyUI did not start:\n{done.stderr[-3000:]}")
    return json.loads(told[0].removeprefix("FOUND"))


if __name__ == "__main__":
    main()
