"""What Keepers costs in the WebUI: at start-up, for an image with Keepers off and on; and what unloading frees.

The host is the stub that the tests use, since a real net's noise would drown milliseconds.
"""

# pyright: reportMissingImports=false
# The stub's modules are found at run time, under the host's names.
from __future__ import annotations

import importlib
import logging
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from PIL import Image

from keepers.core.prediction import Prediction
from keepers.examples.pictures import mountains

from .coherence import write_weights

ROOT = Path(__file__).parent.parent
STUBS = ROOT / "tests" / "stubs"
ROUNDS = 25
START = """
import sys, time
import torch, numpy, PIL.Image, gradio, modules.processing
from pathlib import Path
from modules import scripts
begin = time.perf_counter()
scripts.load_scripts(Path(sys.argv[1]), stays_on_path=True)
loaded = time.perf_counter()
for tab in (False, True):
    script = scripts.scripts_data[0].script_class()
    script.is_img2img = tab
    script.ui(tab)
print((loaded - begin) * 1000, (time.perf_counter() - loaded) * 1000)
"""


def start() -> None:
    """The host has loaded torch, numpy, Pillow and gradio before it loads extensions."""
    environment = {"PYTHONPATH": str(STUBS), "PATH": ""}
    found: list[list[float]] = []
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-c", START, str(ROOT)], capture_output=True, text=True, env=environment, check=True
        )
        found.append([float(word) for word in done.stdout.split()])
    load, panels = (min(column) for column in zip(*found, strict=True))
    print(f"start-up: loading {load:.0f} ms, both panels {panels:.0f} ms")


def hooks(side: int) -> None:
    """A job of one image, without sampling and saving. Variants take turns, and the shortest time of each counts."""
    shared = importlib.import_module("modules.shared")
    shared.opts.data |= {"samples_save": False, "grid_save": False, "return_grid": False}
    picture = mountains((side, side)).convert("RGB")
    times: dict[str, list[float]] = {"without": [], "off": [], "on, early": [], "on, late": []}
    for _ in range(ROUNDS):
        for name in times:
            times[name].append(_job(name, picture))
    base = min(times["without"])
    told = ", ".join(f"{name} {min(all_) - base:+.2f} ms" for name, all_ in times.items() if name != "without")
    print(f"an image of {side}x{side}: {told} (the stub's own job: {base:.1f} ms)")


def _job(name: str, picture: Image.Image) -> float:
    scripts = importlib.import_module("modules.scripts")
    processing = importlib.import_module("modules.processing")
    script = scripts.scripts_data[0].script_class()
    script.args_from, script.args_to = 1, 40
    runner = scripts.Runner(*([] if name == "without" else [script]))
    choices = {"preset": "signals", "on_reject": "keep", "on_review": "keep", "early": name == "on, early"}
    p = processing.Processing(runner, (name.startswith("on"), choices), lambda _: picture, "unused")
    begin = perf_counter()
    processing.process_images(p)
    return (perf_counter() - begin) * 1000


def memory() -> None:
    """Memory of this process with coherence on the CPU, not counting what the first use of torch leaves behind."""
    lent = importlib.import_module("keepers.extension.host.host")
    picture = mountains((512, 512)).convert("RGB")
    _predict(picture)
    lent.release()
    before = _resident()
    _predict(picture)
    loaded = _resident()
    lent.release()
    print(f"memory: {before:.0f} MB before, {loaded:.0f} MB with coherence, {_resident():.0f} MB after unloading")


def _predict(picture: Image.Image) -> None:
    judging = importlib.import_module("keepers.extension.job.judging")
    answer = judging.predict(picture, "coherence")
    assert isinstance(answer, Prediction), answer


def _resident() -> float:
    status = Path("/proc/self/status").read_text()
    lines = [line.split() for line in status.splitlines() if line.startswith("VmRSS")]
    return int(lines[0][1]) / 1024


def main() -> None:
    """Print all figures."""
    start()
    sys.path.insert(0, str(STUBS))
    with tempfile.TemporaryDirectory() as name:
        paths = importlib.import_module("modules.paths")
        paths.__dict__["models_path"] = name
        (Path(name) / "keepers").mkdir()
        write_weights(Path(name) / "keepers")
        importlib.import_module("modules.scripts").load_scripts(ROOT, stays_on_path=True)
        logging.getLogger("keepers").setLevel(logging.ERROR)
        for side in (512, 1024):
            hooks(side)
        memory()


if __name__ == "__main__":
    main()
