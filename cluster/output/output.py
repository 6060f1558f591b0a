"""The folder that a scan on a cluster fills: its settings and its files, here or at an address."""

# pyright: reportUnknownParameterType=false
# pyarrow has no type stubs.
from __future__ import annotations

import hashlib
import io
import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from ...core.errors import KeepersError
from ...core.files import atomic_write, is_temporary
from ...core.prediction import Labels, Range
from ..sources.storage import Storage
from ..sources.trouble import Patience, StorageTrouble, kind_of
from .our_parquet import read_ours
from .predictions import unsound
from .schema import COLUMNS, FORMAT, MANIFEST_COLUMNS, ImageRow, ModelColumn, file_schema, from_table

T = TypeVar("T")

SETTINGS, SUMMARY = "keepers.json", "summary.json"
IMAGES, MANIFEST, DAMAGED = "images", "manifest", "damaged"
CHUNK = 2048
"""Rows read at a time."""


class OutputError(KeepersError):
    """A folder of results that cannot be read or written, or that holds results of another scan."""

    code = "output"


class DamagedPart(OutputError):
    """A file that was cut off, or that is not Parquet."""

    code = "damaged_part"


@dataclass(frozen=True)
class OutputSettings:
    """What all rows of an output have in common. Rows with other settings are never mixed in."""

    gate: str
    """In its canonical form."""
    exact: bool
    """Whether all numbers were computed at the precision `exact`."""
    everything: bool = False
    """Whether every model was asked about every image."""
    models: tuple[ModelColumn, ...] = ()
    """The gate's models first, in its order, then the taggers for captions."""
    captions: str = ""
    """Identifies the caption recipe; empty where no captions are written."""

    def differences(self, other: OutputSettings) -> list[str]:
        """How the other settings differ, one line each."""
        lines: list[str] = []
        if self.gate != other.gate:
            lines.append(f"the gate there is\n{self.gate}")
        if (self.exact, self.everything) != (other.exact, other.everything):
            lines.append(f"there: {_mode(self)}; here: {_mode(other)}")
        if self.captions != other.captions:
            lines.append("the captions are written by another recipe")
        mine, others = ({one.model: one for one in each.models} for each in (self, other))
        for model in {**mine, **others}:
            here, there = others.get(model), mine.get(model)
            if here is None or there is None:
                lines.append(f"{model} is asked {'there' if there else 'here'} only")
            elif here.fingerprint != there.fingerprint:
                lines.append(f"{model} has other files: fingerprint {there.fingerprint} there, {here.fingerprint} here")
            elif here != there:
                lines.append(f"the tags of {model} are kept from {there.floor} on there, from {here.floor} on here")
        return lines

    def states(self, other: OutputSettings) -> bool:
        """Whether both state the same drifts; earlier versions stated none."""
        return [one.labels.drifts for one in self.models] == [one.labels.drifts for one in other.models]

    def column(self, model: str) -> ModelColumn | None:
        """How a model's predictions are stored; None if it was not asked."""
        return next((one for one in self.models if one.model == model), None)

    def facts(self) -> dict[str, Any]:
        """As JSON values."""
        models = [_model_facts(one) for one in self.models]
        common = {"gate": self.gate, "exact": self.exact, "everything": self.everything, "captions": self.captions}
        return {"format": FORMAT, **common, "models": models}

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> OutputSettings:
        """From JSON values. Raises KeyError, TypeError, ValueError, OverflowError if they do not fit."""
        models = tuple(_model_of(one) for one in found["models"])
        names = [*COLUMNS.names, *(one.model for one in models)]
        if len(set(names)) < len(names):
            raise ValueError("two models, or a model and a column, have the same name")
        common = str(found["gate"]), bool(found["exact"]), bool(found["everything"])
        return cls(*common, models, str(found["captions"]))


