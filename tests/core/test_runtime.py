"""What a host lends is used as it was given, and given back as it was."""

from __future__ import annotations

import torch

from keepers.core.runtime import Runtime, has_fast_bfloat16, move, whole_float32


def test_float32_keeps_all_its_bits_and_the_hosts_settings_come_back() -> None:
    cudnn = torch.backends.cudnn
    before = cudnn.allow_tf32, cudnn.benchmark, torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        with whole_float32():
            assert not cudnn.allow_tf32
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before[2])
    assert (cudnn.allow_tf32, cudnn.benchmark, torch.get_float32_matmul_precision()) == before


def test_precision_is_as_asked_or_as_the_device_serves_it() -> None:
    cpu = torch.device("cpu")
    assert Runtime(precision="exact").resolve(cpu) == "exact"
    assert Runtime(precision="fast").resolve(cpu) == "fast"
    assert Runtime().resolve(cpu) == ("fast" if has_fast_bfloat16(cpu) else "exact")
    assert not has_fast_bfloat16(torch.device("meta"))


def test_parts_are_moved_and_stay() -> None:
    part = torch.nn.Linear(2, 2)
    assert move([part], torch.device("cpu")) == torch.device("cpu")
    assert part.weight.device.type == "cpu"
