"""The command line itself."""

from __future__ import annotations

from typing import Annotated

import typer

from . import exit_codes
from .commands import CONTEXT, Commands

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings=CONTEXT,
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