@dataclass(frozen=True)
class Output:
    """An output folder, local or at an address. Nothing is created before something is written."""

    where: str
    files: fs.FileSystem = field(compare=False)
    root: str
    """The folder as `files` names it."""

    @classmethod
    def at(cls, where: str) -> Output:
        """The folder at a path or an address (s3://, gs://, or any that Arrow or fsspec knows). Raises SourceError."""
        if "://" not in where:
            return cls(where, fs.LocalFileSystem(), str(Path(where).absolute()))
        place = Storage().place(where)
        return cls(where, place.files, place.path)

    def _ask(self, act: Callable[[], T], what: str) -> T:
        """What `act` returns; requests to remote storage are retried. Raises OutputError."""
        try:
            return act() if self.local else Patience().ask(act)
        except StorageTrouble as trouble:
            raise OutputError(f"{self.where} {what}: {trouble.detail}.") from trouble
        except (pa.ArrowException, OSError) as error:
            raise OutputError(f"{self.where} {what} ({_say(error)}).") from error

    @property
    def local(self) -> bool:
        """Whether it is on this machine."""
        return isinstance(self.files, fs.LocalFileSystem)

    def path(self, *names: str) -> str:
        """A path below the folder, for `files`."""
        return "/".join((self.root.rstrip("/"), *names))

    @cached_property
    def settings(self) -> OutputSettings | None:
        """The settings stored in the folder; None if nothing has been written yet. Raises OutputError."""
        raw = self.read(SETTINGS)
        if raw is None:
            return None
        try:
            found = json.loads(raw)
            if found["format"] != FORMAT:
                raise OutputError(f"{self.where} was written by another version of Keepers (its format {FORMAT} here).")
            return OutputSettings.of(found)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise OutputError(f"{self.where}/{SETTINGS} is damaged ({_say(error)}). Name another folder.") from error

    @property
    def finished(self) -> bool:
        """Whether the last scan into it finished: near-duplicates and what depends on them are then settled."""
        return self.read(SUMMARY) is not None

    def settle(self, settings: OutputSettings) -> None:
        """Writes the settings. Raises WriteFailed, OutputError."""
        self.write(json.dumps(settings.facts(), ensure_ascii=False).encode(), SETTINGS)
        vars(self).pop("settings", None)  # read again when next asked for

    def require_settings(self) -> OutputSettings:
        """As `settings`. Also raises OutputError if there are none."""
        found = self.settings
        if found is None:
            raise OutputError(f"{self.where} holds no results of a scan: {SETTINGS} is not there.")
        return found

    def read(self, *names: str) -> bytes | None:
        """A small file, whole; None if it does not exist. Raises OutputError."""
        return self._ask(lambda: self._read(self.path(*names)), f"cannot be read at {'/'.join(names)}")

    def _read(self, path: str) -> bytes | None:
        if self.local and self.files.get_file_info(path).type == fs.FileType.Unknown:
            raise OSError("this is not a regular file")  # opening a pipe would block
        try:
            with self.files.open_input_stream(path) as stream:
                return stream.read()
        except FileNotFoundError:
            return None

    def write(self, data: bytes | memoryview, *names: str) -> None:
        """Writes a file, whole or not at all. Raises WriteFailed, OutputError."""
        path = self.path(*names)
        if self.local:
            atomic_write(Path(path), bytes(data))
        else:
            self._ask(lambda: self._write_remote(path, data), f"cannot be written at {'/'.join(names)}")

    def _write_remote(self, path: str, data: bytes | memoryview) -> None:
        """Object stores show only complete objects; other file systems get a temporary file that is then renamed."""
        whole = self.files.type_name in ("s3", "gcs", "abfs")
        target = path if whole else f"{path.rpartition('/')[0]}/.keepers-{secrets.token_hex(8)}.tmp"
        if not whole:
            self.files.create_dir(path.rpartition("/")[0], recursive=True)
        with self.files.open_output_stream(target) as stream:
            stream.write(data)
        if not whole:
            self.files.move(target, path)

    def write_table(self, found: pa.Table, *names: str) -> int:
        """Writes a Parquet file, whole or not at all; returns its size in bytes. Raises WriteFailed, OutputError."""
        buffer = io.BytesIO()
        pq.write_table(found, buffer, compression="zstd", row_group_size=CHUNK)
        self.write(buffer.getbuffer(), *names)
        return buffer.tell()

    def set_aside(self, name: str) -> None:
        """Moves a damaged file of the images into a folder beside them. Raises OutputError."""
        self._ask(lambda: self._set_aside(name), f"has a damaged file that cannot be moved away, {IMAGES}/{name}")

    def _set_aside(self, name: str) -> None:
        self.files.create_dir(self.path(DAMAGED))
        self.files.move(self.path(IMAGES, name), self.path(DAMAGED, name))

    def remove(self, *names: str) -> None:
        """Deletes a file, which may already be gone. Raises OutputError."""
        self._ask(lambda: self._remove(self.path(*names)), f"does not let {'/'.join(names)} be deleted")

    def _remove(self, path: str) -> None:
        with suppress(FileNotFoundError):
            self.files.delete_file(path)

    def write_rows(self, found: pa.Table) -> str:
        """Writes rows as a file; returns its name, which follows from the inputs: the same rows replace each other."""
        digest = hashlib.blake2b(b"".join(sorted(found["key"].to_pylist())), digest_size=10).hexdigest()
        name = f"part-{digest}.parquet"
        self.write_table(found, IMAGES, name)
        return name

    def parts(self, folder: str = IMAGES) -> list[str]:
        """The names of the files in one of the folders, in order. Raises OutputError."""
        wanted = fs.FileSelector(self.path(folder), allow_not_found=True)
        found = self._ask(lambda: self.files.get_file_info(wanted), f"cannot be listed at {folder}")
        names = (one.base_name for one in found if one.type == fs.FileType.File)
        return sorted(name for name in names if name.endswith(".parquet") and not is_temporary(name))

    def part(self, name: str, columns: Sequence[str] | None = None, folder: str = IMAGES) -> pa.Table:
        """The rows of one file. Raises DamagedPart for one that is incomplete or not Parquet, OutputError."""
        return self._ask(lambda: self._part(name, columns, folder), f"cannot be read at {folder}/{name}")

    def _part(self, name: str, columns: Sequence[str] | None, folder: str) -> pa.Table:
        with self.files.open_input_file(self.path(folder, name)) as file:
            try:
                return self._ours(file, columns, folder)
            except (pa.ArrowInvalid, OSError, KeyError) as error:
                if kind_of(error) != "other":
                    raise
                raise DamagedPart(
                    f"{self.where}/{folder}/{name} was cut off, or is not ours ({_say(error)}). Scan again: it is then "
                    "set aside, and its images are scanned anew."
                ) from error

    def _ours(self, file: Any, columns: Sequence[str] | None, folder: str) -> pa.Table:
        if folder == MANIFEST:
            return read_ours(file, columns, MANIFEST_COLUMNS)
        models = self.settings.models if self.settings else ()
        found = read_ours(file, columns, COLUMNS, file_schema(models))
        for one in models:
            if one.model in found.column_names and (flaw := unsound(found[one.model], one)):
                raise pa.ArrowInvalid(f"its column {one.model} {flaw}")
        return found

    def image_rows(self, columns: Sequence[str] | None = None) -> Iterator[ImageRow]:
        """All images, file by file, in bounded memory; `columns` limits what is read. Raises OutputError."""
        settings = self.require_settings()
        known = set(file_schema(settings.models).names)
        wanted = None if columns is None else [name for name in columns if name in known]
        for name in self.parts():
            found = self.part(name, wanted)
            for start in range(0, len(found), CHUNK):
                yield from from_table(found.slice(start, CHUNK), settings.models)


