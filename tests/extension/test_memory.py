"""Where nets are between jobs, and that hooks in inference mode do not spoil them, in the stub of the WebUI."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from keepers.tests.extension.webui_stub import BAD, GOOD, Host, stubbed, with_tiny_models


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    with stubbed():
        made = Host(tmp_path)
        with_tiny_models(made.work, tmp_path / "models", monkeypatch)
        yield made


def nets() -> list[torch.nn.Module]:
    from keepers.extension.host import host as lent

    loaded: dict[Any, Any] = lent.judge()._loaded  # pyright: ignore[reportPrivateUsage]  # what it is about
    return [classifier.network.module for classifier in loaded.values()]


class Elsewhere(torch.nn.Module):
    """A net that pretends to be on another device."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1000, device=kind))


def test_nets_that_are_loaded_in_a_hook_can_still_be_differentiated(host: Host) -> None:
    host.run(host.job(GOOD))  # the stub's loop is in inference mode, as the hosts' are
    [net] = nets()
    assert not any(parameter.is_inference() for parameter in net.parameters())


def test_room_is_made_for_what_is_not_there_yet(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    from keepers.extension.host import host as lent

    asked: list[tuple[int, Any]] = []
    manager = ModuleType("backend.memory_management")
    manager.free_memory = lambda size, device: asked.append((size, device))  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "backend.memory_management", manager)
    part, device = Elsewhere("cpu"), torch.device("meta")
    lent._place([part], device)  # pyright: ignore[reportPrivateUsage]
    assert len(asked) == 1 and asked[0][0] > 4000 and part.weight.device.type == "meta"
    lent._place([part], device)  # pyright: ignore[reportPrivateUsage]
    assert len(asked) == 1, "what is there already needs no room"


def test_without_a_memory_manager_the_caches_are_emptied(host: Host) -> None:
    from modules import devices

    from keepers.extension.host import host as lent

    before = len(devices.collected)
    lent._place([Elsewhere("cpu")], torch.device("meta"))  # pyright: ignore[reportPrivateUsage]
    assert len(devices.collected) == before + 1


@pytest.mark.parametrize(("after", "left"), [("keep in place", 1), ("move to RAM", 1), ("unload", 0)])
def test_what_happens_to_nets_after_a_job(host: Host, after: str, left: int) -> None:
    host.shared.opts.data["keepers_after"] = after
    host.run(host.job(GOOD, BAD))
    assert len(nets()) == left
    assert host.run(host.job(GOOD)).comments == "Keepers accepted 1 of 1.\n"


def test_other_settings_make_another_judge(host: Host) -> None:
    from keepers.extension.host import host as lent

    first = lent.judge()
    assert lent.judge() is first
    host.shared.opts.data["keepers_precision"] = "exact"
    assert lent.judge() is not first
    host.run(host.job(GOOD))
    assert host.work.batches == [("cheap exact", 1)]


def test_a_device_that_is_not_there_costs_no_image(host: Host) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has the device")
    host.shared.opts.data["keepers_device"] = "cuda"
    result = host.run(host.job(GOOD, BAD, on_reject="drop", on_review="drop"))
    assert host.samples == ["review/00000-100.png", "review/00001-101.png"]
    assert "2 × " in result.comments and ("Keepers failed" in result.comments or "could not be" in result.comments)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_nets_come_to_the_gpu_and_leave_it(host: Host) -> None:
    host.shared.opts.data |= {"keepers_device": "cuda", "keepers_after": "keep in place"}
    result = host.run(host.job(GOOD, BAD))
    assert "accepted 1 of 2" in result.comments
    assert {parameter.device.type for net in nets() for parameter in net.parameters()} == {"cuda"}
    assert not any(parameter.is_inference() for net in nets() for parameter in net.parameters())
    host.shared.opts.data["keepers_after"] = "move to RAM"
    host.run(host.job(GOOD))
    assert {parameter.device.type for net in nets() for parameter in net.parameters()} == {"cpu"}
    host.shared.opts.data["keepers_after"] = "unload"
    before = torch.cuda.memory_allocated()
    host.run(host.job(GOOD))
    assert nets() == [] and torch.cuda.memory_allocated() <= before
