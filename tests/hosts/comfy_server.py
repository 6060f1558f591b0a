"""Starts a real ComfyUI for the tests that need one, and talks to it over its API."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
Graph = dict[str, dict[str, Any]]


class Refused(Exception):
    """The server did not take a prompt; `told` is its answer."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told
        super().__init__(json.dumps(told)[:2000])


@dataclass
class Ran:
    """What became of a prompt."""

    status: str
    """"success", "error" or "interrupted"."""
    outputs: dict[str, dict[str, Any]]
    messages: list[Any]

    def seen(self, node: str) -> Any:
        """What a ProbeSee node told; None where it was skipped."""
        told = self.outputs.get(node, {}).get("seen")
        return json.loads(told[0]) if told else None

    @property
    def error(self) -> str:
        """The message of the error that ended the prompt."""
        found = [data for kind, data in self.messages if kind == "execution_error"]
        return found[0]["exception_message"] if found else ""


@dataclass
class Comfy:
    """A running server with a base folder of its own."""

    base: Path
    port: int
    arguments: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def start(cls, base: Path, *arguments: str) -> Comfy:
        """Start the ComfyUI that COMFYUI_DIR and COMFYUI_PYTHON name, with the pack linked in, and wait for it."""
        nodes = base / "custom_nodes"
        nodes.mkdir(parents=True, exist_ok=True)
        for name, target in (("comfyui-keepers", ROOT), ("probe.py", ROOT / "tests" / "hosts" / "comfy_probe.py")):
            if not (nodes / name).exists():
                (nodes / name).symlink_to(target)
        self = cls(base, _free_port(), list(arguments))
        self.launch()
        return self

    def launch(self) -> None:
        """Start the process and wait until it answers."""
        python, folder = os.environ["COMFYUI_PYTHON"], os.environ["COMFYUI_DIR"]
        where = ["--listen", "127.0.0.1", "--port", str(self.port), "--base-directory", str(self.base)]
        quiet = ["--disable-auto-launch", "--disable-api-nodes", "--database-url", "sqlite:///:memory:"]
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "HOME": str(self.base)}
        environment.pop("KEEPERS_MODELS", None)
        with (self.base / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [python, "main.py", "--cpu", *where, *quiet, *self.arguments],
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        until = time.monotonic() + 300
        while time.monotonic() < until:
            if self.process.poll() is not None:
                break
            try:
                self.get("/system_stats")
                return
            except OSError:
                time.sleep(0.5)
        raise AssertionError(f"ComfyUI did not start:\n{self.log()[-4000:]}")

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
        return (self.base / "server.log").read_text(errors="replace")

    @property
    def output(self) -> Path:
        """Where images are saved."""
        return self.base / "output"

    def empty_output(self) -> None:
        """Remove what earlier tests saved."""
        shutil.rmtree(self.output, ignore_errors=True)
        self.output.mkdir()

    def get(self, path: str) -> Any:
        """A JSON answer."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
            data = answer.read()
            return json.loads(data) if "json" in answer.headers.get("Content-Type", "") else data

    def post(self, path: str, data: Any) -> Any:
        """The JSON answer to JSON. Raises Refused with what the server says against it."""
        body = json.dumps(data).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", body, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise Refused(json.loads(error.read() or b"{}")) from error
        return json.loads(text) if text else None

    def queue(self, graph: Graph, extra: dict[str, Any] | None = None) -> str:
        """Put a prompt into the queue."""
        data = {"prompt": graph, "client_id": uuid.uuid4().hex, "extra_data": extra or {}}
        return self.post("/prompt", data)["prompt_id"]

    def wait(self, prompt: str, seconds: float = 300) -> Ran:
        """What became of a queued prompt."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            history = self.get(f"/history/{prompt}")
            if prompt in history:
                found = history[prompt]
                messages = found["status"]["messages"]
                stopped = any(kind == "execution_interrupted" for kind, _ in messages)
                status = "interrupted" if stopped else found["status"]["status_str"]
                return Ran(status, found["outputs"], messages)
            assert self.process is None or self.process.poll() is None, self.log()[-4000:]
            time.sleep(0.05)
        raise AssertionError(f"the prompt did not end within {seconds} s:\n{self.log()[-4000:]}")

    def run(self, graph: Graph, extra: dict[str, Any] | None = None, seconds: float = 300) -> Ran:
        """Queue a prompt and wait for it."""
        return self.wait(self.queue(graph, extra), seconds)

    def view(self, saved: dict[str, str]) -> bytes:
        """The bytes of a saved image, as a browser gets them."""
        return self.get("/view?" + urllib.parse.urlencode(saved))


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    """One node of a graph in API form."""
    return {"class_type": kind, "inputs": inputs}


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
