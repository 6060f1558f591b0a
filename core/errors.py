"""All errors that users can meet. Each says what is wrong, with which file, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class KeepersError(Exception):
    """The base of all errors that Keepers raises on purpose. Its text is a clear sentence or two for the user."""

    code = "error"
    """A short word that never changes: it appears in reports, JSON and the store."""

    def __reduce__(self) -> tuple[object, ...]:
        """Pickles the text and the facts, whatever arguments the subclass's own __init__ takes."""
        return _again, (type(self), str(self)), self.__dict__


def _again(kind: type[KeepersError], text: str) -> KeepersError:
    return kind.__new__(kind, text)


UNREADABLE = frozenset(
    (
        *("empty", "not_image", "format_not_allowed", "truncated", "corrupt", "too_large", "too_small"),
        *("unsupported_depth", "not_a_file", "changed", "io", "non_finite"),
    )
)
"""The codes of what makes an image unreadable."""


class UnreadableImage(KeepersError):
    """An image file cannot be read, so it cannot be judged. `code` is one of `UNREADABLE`."""

    def __init__(self, path: object, code: str, detail: str) -> None:
        self.path = str(path)
        self.code = code
        self.detail = detail
        super().__init__(f"{one_line(self.path)}: {detail}")


class UnknownName(KeepersError):
    """A model, label or preset does not exist; the message suggests close matches."""

    code = "unknown_name"

    def __init__(self, kind: str, name: str, known: Iterable[str], where: str = "") -> None:
        self.kind = kind
        self.name = name
        self.close = tuple(get_close_matches(name, list(known), n=3, cutoff=0.6))
        place = f" in {where}" if where else ""
        hint = f" Did you mean {' or '.join(map(repr, self.close))}?" if self.close else ""
        super().__init__(f"There is no {kind} {name!r}{place}.{hint}")


class GateError(KeepersError):
    """A gate text cannot be parsed; `position` is the place in `text`, in characters from 0."""

    code = "gate"

    def __init__(self, text: str, position: int, message: str) -> None:
        self.text = text
        self.position = position
        self.message = message
        start = text.rfind("\n", 0, position) + 1
        end = text.find("\n", position)
        start = max(start, position - 60)
        line = text[start : end if end >= 0 else len(text)][:100]
        shown = "".join(c if c.isprintable() else " " for c in line)
        super().__init__(f"{message}\n  {shown}\n  {' ' * (position - start)}^")


class MissingWeights(KeepersError):
    """A weight file is not on this machine, and may not or could not be downloaded."""

    code = "missing_weights"


class DownloadFailed(KeepersError):
    """A download was tried but did not arrive whole."""

    code = "download_failed"


class CorruptWeights(KeepersError):
    """A weight file is truncated, differs from the published size or checksum, or is not a weight file at all."""

    code = "corrupt_weights"


class UnsafeWeights(KeepersError):
    """A weight file asks for something that no tensor file needs; it was read no further."""

    code = "unsafe_weights"


class WrongWeights(KeepersError):
    """A weight file is intact, but its tensors are not those of the model it was loaded for."""

    code = "wrong_weights"

    def __init__(
        self, path: object, model: str, missing: Iterable[str] = (), unexpected: Iterable[str] = (), detail: str = ""
    ) -> None:
        self.missing = tuple(sorted(missing))
        self.unexpected = tuple(sorted(unexpected))
        parts = [f"{one_line(str(path))} does not hold the weights of {model}"]
        parts += [detail] if detail else []
        parts += [f"missing {_some(self.missing)}"] if self.missing else []
        parts += [f"unexpected {_some(self.unexpected)}"] if self.unexpected else []
        super().__init__("; ".join(parts) + ".")


class OutsideFolder(KeepersError):
    """A path to be written would leave the folder it belongs in; nothing was created."""

    code = "outside_folder"

    def __init__(self, name: str, folder: object, detail: str = "") -> None:
        why = f" ({detail})" if detail else ""
        super().__init__(f"{one_line(name)!r} does not stay inside {one_line(str(folder))}{why}. Nothing was written.")


class WriteFailed(KeepersError):
    """A file could not be written: a full disk, no permission, a folder that is gone. No part of it is left behind."""

    code = "write_failed"

    def __init__(self, path: object, error: OSError) -> None:
        self.path = str(path)
        self.errno = error.errno
        super().__init__(f"{one_line(self.path)} could not be written: {error.strerror or error}.")


class RecipeError(KeepersError):
    """A caption recipe asks for something impossible, or a recipe file cannot be read."""

    code = "recipe"


class SettingsError(KeepersError):
    """The file of the user's settings cannot be read, or a setting has a value that makes no sense."""

    code = "settings"


class CaptionTooLong(KeepersError):
    """A caption is longer than the recipe allows, even without everything that the recipe lets us cut."""

    code = "caption_too_long"

    def __init__(self, length: int, most: int) -> None:
        super().__init__(f"The caption has {length} characters, but the recipe allows {most} (max_characters).")


class SidecarError(KeepersError):
    """A caption file cannot be read or may not be written; it was left as it was."""

    code = "sidecar"

    def __init__(self, path: object, detail: str) -> None:
        self.path = str(path)
        self.detail = detail
        super().__init__(f"{one_line(self.path)}: {detail}")


class StoreError(KeepersError):
    """The store of results is damaged, locked, or of a newer version."""

    code = "store"


class StoreBusy(StoreError):
    """Another program kept the store locked for longer than we wait: the same may work a moment later."""


class NotExplainable(KeepersError):
    """A heatmap was requested from a model that has none."""

    code = "not_explainable"


class Cancelled(KeepersError):
    """The host or the user asked to stop."""

    code = "cancelled"


def one_line(text: str) -> str:
    """The text made safe for a terminal: control characters, line breaks and direction overrides are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def encodable(text: str) -> str:
    """The text made fit for UTF-8: lone surrogates, from file names or hostile metadata, become escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _some(names: tuple[str, ...], limit: int = 6) -> str:
    shown = ", ".join(names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown
