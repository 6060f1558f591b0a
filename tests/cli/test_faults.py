"""Killed at any time, run twice at once, watched by an audit hook: a scan stays whole and does nothing else."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keepers.core.gates.gate import Gate
from keepers.core.judging.case import Subject
from keepers.tests import tiny
from keepers.tests.tiny import Work, plain

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / ".venv" / "src")}
IMAGES = 160


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for n in range(IMAGES):
        pixels = np.random.RandomState(n).randint(0, 256, (300, 300, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{n:03}.png", compress_level=1)
    (folder / "broken.png").write_bytes(b"no image")
    return folder


def command(pictures: Path, db: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "keepers", "scan", str(pictures), "--db", str(db), "-q", *more]


def verdicts(pictures: Path, db: Path) -> dict[str, str]:
    done = subprocess.run(
        command(pictures, db, "--jsonl", "-"), env=ENVIRONMENT, capture_output=True, text=True, timeout=600
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len({line["path"] for line in lines}) == len(lines) == IMAGES + 1, done.stderr
    return {Path(line["path"]).name: line["verdict"] + line["reason"].replace(line["path"], "") for line in lines}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_kill_at_any_time_loses_and_doubles_nothing(pictures: Path, tmp_path: Path) -> None:
    uninterrupted = verdicts(pictures, tmp_path / "whole.db")
    for wanted in (0, *sorted(random.Random(1).sample(range(IMAGES), 4))):
        killed = subprocess.Popen(
            command(pictures, tmp_path / "killed.db", "--sort", str(tmp_path / "sorted")),
            env=ENVIRONMENT,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + 300
        while len(list((tmp_path / "sorted").rglob("*.png"))) <= wanted and killed.poll() is None:
            assert time.monotonic() < end, f"it sorted no {wanted + 1} images"
            time.sleep(0.002)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        for path in (tmp_path / "sorted").rglob("*.png"):
            assert path.read_bytes() == (pictures / path.name).read_bytes(), "a copy is whole or not there"
    assert verdicts(pictures, tmp_path / "killed.db") == uninterrupted
    assert len(list(pictures.iterdir())) == IMAGES + 1


def test_two_scans_of_one_folder_at_once(pictures: Path, tmp_path: Path) -> None:
    both = [
        subprocess.Popen(command(pictures, tmp_path / "k.db"), env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for one in both:
        _, told = one.communicate(timeout=600)
        assert one.returncode == 3, told  # the broken file
    found = verdicts(pictures, tmp_path / "k.db")
    assert found == verdicts(pictures, tmp_path / "other.db")


AUDIT = """
import sys
from pathlib import Path
from keepers.core.gates.gate import Gate
from keepers.core.judging.judge import Judge
from keepers.collection.scan import Scan
from keepers.collection.store import Store
from keepers.core.pictures.walk import Found, walk
from keepers.core.weights.store import WeightStore
from keepers.models.registry import REGISTRY

def scan(name):
    with Store(Path(sys.argv[2], name)) as store:
        job = Scan(Judge(REGISTRY, WeightStore([])), Gate.parse("accept: signals.ok >= 0.5"), store)
        files = [one for one in walk([Path(sys.argv[1])]) if isinstance(one, Found)]
        return sum(1 for _ in job.run(job.plan(files)))

scan("warm.db")  # imports what is imported late
events = set()
WATCHED = {"exec", "compile", "subprocess.Popen", "os.system", "os.exec", "pickle.find_class", "socket.connect"}
sys.addaudithook(lambda event, args: events.add(event) if event in WATCHED else None)
count = scan("watched.db")
print(count, sorted(events))
"""


def test_a_scan_runs_no_code_and_no_program_and_reaches_for_nothing(pictures: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", AUDIT, str(pictures), str(tmp_path)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.stdout.strip() == f"{IMAGES + 1} []", done.stderr


def test_many_threads_load_a_model_once_and_agree(tmp_path: Path) -> None:
    judge = tiny.judge(Work(), tmp_path)
    loads: list[str] = []
    load = judge.store.tensors

    def counted(*arguments: object, **options: object) -> object:
        loads.append("x")
        return load(*arguments, **options)  # pyright: ignore[reportArgumentType]

    judge.store.tensors = counted  # pyright: ignore[reportAttributeAccessIssue]
    gate = Gate.parse("accept: cheap.good >= 0.5")
    images = [plain(n * 20, n * 20, n * 20) for n in range(12)]
    results: list[list[str]] = []

    def work() -> None:
        for _ in range(10):
            judged = judge.judge([Subject(lambda image=image: image) for image in images], gate)
            results.append([one.verdict.outcome for one in judged])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(loads) == 1
    assert len(results) == 80
    assert all(found == results[0] for found in results)
