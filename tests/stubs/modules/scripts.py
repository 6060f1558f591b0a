"""A stub of modules.scripts: the base class, the loader's rules, and the runner that swallows what a hook raises."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections import namedtuple
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from modules import errors, script_callbacks, scripts_postprocessing

AlwaysVisible = object()
ScriptClassData = namedtuple("ScriptClassData", ["script_class", "path", "basedir", "module"])
scripts_data: list[Any] = []
postprocessing_scripts_data: list[Any] = []


@dataclass
class PostprocessImageArgs:
    """One picture in a hook."""

    image: Any
    index: int = 0


@dataclass
class PostprocessBatchListArgs:
    """The pictures of a batch in a hook, as [C, H, W] tensors in [0, 1]."""

    images: list[Any]


class Script:
    """The host's base class; the hooks do nothing."""

    args_from = 0
    args_to = 0
    alwayson = False
    is_img2img = False
    infotext_fields: Any = None
    paste_field_names: Any = None

    def title(self) -> str:
        """The name."""
        raise NotImplementedError

    def show(self, is_img2img: bool) -> Any:
        """Whether and where it is seen."""
        return True

    def ui(self, is_img2img: bool) -> list[Any] | None:
        """Make the fields."""

    def elem_id(self, item: str) -> str:
        """As the host's."""
        tab = "img2img" if self.is_img2img else "txt2img"
        return f"script_{tab}_{self.title().lower()}_{item}"

    def before_process(self, p: Any, *args: Any) -> None:
        """Before anything."""

    def process(self, p: Any, *args: Any) -> None:
        """Before the loop."""

    def process_batch(self, p: Any, *args: Any, **kwargs: Any) -> None:
        """Before a batch."""

    def post_sample(self, p: Any, ps: Any, *args: Any) -> None:
        """After sampling."""

    def postprocess_batch_list(self, p: Any, pp: Any, *args: Any, **kwargs: Any) -> None:
        """After a batch."""

    def postprocess_image(self, p: Any, pp: Any, *args: Any) -> None:
        """After face restoration."""

    def postprocess_image_after_composite(self, p: Any, pp: Any, *args: Any) -> None:
        """When nothing will change the picture any more."""

    def postprocess(self, p: Any, processed: Any, *args: Any) -> None:
        """After the loop."""


class Runner:
    """Calls the hooks of all scripts in order, and goes on where one fails."""

    def __init__(self, *scripts: Script) -> None:
        self.alwayson_scripts = list(scripts)
        self.selectable_scripts: list[Script] = []

    def __getattr__(self, hook: str) -> Any:
        def run(p: Any, *arguments: Any, **named: Any) -> None:
            for script in self.alwayson_scripts:
                own = tuple(p.script_args)[script.args_from : script.args_to]
                try:
                    getattr(script, hook)(p, *arguments, *own, **named)
                except Exception as error:
                    errors.report(f"{hook}: {error!r}")

        return run


def load_module(path: Path) -> ModuleType:
    """As the host's script_loading: a loose module named as its file, never put into sys.modules."""
    spec = importlib.util.spec_from_file_location(path.name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_scripts(root: Path, *, stays_on_path: bool) -> None:
    """What a start and "Reload UI" do for one extension: callbacks are forgotten, its scripts run, its classes found.

    Forge, reForge and Forge Classic leave the extension's folder at the front of sys.path; A1111 takes it out again.
    """
    scripts_data.clear()
    postprocessing_scripts_data.clear()
    script_callbacks.clear_callbacks()
    before = list(sys.path)
    sys.path.insert(0, str(root))
    for path in sorted((root / "scripts").glob("*.py")):
        module = load_module(path)
        for found in list(module.__dict__.values()):
            if not inspect.isclass(found):
                continue
            if issubclass(found, Script):
                scripts_data.append(ScriptClassData(found, str(path), str(root), module))
            elif issubclass(found, scripts_postprocessing.ScriptPostprocessing):
                postprocessing_scripts_data.append(ScriptClassData(found, str(path), str(root), module))
    if not stays_on_path:
        sys.path[:] = before
