"""`keepers plan`: how long a scan of many images takes on a cluster, from costs measured on this machine."""

from __future__ import annotations

import importlib.util
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Literal

import typer  # noqa: TC002  read when the options are made
from rich.table import Table

from ...cluster.planning.costs import MeasuredCosts, Workload, measure_costs
from ...cluster.planning.inline import inline
from ...cluster.planning.planner import Cluster, Costs, Estimate, estimate
from ...cluster.planning.sample import chosen_files, drawn_files
from ...core.errors import KeepersError
from .. import exit_codes
from ..console import console
from ..gates import GateOptions
from ..machine import Machine
from ..options import examples, in_panel, is_given

_cluster = in_panel("The cluster")
_sample = in_panel("What is measured")
_output = in_panel("Output")

BUSY = 1.3
"""At this ratio of clock to processor time or above, other programs distort the measurements."""


@examples(
    "keepers plan --images 1000000 --cpus 64",
    "keepers plan -n 5000000 --cpus 256 --gpus 8 --preset faramir --cost faramir=9 --cost coherence=2",
)
def plan(
    context: typer.Context,
    *,
    images: Annotated[int, _sample("--images", "-n", min=1, help="How many images the scan has.")],
    cpus: Annotated[int, _cluster("--cpus", min=1, help="Processor cores of the whole cluster.")],
    gpus: Annotated[int, _cluster("--gpus", min=0, help="GPUs of the whole cluster.")] = 0,
    gate: GateOptions,
    sample: Annotated[
        list[Path] | None,
        _sample(help="Images like those of the scan, or folders of them; repeatable. Default: generated images."),
    ] = None,
    size: Annotated[int, _sample(min=16, max=16384, help="Side of a generated image in pixels.")] = 1024,
    form: Annotated[
        Literal["png", "jpeg", "webp"], _sample("--format", help="File format of the generated images.")
    ] = "png",
    passes: Annotated[
        list[str] | None,
        _sample(
            "--pass",
            help="MODEL=SHARE: of the images that reach MODEL, the share (0 to 1) that goes on to the next; "
            "repeatable. Default: as in the sample; 1 without one.",
        ),
    ] = None,
    cost: Annotated[
        list[str] | None,
        _sample(help="MODEL=MILLISECONDS for one image on one GPU, if the GPUs are not here; repeatable."),
    ] = None,
    actors: Annotated[int, _cluster(min=0, help="Of each net on GPUs; 0 fills the GPUs.")] = 0,
    gpus_per_actor: Annotated[float, _cluster(min=0, help="0 shares the GPUs among the nets.")] = 0,
    machine: Machine,
    as_json: Annotated[bool, _output("--json", help="Print JSON.")] = False,
) -> None:
    """Tell how long a scan of many images takes on a cluster, what limits it, and how many cores fill its GPUs.

    Every step is measured here, with the real models; nothing is sent anywhere.
    """
    _require_arrow()
    judge = replace(machine, device=_device(machine.device, gpus, is_given(context, "device"))).judge()
    chosen_one = gate.chosen(judge.store)
    judge.check(chosen_one)
    told = {name: value / 1000 for name, value in _numbers(cost, "--cost", "MILLISECONDS").items()}
    shares = _numbers(passes, "--pass", "SHARE", most=1.0)
    workload = Workload(judge, chosen_one, told, shares, bool(sample))
    _check(workload, gpus, judge.runtime.torch_device().type)
    with tempfile.TemporaryDirectory() as folder:
        paths = chosen_files(sample) if sample else drawn_files(Path(folder), size, form)
        measured = measure_costs(workload, paths, lambda part: console.print(f"[dim]measuring: {part}[/]"))
    cluster = Cluster(cpus, gpus, actors, gpus_per_actor)
    found = estimate(measured.costs, cluster, images)
    if as_json:
        print(json.dumps(_facts(measured, cluster, images, found), indent=2, allow_nan=False))
        return
    _show(found, cluster, images)
    for note in _notes(workload, measured, cluster, bool(sample)):
        console.print(f"- {exit_codes.escaped(note)}")


def _require_arrow() -> None:
    if importlib.util.find_spec("pyarrow") is None:
        raise KeepersError("keepers plan measures how Parquet is written: pip install keepers[ray]")


def _device(asked: str, gpus: int, given: bool) -> str:
    """The device on which nets are measured: the processor for a cluster without GPUs."""
    if gpus:
        return asked
    if given and asked not in ("auto", "cpu"):
        raise KeepersError(f"--device {asked} measures nets on a GPU: say with --gpus how many the cluster has.")
    return "cpu"


def _numbers(pairs: Sequence[str] | None, option: str, unit: str, most: float = 1e9) -> dict[str, float]:
    found: dict[str, float] = {}
    for pair in pairs or ():
        name, _, text = pair.partition("=")
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not name or not (0 if most == 1.0 else 1e-9) <= value <= most:
            limits = "from 0 to 1" if most == 1.0 else "above 0"
            raise KeepersError(f"{option} takes MODEL={unit}, a number {limits}, not {pair!r}.")
        found[name] = value
    return found


