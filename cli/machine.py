"""What every command that runs models needs: the weights of this machine, and a judge over them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from ..core.errors import KeepersError
from ..core.judging.judge import Judge
from ..core.runtime import Runtime
from ..core.weights.store import WeightStore, default_folders
from ..models.registry import REGISTRY
from .console import console

Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps …")]
Precision = Annotated[
    Literal["auto", "exact", "fast"],
    typer.Option(help="exact: float32, the original's numbers. fast: bfloat16 where it helps; no verdict changes."),
]
Batch = Annotated[int, typer.Option(min=1, max=512, help="Images that go through a net at once.")]
Models = Annotated[
    list[Path] | None, typer.Option("--models", help="Folder with model files, before KEEPERS_MODELS; repeatable.")
]
Weights = Annotated[
    list[str] | None,
    typer.Option("--weights", help="NAME=PATH: use this file for the published file NAME; repeatable."),
]
Download = Annotated[bool, typer.Option("--download", help="Get missing model files now (else: keepers fetch MODEL).")]


@dataclass(frozen=True)
class Machine:
    """The options that say where models are and how they run."""

    device: str = "auto"
    precision: Literal["auto", "exact", "fast"] = "auto"
    batch: int = 8
    models: Sequence[Path] = ()
    weights: Mapping[str, Path] = field(default_factory=dict[str, Path])
    download: bool = False

    def store(self) -> WeightStore:
        """The weight files of this machine, with downloads shown where they are allowed."""
        folders = [*self.models, *default_folders()]
        return WeightStore(folders, explicit=self.weights, download=self.download, progress=DownloadBar())

    def judge(self) -> Judge:
        """A judge over all registered models."""
        check_device(self.device)
        runtime = Runtime(device=self.device, precision=self.precision)
        return Judge(REGISTRY, self.store(), runtime, batch=self.batch, threads=max(2, os.cpu_count() or 1))


def named_paths(pairs: Sequence[str] | None) -> dict[str, Path]:
    """NAME=PATH options as a mapping. Raises KeepersError."""
    found: dict[str, Path] = {}
    for pair in pairs or ():
        name, equals, path = pair.partition("=")
        if not equals or not name or not path:
            raise KeepersError(f"--weights takes NAME=PATH, not {pair!r}.")
        found[name] = Path(path)
    return found


def check_device(device: str) -> None:
    """Refuse a device that torch does not know or that is not here. Raises KeepersError."""
    if device in ("auto", "cpu"):
        return
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise KeepersError(f"The device {device!r} cannot be used: {reason}") from error


@dataclass
class DownloadBar:
    """A progress bar that appears with the first byte of a download and goes with the last."""

    _bar: Progress | None = None

    def __call__(self, done: int, total: int, what: str) -> None:
        if self._bar is None:
            columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
            self._bar = Progress(*columns, TimeRemainingColumn(), console=console, transient=True)
            self._bar.start()
            self._bar.add_task(what, total=total or None)
        self._bar.update(self._bar.task_ids[-1], completed=done, total=total or None, description=what)
        if total and done >= total:
            self._bar.stop()
            self._bar = None
