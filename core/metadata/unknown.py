"""Which texts of a file nobody understood: they are told by name, so that nothing is dropped in silence."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

_HARMLESS = frozenset((
    "artist", "author", "comment", "copyright", "creation_time", "creationtime", "creatortool", "date",
    "description", "digimageguid", "disclaimer", "dpi", "duration", "extension", "gamma", "generation_time",
    "icc_profile", "imagedescription", "jfif", "loop", "photoshop", "signed_hash", "software", "source", "srgb",
    "timestamp", "title", "transparency", "usercomment", "version", "warning", "xmp", "xpcomment", "xpkeywords",
    "xpsubject", "xptitle",
))  # fmt: skip
"""What cameras, editors and libraries write about a picture. Only JSON among it can be somebody's settings."""
_PREFIXES = ("date:", "exif:", "icc:", "png:", "thumb::", "raw profile type", "xmp:", "photoshop:", "tiff:", "dc:")
_PROGRAMS = frozenset((
    "dream", "extras", "fooocus_scheme", "generation_data", "invokeai_graph", "invokeai_metadata",
    "invokeai_workflow", "keepers", "parameters", "parameters-json", "postprocessing", "prompt", "sd-metadata",
    "smproj", "workflow",
))  # fmt: skip
"""What is read, or belongs to what is read. If nothing was understood, it was not read."""
_MOST = 8


def unknown_notes(texts: Mapping[str, str], understood: bool, taken: Collection[str] = ()) -> Iterator[str]:
    """A note for each text of unknown form, the first few by name. `taken`: keywords that belong to the program."""
    unknown = [key for key, text in texts.items() if key not in taken and _is_unknown(key, text, understood)]
    yield from (f"metadata of unknown form under '{key}'" for key in unknown[:_MOST])
    if len(unknown) > _MOST:
        yield f"metadata of unknown form under {len(unknown) - _MOST} more names"


def _is_unknown(key: str, text: str, understood: bool) -> bool:
    name = key.strip().lower().replace(" ", "_").removeprefix("xmp_")
    if not text.strip():
        return False
    if name in _PROGRAMS:
        return not understood and name != "keepers"
    if name in _HARMLESS or key.lower().startswith(_PREFIXES):
        return not understood and text.lstrip()[:1] in ("{", "[")
    return True
