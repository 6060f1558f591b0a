"""The options that make a caption recipe on the command line."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

from ...core.captions.recipe import CaptionRecipe
from ..completion import tagger_ids
from ..options import in_panel
from ..recipe import recipe_from

_which = in_panel("Which tags")
_order = in_panel("Order and fixed words")
_form = in_panel("How it is written")
_files = in_panel("Where it goes")


@dataclass(frozen=True)
class RecipeOptions:
    """A recipe's file and the options that override it; None if an option was not given."""

    recipe: Annotated[
        str,
        _which("--recipe", help="FILE.toml#NAME: take the recipe from a file; options here override it."),
    ] = ""
    taggers: Annotated[
        list[str] | None,
        _which("--tagger", "-t", help="Tagger by id, or ID=WEIGHT; repeatable.", autocompletion=tagger_ids),
    ] = None
    source: Annotated[
        str | None,
        _which("--from", help="tags, prompt, or auto (the prompt without a tagger)."),
    ] = None
    threshold: Annotated[float | None, _which(help="0 to 1. Default: what each tagger's card recommends.")] = None
    thresholds: Annotated[
        list[str] | None,
        _which("--category-threshold", help="CATEGORY=THRESHOLD; repeatable."),
    ] = None
    top: Annotated[int | None, _which(help="Only this many most probable tags.")] = None
    limit: Annotated[int | None, _which(help="At most this many tags in a caption.")] = None
    only: Annotated[list[str] | None, _which(help="Only these tags; * stands for any text.")] = None
    exclude: Annotated[
        list[str] | None,
        _which(help="Never these tags; * stands for any text, spaces equal underscores."),
    ] = None
    exclude_categories: Annotated[list[str] | None, _which("--exclude-category", help="Never tags of these.")] = None
    require: Annotated[list[str] | None, _which(help="No caption for images without these tags.")] = None
    rename: Annotated[list[str] | None, _which(help="OLD=NEW; an empty NEW drops it; repeatable.")] = None
    tag_file: Annotated[Path | None, _which(help="CSV with tag, category, implications; drops implied.")] = None
    order: Annotated[str | None, _order(help="score, category, alphabet, fixed or given.")] = None
    fixed: Annotated[list[str] | None, _order(help="For --order fixed: tags that come first.")] = None
    first: Annotated[
        list[str] | None,
        _order("--first", "--trigger", help="Words always at the start."),
    ] = None
    last: Annotated[list[str] | None, _order(help="Words always at the end.")] = None
    rating: Annotated[bool | None, _order(help="Whether to write the rating.")] = None
    template: Annotated[
        str | None,
        _order(help="Text with {trigger} {rating} {species} {tags} {last} {prompt}."),
    ] = None
    style: Annotated[str | None, _form(help="booru, e621, spaces or json.")] = None
    escape: Annotated[bool | None, _form(help="Backslashes before ( and ).")] = None
    separator: Annotated[str | None, _form(help="Between tags. Default: the style's.")] = None
    trailing: Annotated[bool | None, _form(help="End with the separator.")] = None
    max_characters: Annotated[int | None, _form(help="Longest caption; 0: any.")] = None
    too_long: Annotated[str | None, _form(help="Longer ones: cut, keep or fail.")] = None
    empty: Annotated[str | None, _files(help="Captions without text: skip or write.")] = None
    extension: Annotated[str | None, _files(help="Of caption files. Default: .txt")] = None
    existing: Annotated[str | None, _files(help="skip, overwrite, append, prepend or merge.")] = None
    embed: Annotated[bool | None, _files(help="Also into the image's own metadata.")] = None

    def made(self) -> CaptionRecipe:
        """The file's recipe, or the default one, with the given options applied. Raises RecipeError."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return recipe_from(values.pop("recipe"), values.pop("tag_file"), **values)
