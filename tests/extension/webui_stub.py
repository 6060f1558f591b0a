"""Loads the extension into the stub of the WebUI as the host loads it, and runs jobs in it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from keepers.core.metadata.infotext import parse_infotext
from keepers.tests.tiny import Work, plain, register

ROOT = Path(__file__).parents[2]
STUBS = Path(__file__).parents[1] / "stubs"
GATE = "review: 0.4 <= cheap.good < 0.6; accept: cheap.good >= 0.6"
GOOD, DOUBTFUL, BAD = (240, 230, 220), (128, 128, 128), (20, 10, 5)


def _loaded(prefixes: Sequence[str]) -> list[str]:
    return [name for name in sys.modules if any(name == p or name.startswith(f"{p}.") for p in prefixes)]


@contextmanager
def stubbed(*, stays_on_path: bool = True) -> Iterator[None]:
    """The stub's modules in place of the host's, and nothing of them afterwards."""
    path, modules = list(sys.path), _loaded(("modules", "gradio", "keepers.extension"))
    kept = {name: sys.modules.pop(name) for name in modules}
    sys.path.insert(0, str(STUBS))
    try:
        from modules import scripts

        scripts.load_scripts(ROOT, stays_on_path=stays_on_path)
        yield
    finally:
        for name in _loaded(("modules", "gradio", "keepers.extension")):
            del sys.modules[name]
        sys.modules.update(kept)
        sys.path[:] = path


@dataclass
class Host:
    """The stub with Keepers loaded into it."""

    folder: Path
    work: Work = field(default_factory=Work)
    colours: dict[int, tuple[int, int, int]] = field(default_factory=dict[int, tuple[int, int, int]])
    """By seed; a seed that is not named is good."""
    others: list[Any] = field(default_factory=list[Any])
    """Other extensions' scripts, in the order in which the host calls them before ours."""

    def __post_init__(self) -> None:
        from modules import scripts, scripts_postprocessing, shared

        self.shared, self.scripts = shared, scripts
        self.postprocessing = scripts_postprocessing
        self.script = scripts.scripts_data[0].script_class()
        self.script.args_from, self.script.args_to = 1, 40
        from modules import script_callbacks

        script_callbacks.call("ui_settings")

    def paint(self, seed: int) -> Image.Image:
        return plain(*self.colours.get(seed, GOOD), size=32)

    def job(self, *seeds: tuple[int, int, int], batch: int = 1, **choices: Any) -> Any:
        """A processing object for one image a colour, from seed 100 on."""
        from modules import processing

        self.colours |= {100 + k: colour for k, colour in enumerate(seeds)}
        runner = self.scripts.Runner(*self.others, self.script)
        given = (True, {"gate": GATE, **choices})
        p = processing.Processing(runner, given, self.paint, str(self.folder / "out"))
        p.batch_size, p.n_iter = batch, max(1, len(seeds) // batch)
        return p

    def run(self, p: Any) -> Any:
        from modules import processing

        return processing.process_images(p)

    def files(self, below: str = "") -> list[str]:
        """The files of a folder of the output, with their folders, in order."""
        folder = self.folder / "out" / below
        return sorted(str(path.relative_to(folder)).replace("\\", "/") for path in folder.rglob("*") if path.is_file())

    @property
    def samples(self) -> list[str]:
        """The sample files without their date folder."""
        return [name.replace("2026-01-31/", "") for name in self.files("samples")]

    def read(self, name: str) -> Mapping[str, str]:
        """The texts in a sample file."""
        [path] = list((self.folder / "out").rglob(name))
        with Image.open(path) as picture:
            return {str(key): str(value) for key, value in picture.info.items()}


def settings_of(infotext: str) -> Mapping[str, str]:
    """The keys of an infotext."""
    parsed = parse_infotext(infotext + ", AA: 1, BB: 2")  # an infotext has at least three
    assert parsed is not None
    return parsed.settings


def with_tiny_models(work: Work, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The two tiny models and a tagger in the registry, and their files where the WebUI looks for models."""
    from modules import paths

    paths.models_path = str(folder)
    register(work, folder / "keepers", monkeypatch)