def _check(workload: Workload, gpus: int, device: str) -> None:
    """Refuse options about models that are not asked, and GPUs of unknown speed."""
    models = [spec.id for spec in workload.specs]
    nets = [model for model in models if model not in inline(workload.specs)]
    for option, given, known in (("--pass", workload.passes, models), ("--cost", workload.elsewhere, nets)):
        for name in given:
            if name not in known:
                what = "net" if option == "--cost" else "model"
                raise KeepersError(f"{option}: the gate asks no {what} {name!r}; it asks {', '.join(known) or 'none'}.")
    if workload.elsewhere and not gpus:
        raise KeepersError("--cost gives the time on a GPU: say with --gpus how many there are.")
    unknown = [net for net in nets if net not in workload.elsewhere]
    if gpus and device == "cpu" and unknown:
        options = " ".join(f"--cost {net}=MILLISECONDS" for net in unknown)
        raise KeepersError(
            f"There is no GPU here on which {' and '.join(unknown)} could be measured. Run this where there is one, or "
            f"tell what one image takes on one: {options}"
        )


def _show(found: Estimate, cluster: Cluster, images: int) -> None:
    table = Table("stage", "images", "core ms", "GPU ms", "uses", "alone")
    for column in table.columns[1:]:
        column.justify = "right"
    units = {"cores": "cores", "gpus": "GPUs", "driver": ""}
    for load in found.loads:
        stage = load.stage
        table.add_row(
            exit_codes.escaped(stage.name) + (" [bold]<[/]" if stage.name == found.binding else ""),
            f"{stage.share:.0%}",
            f"{1000 * stage.processor:.1f}",
            f"{1000 * stage.gpu:.1f}" if stage.gpu else "",
            f"{load.used:.1f} of {load.granted:g} {units[load.pool]}",
            f"{load.alone:,.0f}/s" if stage.share else "",
        )
    console.print(table)
    machines = f"{cluster.cores:g} cores" + (f" and {cluster.gpus:g} GPUs" if cluster.gpus else "")
    console.print(
        f"{images:,} images on {machines}: [bold]{_span(found.seconds)}[/], {found.rate:,.1f} images a second"
    )
    console.print(_bound(found))
    if found.cores_to_fill:
        console.print(f"To keep the GPUs busy: {found.cores_per_gpu:.1f} cores a GPU, {found.cores_to_fill:.0f} in all")


def _bound(found: Estimate) -> str:
    """What limits the scan, in words."""
    name = exit_codes.escaped(found.binding)
    return {
        "cores": f"The cores are the limit; most of them go into: {name}",
        "gpus": f"{name} is the limit: its GPUs are always busy",
        "driver": "The process that drives the job is the limit: a larger --batch hands on more images at once",
    }[found.bound]


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:,.1f} hours"


def _notes(workload: Workload, measured: MeasuredCosts, cluster: Cluster, own: bool) -> list[str]:
    """Notes on what was measured and what was not."""
    costs = measured.costs
    notes = [_measured(workload, measured, own), _assumed(costs)]
    if workload.elsewhere:
        told = ", ".join(f"{model} {1000 * one:g} ms" for model, one in workload.elsewhere.items())
        notes.append(f"told: time on a GPU, {told}.")
    notes += _share_notes(workload, measured)
    if costs.join:
        notes.append("not counted: rewriting the files in which near-duplicates are found.")
    nets = [one for one in costs.models if not one.inline]
    if cluster.gpus and not nets:
        notes.append("the gate asks no net: the GPUs stay idle.")
    if nets:
        held = ", ".join(f"{one.model} {one.weights / 1e6:,.0f} MB" for one in nets)
        notes.append(f"memory: every actor of a net holds its weights ({held}).")
    if measured.waited > BUSY:
        notes.append("other programs kept this machine busy, so the times are too high: repeat this when it is idle.")
    return notes + [f"left out, cannot be read: {unread}" for unread in measured.unread]


def _measured(workload: Workload, measured: MeasuredCosts, own: bool) -> str:
    kind = "of your images" if own else "generated images (give yours with --sample)"
    size = f"{measured.megapixels:.1f} megapixels and {measured.costs.bytes / 1e6:.1f} MB on average"
    runtime = workload.judge.runtime
    precision = runtime.resolve(runtime.torch_device())
    ran = ", ".join(f"{model} on {device}" for model, device in measured.devices.items())
    what = f"reading from this disk, decoding, writing{', ' if ran else ''}{ran} ({precision})"
    return f"measured here, on {measured.images} {kind} of {size}: {what}."


def _assumed(costs: Costs) -> str:
    handing = f"{1000 * costs.overhead:.1f} ms of a core and {1000 * costs.carry:.1f} ms a megabyte"
    start = f"{costs.startup:.0f} s to start (loading measured here)"
    return f"assumed: cores as fast as these; {handing} for each stage that an image reaches; {start}; sources keep up."


def _share_notes(workload: Workload, measured: MeasuredCosts) -> list[str]:
    models = [one.model for one in measured.costs.models]
    told = [f"{model}={share:g}" for model, share in workload.passes.items() if model in models[:-1]]
    seen = [f"{model} {count}" for model, count in measured.asked.items() if model != models[0]]
    notes = [f"told: shares that go on, {', '.join(told)}."] if told else []
    if seen:
        notes.append(f"images of the sample ({measured.images}) that reached a model: {', '.join(seen)}.")
    elif len(models) > 1 and not told:
        notes.append("assumed: every model is asked about every image; --sample or --pass says how many go on.")
    return notes


def _facts(measured: MeasuredCosts, cluster: Cluster, images: int, found: Estimate) -> Mapping[str, object]:
    """Everything as JSON values; seconds, bytes and shares unrounded."""
    told = asdict(found)
    for load in told["loads"]:
        load["alone"] = load["alone"] if load["alone"] < float("inf") else None
    hours = found.seconds / 3600
    return {"images": images, "hours": hours, **told, "cluster": asdict(cluster), "measured": asdict(measured)}
