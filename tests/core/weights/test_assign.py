"""Nets get their weights without a copy, stay differentiable, and refuse what is not theirs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from keepers.core.errors import WrongWeights
from keepers.core.weights.assign import Renamed, assign, build_on_meta
from keepers.core.weights.formats.read import read_tensors
from keepers.tests.writers import STATE_DICT_WRITERS, write_safetensors, write_zip


def make() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))


def weights() -> dict[str, Tensor]:
    torch.manual_seed(0)
    state = make().state_dict()
    state["1.running_mean"].normal_()
    return dict(state)


def run(net: nn.Module) -> Tensor:
    return net(torch.linspace(0, 1, 12).view(1, 3, 2, 2))


@pytest.fixture
def expected() -> Tensor:
    net = make().eval()
    net.load_state_dict(weights())
    return run(net).detach()


@pytest.mark.parametrize("kind", STATE_DICT_WRITERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_differentiable_although_loaded_inside_inference_mode(
    kind: str, dtype: torch.dtype, tmp_path: Path, expected: Tensor
) -> None:
    path = STATE_DICT_WRITERS[kind](
        tmp_path / "a", {n: t.to(dtype) if t.is_floating_point() else t for n, t in weights().items()}
    )
    with torch.inference_mode():
        net = assign(build_on_meta(make), read_tensors(path), path=path, model="net")
    assert not any(value.is_inference() for value in (*net.parameters(), *net.buffers()))
    found = run(net)
    assert torch.allclose(found, expected, atol=1e-6 if dtype is torch.float32 else 0.05)
    found.sum().backward()
    assert all(value.grad is not None and value.grad.isfinite().all() for value in net.parameters())
    with torch.inference_mode():
        assert torch.equal(run(net), found)


def test_inference_tensors_of_a_caller_are_replaced() -> None:
    with torch.inference_mode():
        given = {name: tensor.clone() for name, tensor in weights().items()}
        net = assign(build_on_meta(make), given, path="f", model="net")
    run(net).sum().backward()


def test_equal_types_share_the_memory(tmp_path: Path) -> None:
    tensors = read_tensors(write_safetensors(tmp_path / "a", weights()))
    net = assign(build_on_meta(make), tensors, path="f", model="net")
    assert next(net.parameters()).data_ptr() == tensors["0.weight"].data_ptr()


def test_types(tmp_path: Path) -> None:
    tensors = read_tensors(
        write_zip(tmp_path / "a", {n: t.half() if t.is_floating_point() else t for n, t in weights().items()})
    )
    for asked, got in ((torch.float32, torch.float32), (torch.bfloat16, torch.bfloat16), (None, torch.float16)):
        net = assign(build_on_meta(make), tensors, path="f", model="net", dtype=asked)
        assert {value.dtype for value in net.parameters()} == {got}
        assert net.state_dict()["1.num_batches_tracked"].dtype == torch.int64


@pytest.mark.parametrize("prefix", ["", "model.", "a.b."])
def test_prefix_is_found_out(prefix: str, expected: Tensor) -> None:
    tensors = {prefix + name: tensor for name, tensor in weights().items()}
    for asked in (None, prefix):
        net = assign(build_on_meta(make), tensors, path="f", model="net", prefix=asked)
        assert torch.equal(run(net), expected)


def test_others_are_left_out_only_when_asked() -> None:
    tensors = {**weights(), "text.weight": torch.ones(1)}
    with pytest.raises(WrongWeights) as caught:
        assign(build_on_meta(make), tensors, path="f.pth", model="net")
    assert caught.value.unexpected == ("text.weight",)
    assign(build_on_meta(make), tensors, path="f.pth", model="net", others=True)


def test_what_is_wrong_is_listed() -> None:
    tensors = weights()
    del tensors["3.bias"]
    tensors["0.weight"] = torch.ones(4, 3, 3, 3)
    tensors["extra"] = torch.ones(1)
    net = build_on_meta(make)
    with pytest.raises(WrongWeights) as caught:
        assign(net, tensors, path="some.pth", model="coherence")
    text = str(caught.value)
    assert text == (
        "some.pth does not hold the weights of coherence; 0.weight has the shape (4, 3, 3, 3) instead of (4, 3, 1, 1); "
        "missing 3.bias; unexpected extra."
    )
    assert all(value.is_meta for value in net.parameters()), "nothing is assigned by halves"


def test_counters_may_be_missing(expected: Tensor) -> None:
    tensors = {name: tensor for name, tensor in weights().items() if not name.endswith("num_batches_tracked")}
    net = assign(build_on_meta(make), tensors, path="f", model="net")
    assert torch.equal(run(net), expected)
    assert net.state_dict()["1.num_batches_tracked"].item() == 0


def test_renamed_reads_lazily_and_leaves_out() -> None:
    tensors = Renamed(
        {"x.a": torch.ones(1), "x.b": torch.zeros(1), "y": torch.ones(2)}, lambda n: n[2:] if n[:2] == "x." else None
    )
    assert list(tensors) == ["a", "b"]
    assert tensors["a"].item() == 1
    assert "y" not in tensors
    assert len(tensors) == 2


def test_building_costs_no_memory_and_gives_evaluation_mode() -> None:
    net = build_on_meta(lambda: nn.Linear(1 << 20, 1 << 20))
    assert net.weight.is_meta
    assert not net.training
    assert not net.weight.is_inference()
