"""Killed at any time, run twice at once, watched by an audit hook: a scan stays whole and does nothing else."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keepers.core.gates.gate import Gate
from keepers.core.judging.case import Subject
from keepers.tests import tiny
from keepers.tests.cli.paused import POINTS
from keepers.tests.tiny import Work, plain

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / ".venv" / "src")}
IMAGES = 160


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("all") / "pictures", IMAGES, 300)


def make_pictures(folder: Path, count: int, side: int) -> Path:
    """Pictures of noise, a caption beside every fourth, and a broken file."""
    folder.mkdir()
    for n in range(count):
        pixels = np.random.RandomState(n).randint(0, 256, (side, side, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{n:03}.png", compress_level=1)
        if n % 4 == 0:
            (folder / f"{n:03}.txt").write_text(f"noise {n}")
    (folder / "broken.png").write_bytes(b"no image")
    return folder


def command(pictures: Path, db: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "keepers", "scan", str(pictures), "--db", str(db), "-q", *more]


def verdicts(pictures: Path, db: Path) -> dict[str, str]:
    done = subprocess.run(
        command(pictures, db, "--jsonl", "-"), env=ENVIRONMENT, capture_output=True, text=True, timeout=600
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len({line["path"] for line in lines}) == len(lines) == len(list(pictures.glob("*.png"))), done.stderr
    return {Path(line["path"]).name: line["verdict"] + line["reason"].replace(line["path"], "") for line in lines}


@dataclass
class Killed:
    """A sorting scan that is killed again and again at chosen points of its work."""

    home: Path
    pictures: Path
    mode: str

    def __post_init__(self) -> None:
        self.before = tree(self.pictures)
        self.staying = {"broken.png"} if self.mode == "move" else set[str]()
        """What nobody can judge is not moved."""
        self.uninterrupted = verdicts(self.pictures, self.home / "whole.db")

    def scan(self, *python: str) -> list[str]:
        more = ["--sort", str(self.home / "sorted"), "--sort-by", self.mode]
        return [sys.executable, *python, *command(self.pictures, self.home / "killed.db", *more)[3:]]

    def kill(self, point: str, number: int) -> dict[str, int]:
        """Kills it when the point is reached for the nth time. How often it passed each point, as it said itself."""
        run = self.scan("-m", "keepers.tests.cli.paused", point, str(number))
        with subprocess.Popen(run, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
            assert child.stdout is not None
            hung = threading.Timer(300, child.kill)
            hung.start()
            said = child.stdout.readline()
            child.send_signal(signal.SIGKILL)
            hung.cancel()
        assert said, "it came to its end before it could be killed"
        assert child.returncode == -signal.SIGKILL
        return json.loads(said)

    def sorted(self) -> dict[str, bytes]:
        """What lies in the sorted folder, by its name without the folder; whole, or the test fails."""
        found = {path.name: path.read_bytes() for path in (self.home / "sorted").rglob("*.*") if is_ours(path)}
        for name, content in found.items():
            assert content == self.before[name], "a file is whole or not there"
        return found

    def finish(self) -> None:
        """Lets it come to its end, and takes it back."""
        done = subprocess.run(self.scan("-m", "keepers"), env=ENVIRONMENT, capture_output=True, text=True, timeout=600)
        assert done.returncode in (0, 3), done.stderr
        folders = {"accept": "accepted", "review": "review", "reject": "rejected"}
        for name, verdict in self.uninterrupted.items():
            if name in self.staying:
                continue
            place = self.home / "sorted" / next(folders[each] for each in folders if verdict.startswith(each)) / name
            assert place.read_bytes() == self.before[name]
            assert place.with_suffix(".txt").exists() == (Path(name).with_suffix(".txt").name in self.before)
        moved = {name: content for name, content in self.before.items() if name not in self.staying}
        assert self.sorted() == moved, "each of them once"
        undo = [sys.executable, "-m", "keepers", "undo", str(self.home / "sorted"), "--all"]
        undone = subprocess.run(undo, env=ENVIRONMENT, capture_output=True, text=True, timeout=600)
        assert undone.returncode == 0, undone.stderr
        assert self.sorted() == {}
        assert tree(self.pictures) == self.before
        assert verdicts(self.pictures, self.home / "killed.db") == self.uninterrupted


def is_ours(path: Path) -> bool:
    return path.is_file() and not path.name.startswith((".keepers-", "keepers-sort-"))


def tree(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if is_ours(path)}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_killed_at_every_kind_of_point_loses_and_doubles_nothing(pictures: Path, tmp_path: Path) -> None:
    scan = Killed(tmp_path, pictures, "copy")
    there = 0
    # The first commit is that of the empty store; from then on every run begins where the one before was killed.
    points = ("storing", 1), ("storing", 1), ("stored", 2), ("begun", 9), ("half", 30), ("taken", 13), ("done", 40)
    for point, number in points:
        passed = scan.kill(point, number)
        assert passed[point] == number
        now = len(scan.sorted())
        assert there <= now < len(scan.before)
        assert now > there or point in ("storing", "stored"), "it was killed while it sorted"
        there = now
    scan.finish()


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("mode", ["copy", "move"])
def test_a_hundred_kills_over_two_thousand_files(mode: str, tmp_path: Path) -> None:
    """Two hundred in all, each at a random point. `make soak` runs it and prints what was hit."""
    many = random.Random(mode)
    pictures = make_pictures(tmp_path / "pictures", 2000, 64)
    scan = Killed(tmp_path, pictures, mode)
    hit: Counter[str] = Counter()
    progress: list[int] = []
    for _ in range(100):
        point = many.choice(POINTS)
        scan.kill(point, many.randint(1, 2 if point.startswith("stor") else 40))
        hit[point] += 1
        progress.append(len(scan.sorted()))
        assert progress[-1] < len(scan.before), "it came to its end before the last kill"
    assert progress == sorted(progress)
    assert progress[-1] > len(scan.before) / 4
    scan.finish()
    print(f"\n{mode}: {sum(hit.values())} kills at {dict(hit)}; files in place after each tenth: {progress[9::10]}")


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
