"""FARAMIR: its views and its net against what the original gave, its outputs, precisions, and refusals."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from PIL import __version__ as pillow_version
from safetensors.torch import save_file
from torch import Tensor, nn

from keepers.core.errors import NotExplainable, WrongWeights
from keepers.core.heatmaps.heatmap import heatmaps
from keepers.core.judging.classifier import Classifier
from keepers.core.pictures.open import open_image
from keepers.core.runtime import Runtime
from keepers.core.spec import Precision
from keepers.core.weights.store import WeightStore
from keepers.models import aesthetic, arniqa, siglip
from keepers.models.faramir import faramir, labels
from keepers.models.faramir.explain import explain
from keepers.models.faramir.labels import ACCEPTED, CLASSES, LABELS, REJECTED
from keepers.models.faramir.net import Faramir
from keepers.models.faramir.notes import notes
from keepers.models.faramir.views import PictureView, QualityView
from keepers.models.nets.arniqa import Arniqa, Encoder
from keepers.models.nets.siglip import Block, Dense, Packed
from keepers.tests.models.tiny_models import faramir_tensors, seeded
from keepers.tests.parity.faramir_pictures import PROFILED, REFUSED, scene, with_alpha, write_pictures

DATA = Path(__file__).parents[2] / "data" / "faramir"
CHANGED = ("rgb-37x900.png",)
"""Pillow 13 scales this shape otherwise than Pillow 11, with which the golden values were recorded."""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    write_pictures(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The four files, in the published layout, at tiny width; ARNIQA at full width stands in full/."""
    folder = tmp_path_factory.mktemp("weights")
    tensors = faramir_tensors()
    save_file(tensors["backbone"], folder / "model.safetensors")
    torch.save(tensors["own"], folder / "faramir-v1.pth")
    torch.save(tensors["arniqa"], folder / "ARNIQA.pth")
    (folder / "full").mkdir()
    with torch.device("meta"):
        encoder = Encoder()
    torch.save(seeded(encoder, "arniqa."), folder / "full" / "ARNIQA.pth")
    bf16 = {k: v.bfloat16() for k, v in tensors["aesthetic"].items()}
    torch.save(bf16, folder / "aesthetic_predictor_v2_5.pth")
    (folder / "exact").mkdir()
    torch.save(tensors["aesthetic"], folder / "exact" / "aesthetic_predictor_v2_5.pth")
    return folder


def load(
    folder: Path, model: str = "faramir", precision: Precision = "exact", explicit: Mapping[str, Path] | None = None
) -> Classifier:
    specs = {spec.id: spec for spec in (faramir.SPEC, *faramir.SPEC.variants, aesthetic.SPEC)}
    named = {"aesthetic_predictor_v2_5.pth": folder / "exact" / "aesthetic_predictor_v2_5.pth"}
    store = WeightStore([folder], explicit={**named, **(explicit or {})})
    return Classifier.load(specs[model], store, Runtime(device="cpu"), precision)


@pytest.fixture(scope="module")
def exact(folder: Path) -> Classifier:
    return load(folder)


def net(classifier: Classifier) -> Faramir:
    assert isinstance(classifier.network.module, Faramir)
    return classifier.network.module


def first_block(classifier: Classifier) -> Block:
    return cast("Block", net(classifier).tower.blocks[0])


# Views


def halves(tensor: Tensor) -> str:
    return hashlib.sha256(tensor.numpy().astype(np.float16).tobytes()).hexdigest()[:16]


def test_views_equal_the_originals_bit_for_bit(pictures: Path) -> None:
    golden = json.loads((DATA / "views.json").read_text())
    assert len(golden) >= 20
    changed = () if int(pillow_version.split(".")[0]) == 11 else CHANGED
    for name in sorted(set(golden) - {*PROFILED, *changed}):
        image = open_image(pictures / name)
        assert [halves(PictureView()(image)), halves(QualityView()(image))] == golden[name], name


