"""Aesthetic Predictor V2.5 against what the original gave."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from keepers.core.errors import WrongWeights
from keepers.core.judging.classifier import Classifier
from keepers.core.pictures.open import open_image
from keepers.core.runtime import Runtime
from keepers.core.spec import Precision
from keepers.core.weights.store import WeightStore
from keepers.models import aesthetic
from keepers.models.nets.siglip import SigLip
from keepers.tests.models.tiny_models import faramir_tensors
from keepers.tests.parity.faramir_pictures import scene, write_pictures

GOLDEN = Path(__file__).parents[1] / "data" / "aesthetic" / "golden.npz"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    save_file(faramir_tensors()["backbone"], folder / "model.safetensors")
    torch.save(faramir_tensors()["aesthetic"], folder / "aesthetic_predictor_v2_5.pth")
    return folder


def load(folder: Path, precision: Precision = "exact") -> Classifier:
    return Classifier.load(aesthetic.SPEC, WeightStore([folder]), Runtime(device="cpu"), precision)


def test_golden_values_of_the_original(folder: Path, tmp_path: Path) -> None:
    model = load(folder)
    with np.load(GOLDEN) as golden:
        write_pictures(tmp_path, only=golden)
        assert len(golden) == 4
        for name in golden:
            found = model.classify([open_image(tmp_path / name)])[0]
            assert found["score"] == pytest.approx(float(golden[name][0]), abs=2e-5), name
            assert found.label == ""


def test_the_activation_is_transformers_not_timms(folder: Path) -> None:
    net = load(folder).network.module
    assert isinstance(net.tower, SigLip)
    pixels = aesthetic.VIEW(scene(384, 384, 0))[None]
    with torch.inference_mode():
        exact, approximate = net.tower(pixels, tanh=False), net.tower(pixels, tanh=True)
    difference = (exact - approximate).abs().max()
    assert 1e-6 < difference < 1e-2


def test_fast_stays_within_its_tolerance(folder: Path) -> None:
    picture = scene(500, 400, 1)
    exact, fast = load(folder).classify([picture])[0], load(folder, "fast").classify([picture])[0]
    assert fast.tolerance == 1
    assert 0 < abs(exact["score"] - fast["score"]) <= fast.drift("score")


def test_a_head_saved_in_bfloat16_computes_in_float32(folder: Path, tmp_path: Path) -> None:
    values = torch.load(folder / "aesthetic_predictor_v2_5.pth", weights_only=True)
    torch.save({k: v.bfloat16() for k, v in values.items()}, tmp_path / "aesthetic_predictor_v2_5.pth")
    (tmp_path / "model.safetensors").symlink_to(folder / "model.safetensors")
    head = load(tmp_path).network.parts[1]
    assert {value.dtype for value in head.parameters()} == {torch.float32}


def test_wrong_head_is_named(folder: Path, tmp_path: Path) -> None:
    torch.save({"scoring_head.0.weight": torch.zeros(3)}, tmp_path / "aesthetic_predictor_v2_5.pth")
    (tmp_path / "model.safetensors").symlink_to(folder / "model.safetensors")
    with pytest.raises(WrongWeights, match=r"aesthetic_predictor_v2_5\.pth") as caught:
        load(tmp_path)
    assert "scoring_head.8.bias" in caught.value.missing
