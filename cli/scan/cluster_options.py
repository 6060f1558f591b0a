"""The options of `keepers scan` that only a scan on a cluster has."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

_PANEL = "On many machines (--engine ray)"

Engine = Annotated[
    Literal["plain", "ray"],
    typer.Option(
        help="plain: here, with the store. ray: on Ray Data, into Parquet; for millions.", rich_help_panel=_PANEL
    ),
]
Out = Annotated[
    str, typer.Option("--out", "-o", help="Folder or address for the results, as Parquet.", rich_help_panel=_PANEL)
]
Address = Annotated[
    str, typer.Option(help="A running Ray cluster; without it one is started here.", rich_help_panel=_PANEL)
]
Actors = Annotated[
    int, typer.Option(min=0, help="Workers of each net; 0: one a GPU, or one a machine.", rich_help_panel=_PANEL)
]
GpusPerActor = Annotated[
    float, typer.Option(min=0.0, help="Of each worker with a net; 0: as fits.", rich_help_panel=_PANEL)
]
Column = Annotated[str, typer.Option(help="The column of Parquet inputs that holds the image.", rich_help_panel=_PANEL)]
TagFloor = Annotated[
    float,
    typer.Option(
        min=0.0, max=1.0, help="Values of tags below this are not written; 0 writes all.", rich_help_panel=_PANEL
    ),
]
Taggers = Annotated[
    list[str] | None,
    typer.Option("--tagger", "-t", help="Also caption what is accepted; repeatable.", rich_help_panel=_PANEL),
]
RecipeName = Annotated[
    str, typer.Option("--recipe", help="FILE.toml#NAME: how captions are written.", rich_help_panel=_PANEL)
]
