"""What every model in the registry promises. `tiny_models.py` beside this file says what a new model has to add.

Each test runs for each model, for each variant that comes with Keepers, and for one that a user has made where a model
can find such (`realism:mine`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from keepers.core.errors import MissingWeights
from keepers.core.gates.gate import Gate
from keepers.core.heatmaps.heatmap import can_explain
from keepers.core.judging.classifier import Classifier, model_fingerprint
from keepers.core.prediction import OLD_TOLERANCE, Prediction
from keepers.core.runtime import Runtime
from keepers.core.spec import Build, ModelSpec, Network
from keepers.core.weights import assign
from keepers.core.weights.formats import read
from keepers.core.weights.store import WeightStore
from keepers.core.weights.weight_file import WeightFile
from keepers.models.registry import EXPLAINED, REGISTRY
from keepers.tests.models.layouts import Layout, place, read_layout
from keepers.tests.models.tiny_models import MINE, TINY, Tiny
from keepers.tests.parity.faramir_pictures import scene

BUILT_IN = [one.id for spec in REGISTRY for one in (spec, *spec.variants)]
MODELS = [*BUILT_IN, *(f"{spec.id}:{MINE}" for spec in REGISTRY if spec.find)]

NOT_STATED = "its page names no exact size, and no copy has been seen"
MADE_HERE = "it is made on the user's machine"
UNKNOWN_SIZES: Mapping[str, str] = {
    "coherence/coherence_model.safetensors": NOT_STATED,
    "coherence/coherence_model.pth": NOT_STATED,
    "resnet18-imagenet/model.safetensors": NOT_STATED,
    "resnet18-imagenet/resnet18-f37072fd.pth": NOT_STATED,
    "JTP_PILOT-e4-vit_so400m_patch14_siglip_384.safetensors": "only 1.75 GB is known, without the header",
    "JTP_PILOT2-e3-vit_so400m_patch14_siglip_384.safetensors": "only 1.8 GB is known, without the header",
    **{
        f"wd-{variant}-tagger-v3/{name}": NOT_STATED
        for variant in ("vit", "swinv2", "convnext", "vit-large", "eva02-large")
        for name in ("model.safetensors", "config.json")
    },
    "faramir/faramir-v1.pth": "only its git checksum is known",
    "siglip-so400m-384/model.safetensors": "only 1.71 GB is known, without the header",
    "siglip-so400m-384/open_clip_model.safetensors": "only 3.51 GB is known",
    "siglip-so400m-384/open_clip_pytorch_model.bin": "only 3.51 GB is known",
    "arniqa/ARNIQA.pth": "only 112 MB is known: it depends on how it was saved",
    **{
        f"arniqa/regressor_{data_set}.pth": NOT_STATED
        for data_set in ("kadid10k", "live", "csiq", "tid2013", "flive", "spaq", "clive", "koniq10k")
    },
    **{
        f"furry_{name}.safetensors": MADE_HERE
        for name in (
            "efficientnet_v2_m_384_3",
            "convnext_tiny_224_5",
            "efficientnet_v2_b3_300_2c",
            "mobilenet_v3_224_2c",
            MINE,
        )
    },
    **{f"{folder}/{MINE}.safetensors": MADE_HERE for folder in ("realism", "taste", "faramir-tuned")},
    "taste/NAME.safetensors": MADE_HERE,
}
"""Files whose size is not known, and why. An entry must go when the size is filled in."""

Stores = Callable[[str], WeightStore]


def family_of(model: str) -> str:
    return model.partition(":")[0]


def tiny(model: str) -> Tiny:
    family = family_of(model)
    if family not in TINY:
        pytest.fail(
            f'TINY in tests/models/tiny_models.py has no line for the model {family}. Add "{family}": Tiny(write), '
            f"where write(folder) writes the weight files of {family} at tiny width, or Tiny() if it has none."
        )
    return TINY[family]


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Stores:
    """The tiny weights of a model, in a folder of their own."""
    made: dict[str, WeightStore] = {}

    def store(model: str) -> WeightStore:
        family = family_of(model)
        if family not in made:
            folder = tmp_path_factory.mktemp(family)
            tiny(model).write(folder)
            made[family] = WeightStore([folder])
        return made[family]

    return store


def spec_of(model: str, stores: Stores) -> ModelSpec:
    return REGISTRY.spec(model, stores(model))


def only_made_by_users(spec: ModelSpec, store: WeightStore) -> bool:
    """Whether this id stands for what a user has yet to make, as "taste" does."""
    return spec.find is not None and any(
        file.page.startswith("keepers") and not store.find(file) for file in spec.weights
    )


@pytest.fixture(scope="module")
def classifiers(stores: Stores) -> Callable[[str], Classifier]:
    made: dict[str, Classifier] = {}

    def load(model: str) -> Classifier:
        if model not in made:
            spec, store = spec_of(model, stores), stores(model)
            if only_made_by_users(spec, store):
                with pytest.raises(MissingWeights, match=r"keepers (train|tune)"):
                    Classifier.load(spec, store, Runtime(device="cpu"), "exact")
                pytest.skip(f"{model} alone is nothing to ask: {model}:{MINE} is tested")
            made[model] = Classifier.load(spec, store, Runtime(device="cpu"), "exact")
        return made[model]

    return load


PICTURES = [scene(300, 200, 1), scene(256, 256, 2), scene(120, 400, 3)]


# At full width, without memory


def meta_tensors(layout: Layout) -> dict[str, Tensor]:
    """Tensors of the recorded shapes that take no memory. Whole numbers are zeros: loaders look at their values."""
    on = {name: "cpu" if name in layout.integers else "meta" for name in layout.tensors}
    kind = {name: torch.int64 if name in layout.integers else torch.float32 for name in layout.tensors}
    return {name: torch.zeros(shape, dtype=kind[name], device=on[name]) for name, shape in layout.tensors.items()}


def recorded(file: WeightFile) -> Layout:
    try:
        return read_layout(file)
    except FileNotFoundError:
        pytest.fail(
            f"{place(file)} is missing. Write down there the names and shapes of the tensors of {file.name}, as "
            "published: see tests/models/tiny_models.py."
        )


def build_on_meta(spec: ModelSpec, folder: Path) -> Network:
    """What the model's own loader builds from tensors without memory, on the meta device."""

    def path(file: WeightFile) -> Path:
        found = folder / file.folder / file.name
        if not found.is_file():  # its name and its fingerprint are asked for, never its content
            found.parent.mkdir(parents=True, exist_ok=True)
            found.touch()
        return found

    with torch.device("meta"), torch.no_grad():
        return spec.build(
            Build(
                tensors=lambda file: meta_tensors(recorded(file)),
                metadata=lambda file: recorded(file).metadata,
                path=path,
                precision="exact",
                device=torch.device("meta"),
                shared=lambda _key, make: make(),
            )
        )


