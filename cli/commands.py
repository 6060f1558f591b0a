"""The commands and the modules they live in. A module is imported when its command runs or shows its own help.

The help here is the first line of the command's docstring; a test keeps them equal.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from ..core.errors import KeepersError
from . import exit_codes
from .console import console
from .options import examples_of, with_options

CONTEXT = {"help_option_names": ["-h", "--help"]}
SCORE, LOOK, CAPTION, LEARN, MODELS = (
    "Score and sort",
    "Look",
    "Caption",
    "Learn your taste, train and measure",
    "Models and settings",
)


@dataclass(frozen=True)
class Listed:
    """A command as it appears in the list of commands."""

    module: str
    """The module, relative to this folder: "scan.scan"."""
    function: str
    help: str
    panel: str

    def load(self) -> Callable[..., Any]:
        """The function itself."""
        return getattr(import_module(f".{self.module}", __package__), self.function)


COMMANDS = {
    "scan": Listed("scan.scan", "scan", "Score images and tell which are worth keeping.", SCORE),
    "undo": Listed(
        "scan.undo",
        "undo",
        "Take back the sorting of files: moved ones go home, copies and links that nobody changed are removed.",
        SCORE,
    ),
    "report": Listed(
        "report.report",
        "report",
        "Write the HTML page of images that were scanned already, without scanning.",
        LOOK,
    ),
    "review": Listed(
        "review.review",
        "review",
        "Look at images one by one and keep or reject them by keyboard; keepers tune learns from it.",
        LOOK,
    ),
    "metadata": Listed(
        "metadata.metadata",
        "metadata",
        "Print what image files say: program, prompts, seed, settings, model, LoRAs, our own record.",
        LOOK,
    ),
    "explain": Listed(
        "explain.explain",
        "explain",
        "Say why FARAMIR accepts or rejects an image, or where a realism detector found its answer.",
        LOOK,
    ),
    "similar": Listed(
        "likeness.similar",
        "similar",
        "Find the images most like IMAGE in folders; with folders alone, the groups of near-duplicates in them.",
        LOOK,
    ),
    "map": Listed(
        "likeness.map",
        "map_",
        "Draw a map of images: a model's features, brought to the two directions in which they differ most (PCA).",
        LOOK,
    ),
    "caption": Listed(
        "captions.caption", "caption", "Write captions next to images, from taggers or from their prompts.", CAPTION
    ),
    "tags": Listed(
        "captions.tags",
        "tags",
        "Show how often each tag stands in the captions: what is learnt, and what is missing or too common.",
        CAPTION,
    ),
    "labels": Listed(
        "taste.labels",
        "labels",
        "Take labels in, write them out, or show how many there are. The last label of an image counts.",
        LEARN,
    ),
    "tune": Listed(
        "taste.tune",
        "tune",
        "Learn your taste from the images that you labelled: see keepers review and keepers labels.",
        LEARN,
    ),
    "calibrate": Listed(
        "taste.calibrate",
        "calibrate",
        "Find the threshold for a wanted precision, recall or keep rate from your labels, with its uncertainty.",
        LEARN,
    ),
    "train": Listed("training.train", "train", "Train a detector on your own images, and say what it is worth.", LEARN),
    "evaluate": Listed(
        "evaluate.evaluate",
        "evaluate",
        "Compare answers with what is known: confusion matrix, precision, recall, MCC, informedness, thresholds.",
        LEARN,
    ),
    "prompts": Listed(
        "prompts.prompts",
        "prompts",
        "Compare the prompts of images that fooled a detector, or that a gate accepts, with those of the others.",
        LEARN,
    ),
    "plan": Listed(
        "scan.plan",
        "plan",
        "Tell how long a scan of many images takes on a cluster, what limits it, and how many cores fill its GPUs.",
        SCORE,
    ),
    "models": Listed(
        "catalogue.models", "models", "List the models: size, licence, place and state of their files.", MODELS
    ),
    "fetch": Listed("catalogue.models", "fetch", "Download the files of models, after showing their licences.", MODELS),
    "convert": Listed(
        "catalogue.convert",
        "convert",
        "Convert published files of furry and realism models into ones that load here.",
        MODELS,
    ),
    "config": Listed(
        "catalogue.config", "config", "Show the defaults that you set, and where each comes from.", MODELS
    ),
}


class Commands(TyperGroup):
    """Lists all commands without importing any; a command is imported when it is called."""

    def __init__(self, **attributes: Any) -> None:
        listed = {
            name: TyperCommand(name, help=one.help, rich_help_panel=one.panel, rich_markup_mode="rich")
            for name, one in COMMANDS.items()
        }
        super().__init__(**{**attributes, "commands": listed})

    def resolve_command(self, ctx: typer.Context, args: list[str]) -> Any:  # type: ignore[override]
        """The command itself, and its arguments."""
        name, found, rest = super().resolve_command(ctx, args)
        return name, loaded(name) if found is not None and name in COMMANDS else found, rest


def loaded(name: str) -> Any:
    """One command with its options, as typer builds it."""
    function = COMMANDS[name].load()
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")
    alone.command(name, context_settings=CONTEXT, epilog=_epilog(examples_of(function)))(
        guarded(with_options(function))
    )
    return typer.main.get_command(alone)


def _epilog(lines: tuple[str, ...]) -> str:
    """Examples, each on its own line; the help would turn a single line break into a space."""
    return "\n\n".join(["[bold]Examples[/]", *(exit_codes.escaped(line) for line in lines)]) if lines else ""


def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """The command, with errors turned into one clear line and the right exit code."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except KeepersError as error:
            console.print(f"[bold red]error:[/] {exit_codes.escaped(str(error))}")
            raise typer.Exit(exit_codes.ERROR) from error
        except KeyboardInterrupt:
            console.print("interrupted")
            raise typer.Exit(exit_codes.INTERRUPTED) from None

    call.__dict__["__signature__"] = function.__dict__["__signature__"]
    return call
