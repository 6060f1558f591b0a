"""Starts a real WebUI for the tests that need one, and talks to it over its API."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[2]
NEEDED = ("WEBUI_DIR", "WEBUI_PYTHON")
SIZE = 128
GOOD, BLACK = "good", "black"


class Refused(Exception):
    """The server answered with an error; `status` and `told` are its own."""

    def __init__(self, status: int, told: str) -> None:
        self.status, self.told = status, told
        super().__init__(f"{status}: {told[:1000]}")


@dataclass
class Made:
    """The answer to a generation."""

    images: list[Image.Image]
    info: dict[str, Any]

    @property
    def infotexts(self) -> list[str]:
        """Of the images without the grid."""
        return self.info["infotexts"][self.info["index_of_first_image"] :]

    @property
    def summary(self) -> str:
        """What Keepers says of the job."""
        return self.info["extra_generation_params"]["Keepers summary"]

    @property
    def verdicts(self) -> list[str]:
        """Of all images of the job, also of those that left it."""
        return [one["verdict"] for one in self.info["extra_generation_params"]["Keepers images"]]


@dataclass
class WebUI:
    """A running server with a data folder of its own."""

    data: Path
    port: int
    arguments: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    environment: dict[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def start(cls, data: Path, *arguments: str, keepers: bool = True) -> WebUI:
        """Start the WebUI of WEBUI_DIR with WEBUI_PYTHON, with Keepers linked in, and wait for it."""
        links = {"extensions/zz_fixtures/scripts/webui_fixtures.py": ROOT / "tests/hosts/webui_fixtures.py"}
        links = links | {"extensions/keepers": ROOT} if keepers else {}
        if checkpoint := os.environ.get("WEBUI_CHECKPOINT"):
            links["models/Stable-diffusion/checkpoint.safetensors"] = Path(checkpoint)
        for name, target in links.items():
            (data / name).parent.mkdir(parents=True, exist_ok=True)
            if not (data / name).exists():
                (data / name).symlink_to(target)
        self = cls(data, _free_port(), arguments)
        (data / "fixtures").mkdir(parents=True, exist_ok=True)
        self.launch()
        return self

    def launch(self) -> None:
        """Start the process and wait until it answers."""
        folder = os.environ["WEBUI_DIR"]
        options = [
            *("--skip-prepare-environment", "--skip-install", "--skip-torch-cuda-test", "--skip-version-check"),
            *("--always-cpu", "--all-in-fp32", "--api", "--skip-load-model-at-start", "--no-download-sd-model"),
            *("--no-hashing", "--server-name", "127.0.0.1", "--port", str(self.port), "--data-dir", str(self.data)),
            *("--gradio-allowed-path", folder, *self.arguments),
        ]
        offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "GRADIO_ANALYTICS_ENABLED": "False"}
        environment = os.environ | offline | {"KEEPERS_FIXTURES": str(self.data / "fixtures")} | self.environment
        environment.pop("KEEPERS_MODELS", None)
        begun = time.monotonic()
        with (self.data / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [os.environ["WEBUI_PYTHON"], "launch.py", *options],
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        while time.monotonic() < begun + 400 and self.process.poll() is None:
            if self._answers():
                self.started = time.monotonic() - begun
                return
            time.sleep(0.5)
        self.stop()
        raise AssertionError(f"The WebUI did not start:\n{self.log()[-4000:]}")

    def _answers(self) -> bool:
        """The host's own routes are there before extensions have added theirs."""
        try:
            self.get("/keepers/v1/models" if (self.data / "extensions" / "keepers").exists() else "/sdapi/v1/options")
        except Refused as refused:
            return refused.status == 401
        except OSError:
            return False
        return True

    def stop(self) -> None:
        """End the server and what it started."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()

    def log(self) -> str:
        """What the server wrote."""
        return (self.data / "server.log").read_text(errors="replace")

    def get(self, path: str) -> Any:
        """A JSON answer. Raises Refused."""
        return self._ask(urllib.request.Request(f"http://127.0.0.1:{self.port}{path}"))

    def post(self, path: str, data: Any, headers: dict[str, str] | None = None) -> Any:
        """The JSON answer to JSON, or to bytes as they are. Raises Refused."""
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        kind = {"Content-Type": "application/json", **(headers or {})}
        return self._ask(urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, kind))

    def _ask(self, request: urllib.request.Request) -> Any:
        try:
            with urllib.request.urlopen(request, timeout=600) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise Refused(error.code, error.read().decode(errors="replace")) from None

    def paint(self, first: int, *kinds: str) -> None:
        """Say what the seeds from `first` on show: "good", "black", or "again" for the picture of `first`."""
        for place, kind in enumerate(kinds):
            seed = first + place
            picture = black() if kind == BLACK else good(first if kind == "again" else seed)
            picture.save(self.data / "fixtures" / f"{seed}.png")

    def generate(self, keepers: dict[str, Any] | None = None, route: str = "txt2img", **asked: Any) -> Made:
        """One job; `keepers` are the options, None leaves Keepers off."""
        job = {"prompt": "a fox", "steps": 1, "cfg_scale": 1, "width": SIZE, "height": SIZE, "sampler_name": "Euler"}
        job |= {"save_images": True, **asked}
        if keepers is not None:
            job["alwayson_scripts"] = {"Keepers": {"args": [True, keepers]}}
        answer = self.post(f"/sdapi/v1/{route}", job)
        return Made([opened(one) for one in answer["images"]], json.loads(answer["info"]))

    @property
    def outputs(self) -> Path:
        """Where the host saves."""
        return next(
            (path for name in ("outputs", "output") if (path := self.data / name).is_dir()), self.data / "output"
        )

    def files(self, kind: str = "txt2img-images") -> dict[str, Path]:
        """The saved files without date folder and number: "rejected/1001.png"."""
        found: dict[str, Path] = {}
        for path in sorted((self.outputs / kind).rglob("*.*")):
            folders = [part for part in path.relative_to(self.outputs / kind).parts[:-1] if part[:2] != "20"]
            found["/".join([*folders, path.name.partition("-")[2]])] = path
        return found

    def forget_files(self) -> None:
        """Remove what earlier jobs saved."""
        for path in self.outputs.rglob("*.*") if self.outputs.is_dir() else ():
            path.unlink()

    def resident(self) -> int:
        """Bytes of memory that the server holds, without what it has mapped from files."""
        assert self.process is not None
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line.split()[1] for line in text.splitlines() if line.startswith("RssAnon"))) * 1024


def good(seed: int) -> Image.Image:
    """An ordinary picture, another one for each seed."""
    spec = importlib.util.spec_from_file_location("pictures", ROOT / "examples" / "pictures.py")
    assert spec is not None and spec.loader is not None
    pictures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pictures)
    kinds = (pictures.mountains, pictures.spheres, pictures.sea, pictures.bokeh, pictures.night)
    return kinds[seed % len(kinds)]((256, 256), seed=seed).convert("RGB")


def black() -> Image.Image:
    """A failed generation."""
    return Image.fromarray(np.full((SIZE, SIZE, 3), 3, np.uint8))


def encoded(picture: Image.Image) -> str:
    """As requests carry pictures."""
    file = io.BytesIO()
    picture.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def opened(text: str) -> Image.Image:
    """The reverse."""
    return Image.open(io.BytesIO(base64.b64decode(text.partition(",")[2] if text.startswith("data:") else text)))


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
