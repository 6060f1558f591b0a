"""ARNIQA's full score against what the original gave."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms
from torchvision.transforms import functional

from keepers.core.errors import WrongWeights
from keepers.core.judging.classifier import Classifier
from keepers.core.pictures.open import open_image
from keepers.core.runtime import Runtime
from keepers.core.spec import ModelSpec
from keepers.core.weights.store import WeightStore
from keepers.models import arniqa
from keepers.models.arniqa import DATA_SETS, CropsView, regressor_file
from keepers.models.nets.arniqa import Arniqa, Encoder
from keepers.tests.models.tiny_models import write_encoder, write_regressor
from keepers.tests.parity.faramir_pictures import scene, write_pictures

GOLDEN = Path(__file__).parents[1] / "data" / "arniqa" / "golden.npz"
ORDER = ("live", "csiq", "tid2013", "kadid10k", "flive", "spaq", "clive", "koniq10k")
"""The data sets in the order of the golden values."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    write_encoder(folder / arniqa.ENCODER.name, 64)
    for data_set in DATA_SETS:
        write_regressor(folder / regressor_file(data_set).name, data_set, 4096)
    return folder


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("narrow")
    write_encoder(folder / arniqa.ENCODER.name, 4)
    write_regressor(folder / regressor_file("kadid10k").name, "kadid10k", 256)
    return folder


def load(folder: Path, spec: ModelSpec = arniqa.SPEC, precision: str = "exact") -> Classifier:
    assert precision in ("exact", "fast")
    return Classifier.load(spec, WeightStore([folder]), Runtime(device="cpu"), precision)


def test_golden_values_of_the_original(folder: Path, tmp_path: Path) -> None:
    net = cast("Arniqa", load(folder).network.module)
    views = (CropsView(), CropsView(halve=True))
    with np.load(GOLDEN) as golden, torch.inference_mode():
        assert len(golden) == 4
        write_pictures(tmp_path, only=golden)
        for name in list(golden)[1:3]:
            image = open_image(tmp_path / name)
            found = [net.encoder(view(image)) for view in views]
            for data_set, wanted in zip(ORDER, golden[name], strict=True):
                ours = _scored(folder, data_set, net.encoder, found)
                assert ours == pytest.approx(float(wanted), abs=1e-4), (name, data_set)


def _scored(folder: Path, data_set: str, encoder: Encoder, features: list[torch.Tensor]) -> float:
    """The regressor of a data set over features that are computed once for all eight."""

    class Known(torch.nn.Module):
        def forward(self, _pixels: torch.Tensor) -> torch.Tensor:
            return torch.cat(features)

    specs = {spec.id: spec for spec in arniqa.SPEC.variants}
    store = WeightStore([folder])
    loaded = Classifier.load(
        specs[f"arniqa:{data_set}"], store, Runtime(device="cpu"), "exact", lambda _key, _make: encoder
    )
    net = cast("Arniqa", loaded.network.module)
    net.encoder = Known()  # pyright: ignore[reportAttributeAccessIssue]  stands for the encoder
    empty = torch.zeros(1, 5, 3, 1, 1)
    return float(net(empty, empty))


def test_whole_model_equals_its_parts(narrow: Path) -> None:
    picture = scene(700, 500, 3)
    model = load(narrow)
    net = cast("Arniqa", model.network.module)
    with torch.inference_mode():
        features = [net.encoder(view(picture)) for view in (CropsView(), CropsView(halve=True))]
    assert model.classify([picture])[0]["quality"] == pytest.approx(
        _scored(narrow, "kadid10k", net.encoder, features), abs=1e-4
    )


@pytest.mark.parametrize("size", [(512, 512), (301, 203), (100, 700), (225, 449)])
def test_views_equal_torchvisions(size: tuple[int, int]) -> None:
    picture = scene(*size, seed=4)
    width, height = picture.size
    half = transforms.Resize((height // 2, width // 2))(picture)
    normalize = transforms.Normalize(mean=arniqa.IMAGENET_MEAN, std=arniqa.IMAGENET_STD)
    for image, view in ((picture, CropsView()), (half, CropsView(halve=True))):
        wide, tall = image.size
        places = (
            (tall // 2 - 112, wide // 2 - 112),
            (0, 0),
            (tall - 224, 0),
            (0, wide - 224),
            (tall - 224, wide - 224),
        )
        crops = [functional.crop(cast("torch.Tensor", image), *at, 224, 224) for at in places]
        wanted = torch.stack([normalize(functional.to_tensor(cast("Image.Image", crop))) for crop in crops])
        assert torch.equal(view(picture), wanted)


def test_one_pixel_is_answered(narrow: Path) -> None:
    assert np.isfinite(load(narrow).classify([scene(1, 1, 5)])[0]["quality"])


def test_folding_changes_nothing(narrow: Path) -> None:
    tensors = torch.load(narrow / "ARNIQA.pth", weights_only=True)
    plain = Encoder(width=4).eval()
    plain.load_state_dict(tensors)
    folded = cast("Arniqa", load(narrow).network.module).encoder
    pixels = CropsView()(scene(400, 300, 6))
    with torch.inference_mode():
        torch.testing.assert_close(folded.projected(pixels), plain.projected(pixels), atol=2e-5, rtol=0)


def test_variants_and_gates() -> None:
    assert [spec.id for spec in arniqa.SPEC.variants] == [f"arniqa:{name}" for name in DATA_SETS]
    assert arniqa.SPEC.weights[1].name == "regressor_kadid10k.pth", "the original's default"
    assert arniqa.SPEC.variants[1].gate == "accept: arniqa:live.quality >= 0.5"


def test_a_foreign_regressor_is_refused(narrow: Path, tmp_path: Path) -> None:
    torch.save({"coefficients": torch.zeros(1, 256)}, tmp_path / "regressor_kadid10k.pth")
    (tmp_path / "ARNIQA.pth").symlink_to(narrow / "ARNIQA.pth")
    with pytest.raises(WrongWeights, match="biases"):
        load(tmp_path)
    torch.save({"weights": torch.zeros(1, 9), "biases": torch.zeros(())}, tmp_path / "regressor_kadid10k.pth")
    with pytest.raises(WrongWeights, match="256"):
        load(tmp_path)
