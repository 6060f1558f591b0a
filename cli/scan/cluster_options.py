"""The options of `keepers scan` that only a scan on a cluster has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from ..completion import tagger_ids
from ..options import in_panel

_ray = in_panel("Ray: on many machines (--engine ray)")


@dataclass(frozen=True)
class ClusterOptions:
    """Where a scan runs, and what it does beyond scoring."""

    engine: Annotated[
        Literal["plain", "ray"],
        _ray(help="plain: here, with the store. ray: on Ray Data, into Parquet, for millions of images."),
    ] = "plain"
    out: Annotated[str, _ray("--out", "-o", help="Folder or address for the results, as Parquet.")] = ""
    address: Annotated[str, _ray(help="A running Ray cluster; without it, one is started here.")] = ""
    actors: Annotated[int, _ray(min=0, help="Workers of each net; 0: one a GPU, or one a machine.")] = 0
    gpus_per_actor: Annotated[float, _ray(min=0.0, help="GPUs of each worker with a net; 0: as fits.")] = 0.0
    column: Annotated[str, _ray(help="The column of Parquet inputs that holds the image.")] = ""
    tag_floor: Annotated[
        float,
        _ray(min=0.0, max=1.0, help="Tag values below this are not written; 0 writes all."),
    ] = 0.05
    tagger: Annotated[
        list[str] | None,
        _ray("--tagger", "-t", help="Also caption what is accepted; repeatable.", autocompletion=tagger_ids),
    ] = None
    recipe: Annotated[str, _ray("--recipe", help="FILE.toml#NAME: how captions are written.")] = ""

    def given(self) -> Mapping[str, object]:
        """The options for --engine ray only, by name; empty values were not given."""
        return {
            "--out": self.out,
            "--address": self.address,
            "--actors": self.actors,
            "--gpus-per-actor": self.gpus_per_actor,
            "--column": self.column,
            "--tagger": self.tagger,
            "--recipe": self.recipe,
        }