def _mode(settings: OutputSettings) -> str:
    asked = "every model was asked" if settings.everything else "only the models that could decide were asked"
    return f"{'exact' if settings.exact else 'fast'}, {asked}"


def _model_facts(one: ModelColumn) -> dict[str, Any]:
    ranges = [[_number(found.low), _number(found.high), found.unit] for found in one.labels.ranges]
    labels = {"names": list(one.labels.names), "groups": list(one.labels.groups), "ranges": ranges}
    labels["drifts"] = list(map(list, one.labels.drifts))
    facts = {"model": one.model, "fingerprint": one.fingerprint, "labels": labels}
    return {**facts, "floor": one.floor, "kept": list(one.kept)}


def _model_of(found: Mapping[str, Any]) -> ModelColumn:
    labels = found["labels"]
    ranges = tuple(Range(float(low), float(high), _word(unit)) for low, high, unit in labels["ranges"])
    floor = None if found["floor"] is None else float(found["floor"])
    names, groups, kept = (tuple(map(_word, one)) for one in (labels["names"], labels["groups"], found["kept"]))
    if len(set(names)) < len(names) or {len(groups), len(ranges)} - {0, len(names)} or set(kept) - set(names):
        raise ValueError("its labels are inconsistent")
    drifts = tuple((_word(group), float(drift)) for group, drift in labels.get("drifts", ()))
    stated = Labels(names, groups, ranges, drifts)
    return ModelColumn(_word(found["model"]), _word(found["fingerprint"]), stated, floor, kept)


def _word(found: Any) -> str:
    """Raises TypeError, and ValueError for text that cannot be encoded."""
    if not isinstance(found, str):
        raise TypeError(f"{found!r} is not text")
    found.encode()
    return found


def _number(value: float) -> float | str:
    """JSON has no infinity; float() reads the word again."""
    return value if abs(value) < float("inf") else str(value)


def _say(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".replace("\n", " ")[:300]
