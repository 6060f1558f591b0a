"""Realism detectors in use: files, names, gates, views, and what is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision import transforms

from keepers.core.errors import GateError, MissingWeights, NotExplainable, UnknownName, WrongWeights
from keepers.core.gates.gate import Gate
from keepers.core.heatmaps.heatmap import heatmaps
from keepers.core.judging.case import Subject
from keepers.core.judging.classifier import Classifier, model_fingerprint
from keepers.core.judging.judge import Judge
from keepers.core.pictures.preprocess import HALF
from keepers.core.prediction import Prediction
from keepers.core.runtime import Runtime
from keepers.core.weights.store import WeightStore
from keepers.models.nets.siglip import SigLip
from keepers.models.realism import realism
from keepers.models.realism.format import FORMAT, Description, Shape
from keepers.models.realism.net import BasicDetector, ResNetDetector, from_torchvision
from keepers.models.realism.view import Window
from keepers.models.registry import REGISTRY
from keepers.models.siglip import SIGLIP
from keepers.tests.models.tiny_models import SMALL_DETECTOR, random_state, write_detector
from keepers.tests.rounding import rounding
from keepers.train.realism.probe_features import feature_reader

CPU = Runtime(device="cpu", precision="exact")


def load(folder: Path, model: str) -> Classifier:
    store = WeightStore([folder])
    return Classifier.load(REGISTRY.spec(model, store), store, CPU, "exact")


def noise_picture(seed: int = 0, size: tuple[int, int] = (90, 70)) -> Image.Image:
    return Image.fromarray(np.random.RandomState(seed).randint(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def test_without_a_detector_it_says_how_to_train_one(tmp_path: Path) -> None:
    with pytest.raises(MissingWeights, match=r"keepers train realism --class real=FOLDER --class ai=FOLDER"):
        load(tmp_path, "realism")
    judge = Judge(REGISTRY, WeightStore([tmp_path]), CPU)
    (judged,) = judge.judge([Subject(noise_picture)], Gate.parse("realism.real >= 0.5"))
    assert judged.verdict.outcome == "review" and "keepers train realism" in judged.verdict.reason


def test_detectors_live_side_by_side_and_the_last_trained_is_the_usual(tmp_path: Path) -> None:
    write_detector(tmp_path, "old", trained="2026-01-01T00:00:00Z")
    write_detector(tmp_path, "flux-vs-photo", ("photo", "flux", "sdxl"), trained="2026-03-01T00:00:00Z")
    write_detector(tmp_path, "older", trained="2025-01-01T00:00:00Z")
    store = WeightStore([tmp_path])
    ids = [spec.id for spec in REGISTRY.variants(REGISTRY.spec("realism", store), store)]
    assert ids == ["realism:flux-vs-photo", "realism:old", "realism:older"]
    assert all(REGISTRY.spec(model, store).usual is None for model in ("realism", *ids))
    usual = REGISTRY.spec("realism", store)
    assert usual.id == "realism" and usual.labels and usual.labels().names == ("photo", "flux", "sdxl")
    prediction = load(tmp_path, "realism:flux-vs-photo").classify([noise_picture()])[0]
    assert prediction.values.sum() == pytest.approx(1, abs=1e-6) and prediction.label in ("photo", "flux", "sdxl")
    assert prediction.model == "realism:flux-vs-photo"
    prints = {model_fingerprint(REGISTRY.spec(model, store), store) for model in ("realism", *ids)}
    assert len(prints) == 4


def test_the_usual_detector_s_fingerprint_follows_the_newest_file(tmp_path: Path) -> None:
    write_detector(tmp_path, "a", trained="2026-01-01T00:00:00Z")
    store = WeightStore([tmp_path])
    before = model_fingerprint(REGISTRY.spec("realism", store), store)
    write_detector(tmp_path, "b", trained="2026-02-01T00:00:00Z")
    assert model_fingerprint(REGISTRY.spec("realism", store), store) != before


def test_a_gate_that_names_other_classes_is_refused(tmp_path: Path) -> None:
    write_detector(tmp_path, "styles", ("photo", "painting"))
    judge = Judge(REGISTRY, WeightStore([tmp_path]), CPU)
    judge.check(Gate.parse('realism:styles.photo >= 0.5 and realism["painting"] < 0.9'))
    with pytest.raises(GateError, match=r"no label 'paint'.*painting"):
        judge.check(Gate.parse("realism:styles.paint >= 0.5"))
    with pytest.raises(GateError, match="'real'"):
        judge.check(Gate.parse("realism.real >= 0.5"))


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        ({}, "says nothing of itself"),
        ({FORMAT.key: "{"}, "description is damaged"),
        ({FORMAT.key: json.dumps({"format": 99})}, "newer Keepers"),
        ({FORMAT.key: json.dumps({"format": 1, "classes": ["a"]})}, "2 to 1000 different names"),
        ({FORMAT.key: "[" * 5000}, "description is damaged"),
    ],
)
def test_a_file_without_a_sound_description_is_told(metadata: dict[str, str], told: str, tmp_path: Path) -> None:
    path = write_detector(tmp_path, "strange", metadata=metadata)
    with pytest.raises(WrongWeights, match=told):
        FORMAT.read_file(path)
    with pytest.raises(WrongWeights, match=told):
        load(tmp_path, "realism:strange")


def test_a_description_cannot_ask_for_a_net_of_any_size(tmp_path: Path) -> None:
    described = json.loads(Description(("a", "b"), SMALL_DETECTOR, Window(48)).metadata()[FORMAT.key])
    for where, value in (("width", 10**9), ("blocks", [10**6]), ("kind", "system")):
        broken = {**described, "shape": {**described["shape"], where: value}}
        write_detector(tmp_path, "greedy", metadata={FORMAT.key: json.dumps(broken)})
        with pytest.raises(WrongWeights, match="no such net"):
            load(tmp_path, "realism:greedy")
    broken = {**described, "view": {**described["view"], "size": 10**6}}
    write_detector(tmp_path, "greedy", metadata={FORMAT.key: json.dumps(broken)})
    with pytest.raises(WrongWeights, match="no such view"):
        load(tmp_path, "realism:greedy")


def test_weights_of_another_shape_are_told_by_name(tmp_path: Path) -> None:
    described = Description(("real", "ai"), Shape("resnet", blocks=(1, 1), width=8), Window(48))
    write_detector(tmp_path, "other", metadata=described.metadata())
    with pytest.raises(WrongWeights, match=r"body\.0\.weight"):
        load(tmp_path, "realism:other")


def test_names_that_gates_cannot_say_are_passed_over(tmp_path: Path) -> None:
    write_detector(tmp_path, "good")
    (tmp_path / "realism" / "not good.safetensors").write_bytes(b"x")
    (tmp_path / "realism" / "broken.safetensors").write_bytes(b"x")
    store = WeightStore([tmp_path])
    found = {spec.id: spec for spec in REGISTRY.variants(REGISTRY.spec("realism", store), store)}
    assert set(found) == {"realism:good", "realism:broken"}
    assert "not a safetensors file" in found["realism:broken"].summary
    assert REGISTRY.spec("realism", store).labels is not None  # the broken one is never the usual one
    with pytest.raises(UnknownName, match="realism:good"):
        REGISTRY.spec("realism:goood", store)


@pytest.mark.parametrize("size", [(300, 260), (260, 300), (100, 300), (224, 224), (50, 60), (225, 223), (331, 97)])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "LA", "CMYK", "1"])
def test_the_view_has_the_same_bits_as_torchvision(size: tuple[int, int], mode: str) -> None:
    image = noise_picture(1, size).convert(mode)
    for window in (Window(224), Window(250, mean=HALF, std=HALF)):
        theirs = transforms.Compose(
            [
                transforms.Grayscale(num_output_channels=3),
                transforms.CenterCrop(window.size),
                transforms.ToTensor(),
                transforms.Normalize(list(window.mean), list(window.std)),
            ]
        )(image)
        assert isinstance(theirs, torch.Tensor) and torch.equal(window(image), theirs)


def test_the_view_tells_which_part_it_shows() -> None:
    assert Window(224).region((300, 100)) == (38, -62, 262, 162)
    assert Window(224).region((224, 224)) == (0, 0, 224, 224)
    image = Image.new("L", (300, 240))
    image.putpixel((38 + 5, 8 + 7), 255)
    found = Window(224).pixels(image)
    assert found[0, 7, 5] == 255 and found.sum() == 255
    wider = Window(224).pixels(image, margin=4)
    assert wider.shape == (1, 232, 232) and wider[0, 11, 9] == 255


def test_the_nets_have_torchvision_s_and_the_study_s_numbers() -> None:
    from torchvision.models import resnet18

    theirs = resnet18(num_classes=2)
    theirs.load_state_dict(random_state(theirs))
    ours = ResNetDetector(2)
    tensors = {**from_torchvision(theirs.state_dict()), **{f"fc.{n}": t for n, t in theirs.fc.state_dict().items()}}
    ours.load_state_dict(tensors)
    pixels = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(ours.eval()(pixels), theirs.eval()(pixels), atol=1e-4, rtol=1e-4)
    for size, wide in ((224, 44_944), (250, 55_696), (248, 55_696), (251, 55_696)):
        assert BasicDetector(size=size).fc1.in_features == wide


def test_spare_outputs_of_the_small_net_are_no_answers(tmp_path: Path) -> None:
    write_detector(tmp_path, "cnn", shape=Shape("basic", outputs=10), view=Window(48, mean=HALF, std=HALF))
    prediction = load(tmp_path, "realism:cnn").classify([noise_picture()])[0]
    assert len(prediction.values) == 2 and prediction.values.sum() == pytest.approx(1, abs=1e-6)


def test_fast_stays_within_its_tolerance(tmp_path: Path) -> None:
    write_detector(tmp_path, "x")
    store = WeightStore([tmp_path])
    exact, fast = (
        Classifier.load(REGISTRY.spec("realism:x", store), store, CPU, precision).classify([noise_picture(n)])[0]
        for precision in ("exact", "fast")
        for n in (1,)
    )
    assert (exact.tolerance, fast.tolerance) == (0, 1)
    assert np.abs(exact.values - fast.values).max() < fast.drift(fast.labels.names[0]) == realism.FAST_DRIFT


def test_a_probe_reads_its_backbone_from_the_model_folder(tmp_path: Path) -> None:
    import timm

    name = "resnet10t.c3_in1k"
    base = timm.create_model(name, pretrained=False, num_classes=0)
    (tmp_path / f"timm-{name}").mkdir()
    save_file(random_state(base), tmp_path / f"timm-{name}" / "model.safetensors")
    shape = Shape("probe", width=512, base=f"timm:{name}")
    described = Description(("real", "ai"), shape, Window(), "2026-01-01T00:00:00Z")
    (tmp_path / "realism").mkdir()
    head = {
        "mean": torch.zeros(512),
        "scale": torch.ones(512),
        "fc.weight": torch.randn(2, 512, generator=torch.Generator().manual_seed(0)) / 30,
        "fc.bias": torch.zeros(2),
    }
    save_file(head, tmp_path / "realism" / "probe.safetensors", metadata=described.metadata())
    asked = load(tmp_path, "realism:probe")
    image = noise_picture(2, (400, 400))
    found = asked.classify([image])[0]
    base.load_state_dict(random_state(base))
    with torch.no_grad():
        features = base.eval()(asked.prepare(image)[0][None])
        expected = (features @ head["fc.weight"].T).softmax(1)[0].numpy()
    assert isinstance(found, Prediction) and found.values == pytest.approx(expected, abs=rounding(12, 2300))
    assert asked.features([asked.prepare(image)]) == pytest.approx(features.numpy(), abs=1e-4)
    with pytest.raises(NotExplainable):
        heatmaps(asked, [image])


def test_a_probe_reads_siglip_s_pooled_vector_at_both_precisions(tmp_path: Path) -> None:
    tower = SigLip(width=144, hidden=160, depth=2)
    (tmp_path / SIGLIP.folder).mkdir()
    save_file(random_state(tower), tmp_path / SIGLIP.folder / SIGLIP.name)
    shape = Shape("probe", width=144, base="siglip")
    described = Description(("real", "ai"), shape, Window(), "2026-01-01T00:00:00Z")
    random = torch.Generator().manual_seed(0)
    head = {"mean": torch.zeros(144), "scale": torch.ones(144), "fc.bias": torch.zeros(2)}
    head["fc.weight"] = torch.randn(2, 144, generator=random) / 12
    (tmp_path / "realism").mkdir()
    save_file(head, tmp_path / "realism" / "sig.safetensors", metadata=described.metadata())
    store = WeightStore([tmp_path])
    spec = REGISTRY.spec("realism:sig", store)
    assert SIGLIP in spec.weights
    exact, fast = (Classifier.load(spec, store, CPU, precision) for precision in ("exact", "fast"))
    image = noise_picture(3, (500, 400))
    (prepared,) = exact.prepare(image)
    tower.load_state_dict(random_state(tower))
    with torch.no_grad():
        pooled = tower.eval()(prepared[None])
        expected = (pooled @ head["fc.weight"].T).softmax(1)[0].numpy()
    one, two = exact.classify([image])[0], fast.classify([image])[0]
    assert one.values == pytest.approx(expected, abs=1e-4)
    assert np.abs(one.values - two.values).max() < two.drift(two.labels.names[0]) == realism.PROBE_DRIFT
    read = feature_reader("siglip", store, "cpu")
    assert read.width == 144 and read.features([image]) == pytest.approx(pooled.numpy(), abs=1e-4)


def test_a_probe_without_its_backbone_says_what_is_missing(tmp_path: Path) -> None:
    shape = Shape("probe", width=512, base="timm:resnet10t.c3_in1k")
    (tmp_path / "realism").mkdir()
    described = Description(("real", "ai"), shape, Window())
    save_file({"mean": torch.zeros(512)}, tmp_path / "realism" / "p.safetensors", metadata=described.metadata())
    with pytest.raises(MissingWeights, match="timm/resnet10t"):
        load(tmp_path, "realism:p")
