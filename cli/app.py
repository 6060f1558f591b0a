"""The command line: its commands, and what they all do when something is wrong."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from ..core.errors import KeepersError
from . import exit_codes
from .console import console

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=exit_codes.HELP,
)


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Finds the keepers among generated images: scores, gates, sorts, tags and captions."""
    if version:
        from .. import __version__

        typer.echo(f"keepers {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def command(function: Callable[..., Any], name: str = "") -> None:
    """Add a command whose errors end in one clear line and the right exit code."""

    @functools.wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except KeepersError as error:
            console.print(f"[bold red]error:[/] {exit_codes.escaped(str(error))}")
            raise typer.Exit(exit_codes.ERROR) from error
        except KeyboardInterrupt:
            console.print("interrupted")
            raise typer.Exit(exit_codes.INTERRUPTED) from None

    guarded.__dict__["__signature__"] = inspect.signature(function, eval_str=True)  # typer reads types, not texts
    app.command(name or function.__name__.rstrip("_"))(guarded)


def _add_commands() -> None:
    from .captions.caption import caption
    from .captions.tags import tags
    from .catalogue.convert import convert
    from .catalogue.models import fetch, models
    from .evaluate.evaluate import evaluate
    from .explain.explain import explain
    from .likeness.map import map_
    from .likeness.similar import similar
    from .prompts.prompts import prompts
    from .report.report import report
    from .review.review import review
    from .scan.plan import plan
    from .scan.scan import scan
    from .scan.undo import undo
    from .taste.calibrate import calibrate
    from .taste.labels import labels
    from .taste.tune import tune
    from .training.train import train

    looking = (scan, report, explain, review, undo, caption, tags, similar, map_)
    learning = (labels, tune, calibrate, train, evaluate, prompts)
    for function in (*looking, *learning, plan, models, fetch, convert):
        command(function)


_add_commands()