@pytest.fixture
def no_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns off the only two checks of a loader that read numbers: at full width there are none."""
    monkeypatch.setattr(read, "require_finite", lambda tensors, path: None)
    monkeypatch.setattr(assign, "_require_complete", lambda module: None)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.usefixtures("no_values")
def test_the_published_layout_gives_a_value_for_each_label(model: str, stores: Stores, tmp_path: Path) -> None:
    spec = spec_of(model, stores)
    if only_made_by_users(spec, stores(model)):
        pytest.skip(f"{model} alone has no layout: {model}:{MINE} has")
    tiny(model).beside(tmp_path)
    network = build_on_meta(spec, tmp_path)
    held = [value for module in (network.module, *network.parts) for value in (*module.parameters(), *module.buffers())]
    assert all(value.is_meta or not value.is_floating_point() for value in held), "a tensor took memory"
    views = [view(PICTURES[0])[None] for view in network.views]
    with torch.inference_mode():
        values = network.module(*(view.to("meta") if spec.weights else view for view in views))
    assert values.shape == (1, len(network.labels))
    if spec.labels is not None:
        assert network.labels == spec.labels()


# At tiny width


def predictions(classifier: Classifier) -> list[Prediction]:
    return classifier.classify(PICTURES)


@pytest.mark.parametrize("model", MODELS)
def test_values_lie_in_their_ranges(model: str, classifiers: Callable[[str], Classifier]) -> None:
    classifier = classifiers(model)
    for prediction in predictions(classifier):
        assert np.isfinite(prediction.values).all()
        for index, name in enumerate(prediction.labels.names):
            reach, value = prediction.labels.range(index), float(prediction.values[index])
            assert reach.low < reach.high and reach.unit
            if name not in tiny(model).unlimited:
                assert reach.low <= value <= reach.high, f"{name} is {value}, and its range is {reach}"
    assert tiny(model).unlimited <= set(classifier.labels.names)
    assert not tiny(model).unlimited or "nothing limits" in classifier.spec.help.lower()


@pytest.mark.parametrize("model", MODELS)
def test_the_answer_is_a_known_word_that_holds_within_its_margin(
    model: str, classifiers: Callable[[str], Classifier]
) -> None:
    classifier, random = classifiers(model), np.random.RandomState(0)
    name = classifier.network.name
    for prediction in predictions(classifier):
        assert prediction.label in {"", *classifier.labels.names, *tiny(model).words}
        assert prediction.margin >= 0
        assert prediction.model == model
        if not prediction.label or math.isinf(prediction.margin):
            continue
        for _ in range(20):
            moved = 0.99 * prediction.margin * random.uniform(-1, 1, len(prediction.values))
            assert name((prediction.values + moved).astype(np.float32))[0] == prediction.label
    if classifier.spec.weights:  # what is measured without a net is never NaN
        assert name(np.full(len(classifier.labels), np.nan, np.float32))[0] == "", "NaN is no answer"


def rounding(module: nn.Module, values: NDArray[np.float32]) -> float:
    """How far float32 may move values when sums are added up in another order.

    A sum of K products moves by about sqrt(K) units of 2^-24 of its size, and the errors of L layers add up like
    sqrt(L). The factor 8 covers normalisation, which divides by spreads below 1. Values are taken to be 1 at least.
    """
    matrices = [value for value in module.state_dict().values() if value.ndim > 1]
    terms = max((math.prod(matrix.shape[1:]) for matrix in matrices), default=1)
    return 8 * math.sqrt(terms * max(len(matrices), 1)) * 2.0**-24 * max(1.0, float(np.abs(values).max()))


@pytest.mark.parametrize("model", MODELS)
def test_a_batch_of_three_is_three_singles(model: str, classifiers: Callable[[str], Classifier]) -> None:
    classifier = classifiers(model)
    batch = np.stack([prediction.values for prediction in predictions(classifier)])
    singles = np.stack([classifier.classify([picture])[0].values for picture in PICTURES])
    bound = rounding(classifier.network.module, singles)
    assert np.abs(batch - singles).max() <= bound
    assert np.ptp(singles, axis=0).max() > 4 * bound, "equal answers for all pictures would prove nothing"


@pytest.mark.parametrize("model", MODELS)
def test_the_menus_of_heatmaps_hold_every_model_that_has_one(
    model: str, classifiers: Callable[[str], Classifier]
) -> None:
    assert can_explain(classifiers(model)) == (family_of(model) in EXPLAINED)


@pytest.mark.parametrize("model", MODELS)
def test_the_fingerprint_changes_with_the_version(model: str, stores: Stores) -> None:
    spec, store = spec_of(model, stores), stores(model)
    assert spec.version
    if only_made_by_users(spec, store):
        assert model_fingerprint(spec, store) == ""
        return
    newer = replace(spec, version=spec.version + "x")
    assert "" != model_fingerprint(spec, store) != model_fingerprint(newer, store) != ""


# What it says of itself


@pytest.mark.parametrize("model", MODELS)
def test_the_id_is_its_own(model: str, stores: Stores) -> None:
    spec = spec_of(model, stores)
    assert spec.id == model
    assert re.fullmatch(r"[a-z][a-z0-9_]*(:[A-Za-z0-9_-]+)?", model)
    assert all(one.id.startswith(f"{model}:") for one in spec.variants)
    assert BUILT_IN.count(model) <= 1
    assert spec.title and spec.summary.endswith(".")


@pytest.mark.parametrize("model", MODELS)
def test_the_usual_gate_reads_this_model_alone(model: str, stores: Stores) -> None:
    spec = spec_of(model, stores)
    if not spec.gate:
        return
    gate = Gate.parse(spec.gate)
    assert set(gate.models) == {model}
    gate.check(lambda _model: spec.labels() if spec.labels else None)


@pytest.mark.parametrize("model", MODELS)
def test_a_net_has_a_cost(model: str, stores: Stores) -> None:
    assert spec_of(model, stores).cost > 0


def all_files(spec: ModelSpec) -> list[WeightFile]:
    return [one for file in spec.weights for one in (file, *file.alternatives)]


@pytest.mark.parametrize("model", MODELS)
def test_source_licence_and_size_are_stated(model: str, stores: Stores) -> None:
    spec = spec_of(model, stores)
    assert spec.source.startswith("https://") or spec.source in ("trained here", "learned here", "tuned here")
    assert spec.licence
    for file in all_files(spec):
        assert file.licence, file.name
        assert file.repo or file.url.startswith("https://") or file.page, f"nobody can get {file.name}"
        assert re.fullmatch(r"([0-9a-f]{64})?", file.sha256) and re.fullmatch(r"([0-9a-f]{40})?", file.git_sha1)
        key = f"{file.folder}/{file.name}".removeprefix("/")
        if file.size == 0:
            assert key in UNKNOWN_SIZES, f"state the size of {key} in bytes, or in UNKNOWN_SIZES why nobody knows it"
        else:
            assert key not in UNKNOWN_SIZES, f"{key} has a size now: take it out of UNKNOWN_SIZES"


def test_no_unknown_size_is_left_over(stores: Stores) -> None:
    files = {
        f"{file.folder}/{file.name}".removeprefix("/") for model in MODELS for file in all_files(spec_of(model, stores))
    }
    trained_from = {"resnet18-imagenet/model.safetensors", "resnet18-imagenet/resnet18-f37072fd.pth"}
    assert set(UNKNOWN_SIZES) <= files | trained_from


def limits_of(spec: ModelSpec) -> str:
    return spec.help.rpartition("Limits: ")[2] if "Limits: " in spec.help else ""


@pytest.mark.parametrize("model", MODELS)
def test_help_ends_with_the_limits(model: str, stores: Stores) -> None:
    spec = spec_of(model, stores)
    limits = limits_of(spec)
    assert limits, f"the help of {model} must end with a paragraph that begins with 'Limits: '"
    assert spec.help.count("Limits: ") == 1 and f"\nLimits: {limits}" in spec.help
    assert limits.endswith(".") and len(limits.split()) >= 8, "say in whole sentences where not to trust it"
    assert limits.strip() not in spec.summary


def test_each_model_has_limits_of_its_own() -> None:
    limits = [limits_of(spec) for spec in REGISTRY]
    assert len(set(limits)) == len(limits), "limits that fit every model say nothing of one"


def test_no_group_may_drift_further_than_numbers_of_earlier_versions_are_taken_to() -> None:
    for spec in REGISTRY:
        labels = spec.labels() if spec.labels and spec.id != "taste" else None  # a taste's own tolerance was stored
        for index in range(len(labels)) if labels and labels.drifts else ():
            low, high, _ = labels.range(index) if labels else (0, 1, "")
            drift = labels.drift(index) if labels else 0.0
            assert not np.isfinite(high - low) or 0 < drift <= OLD_TOLERANCE * (high - low), (spec.id, index)