def test_profiles_are_applied(pictures: Path) -> None:
    image = open_image(pictures / "profile.png")
    plain = image.copy()
    plain.info.pop("icc_profile")
    for view in (PictureView(), QualityView()):
        red, green, _ = view(image)
        plain_red, plain_green, _ = view(plain)
        assert (red - plain_red).abs().mean() > 0.02, "exchanged primaries show"
        assert (green - plain_green).abs().mean() > 0.02


def test_quality_may_be_cut_before_it_is_converted(pictures: Path) -> None:
    from keepers.models.faramir.views import to_srgb

    for name in ("profile.png", "alpha.png", "palette.png", "cmyk.tif", "keyed.png"):
        image = open_image(pictures / name)
        converted = np.asarray(to_srgb(image))[:512, :512, :3]
        left, top = ((512 - min(side, 512)) // 2 for side in image.size)
        shown = (QualityView(faithful=False)(image) * 255).round().numpy().astype(np.uint8)
        assert shown.shape == (3, 512, 512)
        inside = QualityView()(image)[:, top : top + converted.shape[0], left : left + converted.shape[1]]
        levels = torch.from_numpy((np.arange(256, dtype=np.float16) / np.float16(255)).astype(np.float32))
        wanted = levels[torch.from_numpy(converted[top:, left:].copy()).long()].permute(2, 0, 1)
        assert torch.equal(inside[:, : wanted.shape[1], : wanted.shape[2]], wanted), name


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_original_refuses_is_seen_as_rgba(pictures: Path, name: str) -> None:
    image = open_image(pictures / name)
    rgba = image.convert("RGBA")
    rgba.info.clear()
    for view in (PictureView(), QualityView()):
        assert torch.equal(view(image), view(rgba))
    if name != "thin.png":
        assert PictureView()(image).std() > 0.05


def test_fixed_views_differ_where_they_should() -> None:
    picture = scene(900, 700, 1)
    centre = QualityView(faithful=False)(picture)
    wanted = np.asarray(picture)[94:606, 194:706].transpose(2, 0, 1).astype(np.float32) / 255
    assert torch.equal(centre, torch.from_numpy(wanted))
    corner = QualityView()(picture)
    assert (corner - torch.from_numpy(np.asarray(picture)[:512, :512].transpose(2, 0, 1) / 255)).abs().max() < 3e-4
    small = scene(100, 80, 2)
    assert QualityView()(small).count_nonzero() == 0, "the original shows nothing of pictures this small"
    assert (QualityView(faithful=False)(small) != 0).any(0).sum() > 7900


def test_transparent_is_black_and_the_image_is_left_alone() -> None:
    picture = with_alpha(400, 400, 3)
    before = picture.tobytes()
    view = PictureView()(picture)
    assert view[:, :, 383].max() == 0
    assert view[:, :, :100].max() > 0.3
    assert picture.tobytes() == before
    assert picture.mode == "RGBA"


# The net


def test_golden_values_of_the_original(folder: Path, pictures: Path) -> None:
    wide = load(folder, explicit={"ARNIQA.pth": folder / "full" / "ARNIQA.pth"})
    with np.load(DATA / "golden.npz") as golden:
        assert len(golden) == 3
        for name in golden:
            found = wide.classify([open_image(pictures / name)])[0]
            values, logit, raw, gate, score = np.split(golden[name], (30, 31, 61, 91))
            for ending, wanted in (("logit", values), ("raw", raw), ("gate", gate)):
                ours = [found[f"{label} {ending}"] for label in CLASSES]
                np.testing.assert_allclose(ours, wanted, atol=1e-4)
            accept = 1 / (1 + np.exp(-float(logit[0])))
            assert found["accept"] == pytest.approx(accept, abs=1e-5)
            assert found["confidence"] == found["accept"]
            assert found[labels.AESTHETIC] == pytest.approx(float(score[0]), abs=1e-4)
            start, stop = (0, 9) if accept > 0.5 else (9, 30)
            assert found.label == CLASSES[start + int(values[start:stop].argmax())]


def test_decision_follows_from_the_stored_values(exact: Classifier, pictures: Path) -> None:
    found = exact.classify([open_image(pictures / "alpha.png")])[0]
    inputs = [found[f"{label} logit"] for label in CLASSES] + [found["free 1"], found["free 2"]]
    with torch.inference_mode():
        logit = net(exact).own.head.decide(torch.tensor([inputs]))
    assert found["accept logit"] == pytest.approx(logit.item(), abs=1e-6)
    gated = [found[f"{label} raw"] / (1 + np.exp(-found[f"{label} gate"])) for label in CLASSES]
    np.testing.assert_allclose(gated, inputs[:30], atol=1e-6)


def test_labels() -> None:
    assert LABELS.names[0] == "accept"
    assert [LABELS.names[i] for i in LABELS.members("accept")] == list(ACCEPTED)
    assert [LABELS.names[i] for i in LABELS.members("reject")] == list(REJECTED)
    assert (len(ACCEPTED), len(REJECTED)) == (9, 21)
    assert "degraded" in REJECTED, "as the code spells it, where its README has degrated"
    assert LABELS.range(LABELS.index(labels.AESTHETIC)).high == 10.0


def values_with(accept: float, **logits: float) -> np.ndarray:
    values = np.zeros(len(LABELS), dtype=np.float32)
    values[0] = accept
    for index, label in enumerate(CLASSES):
        logit = logits.get(f"_{label}", -4.0)
        values[1 + index], values[labels.LOGITS][index] = 1 / (1 + np.exp(-logit)), logit
    return values


def test_label_and_margin() -> None:
    values = values_with(0.6, _2d_anime=2.0, _3d_scene=1.0, _text=5.0)
    label, margin = labels.name(values)
    assert label == "2d_anime"
    assert margin == pytest.approx((0.8808 - 0.7311) / 2, abs=1e-3)
    assert labels.name(values_with(0.49, _2d_anime=2.0, _text=5.0))[0] == "text"
    assert labels.name(values_with(0.49, _text=5.0))[1] == pytest.approx(0.01, abs=1e-6)
    assert labels.name(values_with(0.5, _text=5.0))[0] == "text", "accepted only above the threshold"
    assert labels.name(values_with(float("nan"))) == ("", 0.0)


def test_fast_stays_within_its_tolerance(folder: Path, exact: Classifier, pictures: Path) -> None:
    fast = load(folder, precision="fast")
    assert next(net(fast).tower.parameters()).dtype == torch.bfloat16
    assert net(fast).own.head.linear_1.weight.dtype == torch.float32
    for name in ("rgb-384x384.png", "alpha.png"):
        image = open_image(pictures / name)
        ours, theirs = fast.classify([image])[0], exact.classify([image])[0]
        assert (ours.tolerance, theirs.tolerance) == (1, 0)
        assert ours["accept"] != theirs["accept"]
        off = {label: abs(ours[label] - theirs[label]) for label in ours.labels.names}
        assert not {label: by for label, by in off.items() if by > ours.drift(label)}
        assert ours.drift("3d_no_fur") < ours.drift("accept") < ours.drift("accept logit") == np.inf


def test_packed_layers_equal_plain_ones(folder: Path, exact: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {type(layer) for layer in first_block(exact).mlp.children()}
    if kinds != {Packed}:
        pytest.skip("this torch has no prepacked layers")
    monkeypatch.setattr("keepers.models.nets.siglip.can_pack", lambda _: False)
    plain = load(folder)
    assert isinstance(first_block(plain).mlp.fc1, Dense)
    image = scene(384, 300, 5)
    ours, theirs = exact.classify([image])[0].values, plain.classify([image])[0].values
    np.testing.assert_allclose(ours, theirs, atol=2e-5)


def test_batches_give_what_single_pictures_give(exact: Classifier) -> None:
    images = [scene(400, 300, 6), scene(300, 500, 7)]
    together = exact.classify(images)
    for image, prediction in zip(images, together, strict=True):
        np.testing.assert_allclose(exact.classify([image])[0].values, prediction.values, atol=2e-5)


# Files


def test_openclips_layout_gives_the_same(folder: Path, exact: Classifier, tmp_path: Path) -> None:
    for name in ("faramir-v1.pth", "ARNIQA.pth"):
        (tmp_path / name).symlink_to(folder / name)
    (tmp_path / "exact").symlink_to(folder / "exact")
    inside = {siglip.VISUAL + key: value for key, value in faramir_tensors()["backbone"].items()}
    torch.save(
        {**inside, "text.token_embedding.weight": torch.zeros(3), "logit_scale": torch.ones(1)},
        tmp_path / "open_clip_pytorch_model.bin",
    )
    image = scene(384, 300, 8)
    ours, theirs = load(tmp_path).classify([image])[0], exact.classify([image])[0]
    np.testing.assert_array_equal(ours.values, theirs.values)


def test_wrong_files_are_named(folder: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "model.safetensors"
    save_file({**faramir_tensors()["backbone"], "head.weight": torch.zeros(3, 144)}, wrong)
    with pytest.raises(WrongWeights, match=r"head\.weight") as caught:
        load(folder, explicit={"model.safetensors": wrong})
    assert caught.value.unexpected == ("head.weight",)
    short = {k: v for k, v in faramir_tensors()["own"].items() if k != "head.linear_4.bias"}
    torch.save(short, tmp_path / "faramir-v1.pth")
    with pytest.raises(WrongWeights) as caught:
        load(folder, explicit={"faramir-v1.pth": tmp_path / "faramir-v1.pth"})
    assert caught.value.missing == ("head.linear_4.bias",)


def test_backbone_and_encoder_are_in_memory_once(folder: Path, tmp_path: Path) -> None:
    modules: dict[str, nn.Module] = {}

    def shared(key: str, make: Callable[[], nn.Module]) -> nn.Module:
        return modules.setdefault(key, modules.get(key) or make())

    file = arniqa.regressor_file("kadid10k")
    save_file({"weights": torch.zeros(1, 256), "biases": torch.tensor(3.0)}, folder / file.name)
    store = WeightStore([folder])
    loaded = [
        Classifier.load(spec, store, Runtime(device="cpu"), "exact", shared)
        for spec in (faramir.SPEC, aesthetic.SPEC, arniqa.SPEC)
    ]
    assert len(modules) == 2
    tower, encoder = modules.values()
    assert loaded[0].network.parts[0] is tower is loaded[1].network.parts[0]
    assert loaded[0].network.parts[1] is encoder is cast("Arniqa", loaded[2].network.module).encoder


def test_fixed_variant_has_the_same_net(folder: Path, exact: Classifier) -> None:
    fixed = load(folder, "faramir:fixed")
    assert fixed.network.views == (PictureView(faithful=False), QualityView(faithful=False))
    large = scene(900, 800, 9)
    ours, theirs = fixed.classify([large])[0], exact.classify([large])[0]
    assert ours.model == "faramir:fixed"
    assert ours.fingerprint != theirs.fingerprint
    assert abs(ours.values - theirs.values).max() > 1e-3, "the centre is not the corner"


def test_licences_are_all_told() -> None:
    licences = {file.licence.split()[0] for file in faramir.SPEC.weights}
    assert licences == {"MPL-2.0", "Apache-2.0", "AGPL-3.0"}
    assert all(file.licence for file in faramir.SPEC.weights)


# Explanations


def test_contributions_add_up_to_the_decision(exact: Classifier, pictures: Path) -> None:
    prediction = exact.classify([open_image(pictures / "alpha.png")])[0]
    head = net(exact).own.head
    with torch.inference_mode():
        found = explain(prediction, head)
    assert len(found.contributions) == 32
    assert found.logit == pytest.approx(prediction["accept logit"], abs=1e-5)
    assert found.start == pytest.approx(head.decide(torch.zeros(1, 32)).item(), abs=1e-6)
    assert found.start + sum(one.adds for one in found.contributions) == pytest.approx(found.logit, abs=1e-3)
    assert max(abs(one.adds) for one in found.contributions) > 0.01
    inputs = np.array(
        [prediction[f"{label} logit"] for label in CLASSES] + [prediction["free 1"], prediction["free 2"]]
    )
    for one in found.contributions[:5]:
        step = np.zeros(32)
        step[(*CLASSES, "free 1", "free 2").index(one.label)] = 1e-2
        with torch.no_grad():
            up, down = (head.decide(torch.tensor(inputs + sign * step).float()[None]).item() for sign in (1, -1))
        assert one.slope == pytest.approx((up - down) / 2e-2, abs=1e-3)


def test_reasons_are_ranked_and_gated(exact: Classifier, pictures: Path) -> None:
    prediction = exact.classify([open_image(pictures / "rgb-384x384.png")])[0]
    found = explain(prediction, net(exact).own.head)
    best = found.accepting[0] if prediction["accept"] > 0.5 else found.rejecting[0]
    assert best.label == prediction.label
    assert (len(found.accepting), len(found.rejecting)) == (9, 21)
    assert best.raw * best.gate == pytest.approx(best.value, abs=1e-5)


@pytest.mark.parametrize("label", ["", "accept", "text", "2d_bad logit"])
def test_heatmap_splits_what_the_pool_read(exact: Classifier, label: str) -> None:
    picture = scene(500, 400, 11)
    with torch.inference_mode():
        found = heatmaps(exact, [picture], label)[0]
    assert found.values.shape == (27, 27)
    assert found.values.max() == pytest.approx(1.0, abs=1e-3)
    wanted = exact.classify([picture])[0]
    np.testing.assert_allclose(found.prediction.values, wanted.values, atol=1e-5)
    assert found.label == (label or wanted.label)
    assert found.over().shape == (400, 500)


def test_heatmap_follows_the_only_patch_that_is_read(exact: Classifier) -> None:
    """With one patch's vector made to speak for a class, and the others silent, the map must point there."""
    module = net(exact)
    features = torch.zeros(1, 729, 144)
    values, chosen, maps = _mapped(module, features)
    assert maps.shape == (1, 27, 27)
    features[0, 5 * 27 + 20] = torch.randn(144, generator=torch.Generator().manual_seed(0)) * 3
    _, _, moved = _mapped(module, features, int(chosen))
    change = (moved - maps).abs()[0]
    assert divmod(int(change.argmax()), 27) == (5, 20)
    assert values.shape == (1, len(LABELS))


def _mapped(module: Faramir, features: Tensor, target: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
    blank = torch.zeros(1, 3, 384, 384), torch.zeros(1, 3, 64, 64)
    targets = None if target is None else torch.tensor([target])
    before = module.tower.features
    try:
        module.tower.features = lambda pixels, tanh=False: features  # pyright: ignore[reportAttributeAccessIssue]
        return module.heatmap(*blank, targets=targets, method="grad-cam")
    finally:
        module.tower.features = before


def test_there_is_no_smoothed_heatmap(exact: Classifier) -> None:
    with pytest.raises(NotExplainable):
        heatmaps(exact, [scene(100, 100, 1)], method="smooth")


def test_region_covers_the_fitted_picture() -> None:
    assert PictureView().region((384, 384)) == (0, 0, 378, 378)
    left, top, right, bottom = PictureView().region((768, 384))
    assert (left, right, top) == (0, 756, -192)
    assert bottom == (378 - 96) * 2
    assert PictureView().region((84, 384))[0] == -150


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rgb-384x384.png", ""),
        ("rgb-1024x1536.png", "top left 512"),
        ("pixel.png", "this small"),
        ("alpha-profile.png", "profile is ignored"),
        ("alpha.png", "counts as black"),
        ("keyed.png", "top left"),
        ("palette-profile.png", "profile is ignored"),
        *((name, "the original refuses") for name in REFUSED),
    ],
)
def test_notes_tell_what_the_original_does_otherwise(pictures: Path, name: str, words: str) -> None:
    found = "; ".join(notes(open_image(pictures / name)))
    assert words in found
    assert bool(found) == bool(words)
    assert ("refuses" in found) == (name in REFUSED)


def test_notes_on_broken_profiles_and_turned_pictures() -> None:
    picture = scene(400, 300, 12)
    picture.info["icc_profile"] = b"no profile"
    assert "broken colour profile" in notes(picture)[0]
    turned = scene(400, 300, 12)
    turned.getexif()[0x0112] = 6
    assert "orientation" in notes(turned)[0]
    assert notes(scene(900, 900, 1), faithful=False) == ()
