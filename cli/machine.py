"""What every command that runs models needs: the weights on this machine and a judge over them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from ..core.errors import KeepersError, MissingWeights
from ..core.settings import MOST_IMAGES, read_settings
from ..core.weights.store import WeightStore, default_folders
from ..models.registry import REGISTRY
from .console import console
from .exit_codes import escaped
from .named import named_paths
from .not_judged import how_to_get
from .options import Fields, Setting, in_panel

if TYPE_CHECKING:
    from rich.progress import Progress

    from ..core.judging.judge import Judge

_option = in_panel("Machine")


@dataclass(frozen=True)
class Machine:
    """The options for where models are and how they run."""

    device: Annotated[str, _option(help="auto, cpu, cuda, cuda:1, mps …"), Setting("device")] = "auto"
    precision: Annotated[
        Literal["auto", "exact", "fast"],
        _option(help="exact: float32, the original's numbers. fast: bfloat16 where it helps; no verdict changes."),
        Setting("precision"),
    ] = "auto"
    batch: Annotated[
        int,
        _option(min=1, max=MOST_IMAGES, help="Images that go through a net at once."),
        Setting("batch"),
    ] = 8
    folders: Annotated[
        list[Path] | None,
        _option("--models", help="Folder with model files, before KEEPERS_MODELS; repeatable."),
    ] = None
    weights: Annotated[
        list[str] | None,
        _option("--weights", help="NAME=PATH: use this file for the published file NAME; repeatable."),
    ] = None
    download: Annotated[
        bool,
        _option("--download", help="Get missing model files now; keepers fetch gets them by name."),
    ] = False

    @cached_property
    def explicit(self) -> Mapping[str, Path]:
        """The paths of --weights, by the published name. Raises KeepersError."""
        return named_paths(self.weights)

    def store(self) -> WeightStore:
        """The weight files on this machine; allowed downloads show their progress. Raises KeepersError."""
        folders = dict.fromkeys((*(self.folders or ()), *read_settings().models, *default_folders()))
        return WeightStore(tuple(folders), explicit=self.explicit, download=self.download, progress=DownloadBar())

    def judge(self) -> Judge:
        """A judge over all registered models. Raises KeepersError."""
        from ..core.judging.judge import Judge
        from ..core.runtime import Runtime

        check_device(self.device)
        runtime = Runtime(device=self.device, precision=self.precision, tell=_tell)
        return Judge(REGISTRY, self.store(), runtime, batch=self.batch, threads=max(2, os.cpu_count() or 1))


AllowMissing = Annotated[
    bool,
    _option("--allow-missing", help="Go on where a model's file is missing: what depends on it goes to review."),
]


def require_models(judge: Judge, models: Iterable[str], *, allow_missing: bool = False) -> None:
    """Stop before the first image where a model's file is missing, or say so and go on. Raises MissingWeights."""
    missing = judge.missing(models)
    if missing and not allow_missing:
        why = "\n".join(map(str, missing.values()))
        raise MissingWeights(f"{why}\n--download gets what is missing now; --allow-missing goes on without it.")
    for model, error in missing.items():
        told = f"[yellow]{escaped(model)} is not here: images that depend on it go to review.[/]"
        console.print(f"{told} {escaped(how_to_get(model, str(error)))}", soft_wrap=True)


ModelFolders = Annotated[Machine, Fields("folders")]
"""For commands that look at model files without running a model."""


def _tell(text: str) -> None:
    console.print(f"[yellow]{escaped(text)}[/]", soft_wrap=True)


def check_device(device: str) -> None:
    """Refuse a device that torch does not know or this machine does not have. Raises KeepersError."""
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
    """A progress bar that appears with the first byte of a download and disappears with the last."""

    _bar: Progress | None = None

    def __call__(self, done: int, total: int, what: str) -> None:
        if self._bar is None:
            self._bar = _bar()
            self._bar.start()
            self._bar.add_task(what, total=total or None)
        self._bar.update(self._bar.task_ids[-1], completed=done, total=total or None, description=what)
        if total and done >= total:
            self._bar.stop()
            self._bar = None


def _bar() -> Progress:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console, transient=True)
