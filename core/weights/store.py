"""Finds weight files in the user's folders and the hub's cache, downloads them when allowed, and opens them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PureWindowsPath
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..errors import CorruptWeights, MissingWeights, OutsideFolder, one_line
from ..places import cache_folder, trained_folder
from ..progress import Check, Progress, go_on, silent
from . import hub
from .checksum import fingerprint, git_sha1, sha256
from .weight_file import WeightFile

if TYPE_CHECKING:
    from .download import Source
    from .formats.tensor_file import TensorFile

FOLDERS = "KEEPERS_MODELS"
"""The variable that names folders with weight files, separated as in PATH. Downloads go to the first."""


def default_folders() -> tuple[Path, ...]:
    """The folders that KEEPERS_MODELS names, then two of the user's own: for downloads, and for trained models."""
    named = [Path(part).expanduser() for part in os.environ.get(FOLDERS, "").split(os.pathsep) if part.strip()]
    return (*named, cache_folder() / "models", trained_folder())


class WeightStore:
    """The weight files of this machine.

    Args:
        folders: searched in order; downloads go to the first. Default: `default_folders()`.
        explicit: paths by the published name of a file; such a file is looked for nowhere else.
        download: whether missing files may be downloaded. HF_HUB_OFFLINE always forbids it.
        progress: called with bytes done, bytes in all (0 when unknown), and what.
        check: called during downloads; may raise to stop. The next download resumes from there.
    """

    def __init__(
        self,
        folders: Sequence[Path] | None = None,
        *,
        explicit: Mapping[str, Path] = MappingProxyType({}),
        download: bool = False,
        progress: Progress = silent,
        check: Check = go_on,
    ) -> None:
        self.folders = tuple(Path(folder) for folder in folders or default_folders())
        self.explicit = {name: Path(path) for name, path in explicit.items()}
        self.download = download
        self._progress = progress
        self._check = check

    def find(self, file: WeightFile) -> Path | None:
        """The file on this machine, or else the first of its alternatives; None if there is none."""
        for each in (file, *file.alternatives):
            if path := self._find(each):
                return path
        return None

    def _find(self, file: WeightFile) -> Path | None:
        if file.name in self.explicit:
            path = self.explicit[file.name]
            return path if path.is_file() else None
        return next(filter(Path.is_file, self._places(file)), None) or hub.cached(file)

    def _places(self, file: WeightFile) -> Iterable[Path]:
        for folder in self.folders:
            yield self._inside(folder, file)
            yield folder / file.name

    def target(self, file: WeightFile) -> Path:
        """Where a download of the file goes, and where a user should put it."""
        return self._inside(self.folders[0], file)

    def _inside(self, folder: Path, file: WeightFile) -> Path:
        # Links are followed, since people keep models on another disk. Names come from descriptions others may write.
        names = PureWindowsPath(file.folder, file.name)  # knows both systems' separators
        plain = len(PureWindowsPath(file.name).parts) == 1 and not names.anchor and ".." not in names.parts
        if not plain:
            raise OutsideFolder(f"{file.folder}/{file.name}", folder)
        return folder / file.folder / file.name

    def path(self, file: WeightFile, *, model: str = "") -> Path:
        """The file on this machine, downloaded if necessary and allowed.

        Raises MissingWeights, which says where to get it and where to put it (and, with `model`, by which command),
        DownloadFailed, and CorruptWeights for a download that is not what was published.
        """
        if path := self.find(file):
            return path
        if file.name in self.explicit or not self.download or hub.offline() or not hub.address(file):
            raise MissingWeights(self._advice(file, model))
        from .download import download  # http and ssl cost a command that only looks for files

        return download(_source(file), self.target(file), progress=self._progress, check=self._check)

    def tensors(self, file: WeightFile, *, model: str = "") -> TensorFile:
        """The tensors of a file by name: memory-mapped, on the CPU, read when used.

        Raises as `path` does, and CorruptWeights or UnsafeWeights for a file that cannot be read.
        """
        from .formats.read import read_tensors  # torch takes seconds to import; finding and fetching do without

        path = self.path(file, model=model)
        try:
            return read_tensors(path)
        except CorruptWeights as error:
            if file.size and path.stat().st_size != file.size and path.name == file.name:
                raise CorruptWeights(f"{error} The published file has {file.size:,} bytes.") from None
            raise

    def metadata(self, file: WeightFile, *, model: str = "") -> Mapping[str, str]:
        """The text metadata of a safetensors file; empty for other kinds. Raises as `tensors` does."""
        return self.tensors(file, model=model).metadata

    def fingerprint(self, path: Path) -> str:
        """Identifies a file's content; see `checksum.fingerprint`."""
        return fingerprint(path)

    def verify(self, file: WeightFile) -> str:
        """Compares the file on this machine with the published one, and returns by what: "sha256", "git", "size" or "".

        Raises CorruptWeights if it differs, MissingWeights if it is not there.
        """
        for each in (file, *file.alternatives):
            if path := self._find(each):
                return verify(path, each)
        raise MissingWeights(self._advice(file, ""))

    def _advice(self, file: WeightFile, model: str) -> str:
        if file.name in self.explicit:
            return f"{one_line(str(self.explicit[file.name]))}, given for {file.name}, does not exist."
        licence = f", licence {file.licence}" if file.licence else ""
        what = f"{file.name} ({_size(file.size)}{licence}) is not on this machine."
        source = hub.address(file) or file.page
        if source.startswith("keepers "):  # made here, and published nowhere
            return f"{what} Make it with: {source}"
        how = f"Get it from {source} and put it into {self.target(file).parent}"
        if not hub.address(file):
            return f"{what} {how}."
        if hub.offline():
            return f"{what} HF_HUB_OFFLINE forbids a download. {how}, or unset it."
        return f"{what} {how}, or run: keepers fetch {model}" if model else f"{what} {how}."


def verify(path: Path, file: WeightFile) -> str:
    """Compares a file with its published checksum, else its published size. See `WeightStore.verify`."""
    for kind, wanted, digest in (("sha256", file.sha256, sha256), ("git", file.git_sha1, git_sha1)):
        if wanted:
            if (found := digest(path)) != wanted:
                raise CorruptWeights(_differs(path, f"its {kind} checksum is {found}, the published one is {wanted}"))
            return kind
    if file.size and (size := path.stat().st_size) != file.size:
        raise CorruptWeights(_differs(path, f"it has {size:,} bytes, the published one has {file.size:,}"))
    return "size" if file.size else ""


def _differs(path: Path, how: str) -> str:
    return f"{one_line(str(path))} is not the published file: {how}. Delete it and get it again."


def _source(file: WeightFile) -> Source:
    from .download import Source

    url = hub.address(file)
    return Source(
        url, file.name, file.size, file.sha256, file.git_sha1, hub.token_for(url), plain=hub.is_hub(url), page=file.page
    )


def _size(size: int) -> str:
    if not size:
        return "size unknown"
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
