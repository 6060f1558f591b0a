"""What starting costs: CPU time of whole commands, and where the time to the first verdict goes.

With BASE_DIR=PATH, the same commands also run on another checkout, taking turns with this one.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from keepers.examples.pictures import mountains

from .coherence import write_weights

ROUNDS = 5
CODE = """
import sys, time
start = time.perf_counter()
marks = []
def mark(name):
    global start
    now = time.perf_counter()
    marks.append(f"{name} {now - start:.3f}")
    start = now
from keepers.core.judging.case import Subject
from keepers.core.judging.judge import Judge
from keepers.core.gates.gate import Gate
from keepers.core.runtime import Runtime
from keepers.core.weights.store import WeightStore
from keepers.core.pictures.open import open_image
from keepers.models.registry import REGISTRY
mark("keepers")
import torch
mark("torch")
if sys.argv[3] == "coherence":
    import torchvision
    mark("torchvision")
from pathlib import Path
judge = Judge(REGISTRY, WeightStore([Path(sys.argv[1])]), Runtime(device="cpu"))
judge.classifier(sys.argv[3])
mark("model")
gate = Gate.parse(REGISTRY.spec(sys.argv[3]).gate)
judge.judge([Subject(lambda: open_image(Path(sys.argv[2])))], gate)
mark("verdict")
print(";".join(marks))
"""


YARDSTICKS = {"import typer, rich": "import typer, rich", "import torch": "import torch"}


def cpu_seconds(command: Sequence[str], package: Path) -> float:
    """User and system time of a command that finds Keepers in the folder `package`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONPATH": str(package)}, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def commands(folder: Path) -> Mapping[str, list[str]]:
    """By what they do, commands over a folder that holds one picture; the last one knows it already."""
    scan = ["scan", str(folder / "pictures"), "--quiet"]
    return {
        "--help": ["--help"],
        "--version": ["--version"],
        "models": ["models"],
        "scan of one image with signals": [*scan, "--no-db"],
        "scan of a known image": [*scan, "--db", str(folder / "known.db")],
    }


def measure_commands() -> None:
    """Print the CPU seconds of each command: least, median and most, and the median as a share of `import torch`."""
    roots = {"here": Path(__file__).parents[1]}
    if base := os.environ.get("BASE_DIR"):
        roots["base"] = Path(base).resolve()
    with tempfile.TemporaryDirectory() as name:
        works: dict[str, tuple[list[str], Path]] = {}
        for label, code in YARDSTICKS.items():
            works[label] = ([sys.executable, "-c", code], Path(name))
        for where, root in roots.items():
            folder, package = Path(name) / where, Path(name) / f"{where}-package"
            (folder / "pictures").mkdir(parents=True)
            package.mkdir()
            (package / "keepers").symlink_to(root, target_is_directory=True)
            mountains((1024, 1024)).save(folder / "pictures" / "picture.png")
            for label, arguments in commands(folder).items():
                works[f"{where}: {label}"] = ([sys.executable, "-m", "keepers", *arguments], package)
        times: dict[str, list[float]] = {label: [] for label in works}
        for number in range(ROUNDS + 1):  # the first round warms up, and fills the stores
            for label, work in works.items():
                seconds = cpu_seconds(*work)
                if number:
                    times[label].append(seconds)
    yardstick = statistics.median(times["import torch"])
    for label, found in times.items():
        median = statistics.median(found)
        spread = f"{min(found):.2f} / {median:.2f} / {max(found):.2f} s CPU"
        print(f"{label}: {spread}, {median / yardstick:.2f} of import torch")


def main() -> None:
    """Print what commands cost, and the median seconds of each step to a verdict, with signals and with coherence."""
    measure_commands()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_weights(folder)
        mountains((1024, 1024)).save(folder / "picture.png")
        for model in ("signals", "coherence"):
            times: dict[str, list[float]] = {}
            for _ in range(ROUNDS):
                command = [sys.executable, "-c", CODE, str(folder), str(folder / "picture.png"), model]
                out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                for part in out.strip().split(";"):
                    step, seconds = part.split()
                    times.setdefault(step, []).append(float(seconds))
            medians = {step: statistics.median(found) for step, found in times.items()}
            steps = ", ".join(f"{step} {seconds:.2f} s" for step, seconds in medians.items())
            print(f"{model}: {sum(medians.values()):.2f} s to the first verdict: {steps}")


if __name__ == "__main__":
    main()
