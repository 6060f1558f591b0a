"""Writes furry-like SavedModels with TensorFlow, and what they answer. Run by a Python that has TensorFlow 2.13.

    python furry_savedmodels.py full|tiny|resize OUTPUT [NAME...]

AUTOML_DIR names a checkout of google/automl, CONVNEXT_TF_DIR one of sayakpaul/ConvNeXt-TF. Each model is written to
OUTPUT/NAME as `model.save` does it, with OUTPUT/NAME.npz beside it: x [N, size, size, 3], the six outputs in order as
`identity`, `species`, ... [N, n], and `features` [N, F]. `resize` writes OUTPUT/resize.json, pixels of pictures.
No published weights are involved: all are random.

This file imports nothing of Keepers.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_hub as hub

HEADS = {"identity": 6, "species": 50, "body": 66, "clothing": 35, "action": 71, "rating": 1}
TINY_HEADS = {"identity": 6, "species": 5, "body": 4, "clothing": 3, "action": 2, "rating": 1}


def efficientnet(name: str, size: int, override: str = "") -> tf.keras.Model:
    """Google's EfficientNetV2, as its hub modules were made."""
    sys.path.insert(0, str(Path(os.environ["AUTOML_DIR"]) / "efficientnetv2"))
    import effnetv2_model  # pyright: ignore[reportMissingImports]

    net = effnetv2_model.EffNetV2Model(name, override or None, include_top=False)
    net(tf.zeros((1, size, size, 3)), training=False)
    return net


def convnext(depths: list[int], dims: list[int], size: int) -> tf.keras.Model:
    """The ConvNeXt of sayakpaul's hub modules, cut before the classifier as they are."""
    sys.path.insert(0, os.environ["CONVNEXT_TF_DIR"])
    from models.convnext_tf import get_convnext_model  # pyright: ignore[reportMissingImports]

    net = get_convnext_model(input_shape=(size, size, 3), depths=depths, dims=dims)
    return tf.keras.Model(net.inputs, net.layers[-2].output)


def mobilenet(alpha: float, size: int) -> tf.keras.Model:
    """Keras' MobileNetV3Small, without its own rescaling, to the pooled and activated 1024 features."""
    net = tf.keras.applications.MobileNetV3Small(
        (size, size, 3), alpha=alpha, weights=None, include_preprocessing=False, dropout_rate=0
    )
    # The activation after the last convolution is x * (relu6(x + 3) / 6): a multiplication ends it.
    activated = [layer for layer in net.layers if isinstance(layer, tf.keras.layers.Multiply)][-1].output
    return tf.keras.Model(net.inputs, tf.keras.layers.Flatten()(activated))


FULL: dict[str, tuple[int, int, Callable[[], tf.keras.Model]]] = {
    "efficientnet_v2_b3_300_2c": (300, 128, lambda: efficientnet("efficientnetv2-b3", 300)),
    "efficientnet_v2_m_384_3": (384, 256, lambda: efficientnet("efficientnetv2-s", 384)),
    "convnext_tiny_224_5": (224, 256, lambda: convnext([3, 3, 9, 3], [96, 192, 384, 768], 224)),
    "mobilenet_v3_224_2c": (224, 256, lambda: mobilenet(1.0, 224)),
}
TINY_BLOCKS = "width_coefficient=0.25,depth_coefficient=0.2"
TINY: dict[str, tuple[int, int, Callable[[], tf.keras.Model]]] = {
    "efficientnet_v2_tiny": (64, 5, lambda: efficientnet("efficientnetv2-s", 64, TINY_BLOCKS)),
    "convnext_small_tiny": (64, 5, lambda: convnext([1, 2, 3, 1], [4, 8, 12, 16], 64)),
    "mobilenet_v3_tiny": (64, 5, lambda: mobilenet(0.1, 64)),
}


def randomise(net: tf.keras.Model, seed: int) -> None:
    """Weights that keep activations of moderate size and, being multiples of 1/64, compress well."""
    random = np.random.RandomState(seed)
    for variable in net.variables:
        shape = tuple(variable.shape)
        name = variable.name.rsplit("/", 1)[-1]
        if "variance" in name or "gamma" in name or name.startswith("Variable"):
            value = random.uniform(0.5, 1.5, shape)
        elif len(shape) > 1:
            depthwise = "depthwise" in name or shape[-2] == 1
            fan = int(np.prod(shape[:2] if depthwise else shape[:-1]))
            value = random.normal(0, np.sqrt(2 / fan), shape)
        else:
            value = random.normal(0, 0.1, shape)
        variable.assign((np.round(value * 64) / 64).astype(np.float32))


def settle(net: tf.keras.Model, x: np.ndarray) -> None:
    """Statistics of batch normalisation as these images have them, so that activations neither vanish nor explode."""
    norms = [layer for layer in net.submodules if isinstance(layer, tf.keras.layers.BatchNormalization)]
    before = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    net(x, training=True)
    for layer, momentum in zip(norms, before, strict=True):
        layer.momentum = momentum
        layer.moving_mean.assign(np.round(layer.moving_mean.numpy() * 256) / 256)
        layer.moving_variance.assign(np.maximum(np.round(layer.moving_variance.numpy() * 256), 1) / 256)


def whole(backbone: tf.keras.Model, size: int, hidden: int, heads: dict[str, int]) -> tf.keras.Model:
    """The published structure: a hub layer and one hidden layer for each of the six outputs."""
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(backbone, folder)
        layer = hub.KerasLayer(folder, trainable=True, name="feature_layer")
        pixels = tf.keras.Input((size, size, 3))
        features = layer(pixels)
        hiddens = {name: tf.keras.layers.Dense(hidden, "relu", name=f"{name}_hidden_layer")(features) for name in heads}
        outputs = [
            tf.keras.layers.Dense(units, "sigmoid", name=f"{name}_output")(hiddens[name])
            for name, units in heads.items()
        ]
        model = tf.keras.Model(pixels, outputs)
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


def write(name: str, folder: Path, tiny: bool) -> None:
    """One SavedModel and its answers; one training step makes optimizer variables, as published files may have."""
    size, hidden, make = (TINY if tiny else FULL)[name]
    heads = TINY_HEADS if tiny else HEADS
    random = np.random.RandomState(1)
    x = random.uniform(-2, 2, (4, size, size, 3)).astype(np.float32)
    backbone = make()
    randomise(backbone, 7)
    settle(backbone, x)
    model = whole(backbone, size, hidden, heads)
    spread = float(np.std(backbone.predict(x, verbose=0)))
    for layer in model.layers[2:]:
        kernel = random.normal(0, 1 / np.sqrt(layer.kernel.shape[0]), layer.kernel.shape)
        kernel /= spread if "hidden" in layer.name else 1
        layer.set_weights([np.round(kernel * 64) / 64, np.round(random.normal(0, 0.5, layer.units) * 64) / 64])
    if not tiny:
        model.train_on_batch(x[:1], [np.zeros((1, n), np.float32) for n in heads.values()])
    model.save(folder / name)
    answers = model.predict(x, verbose=0)
    features = tf.keras.Model(model.input, model.get_layer("feature_layer").output).predict(x, verbose=0)
    named = dict(zip(heads, answers, strict=True))
    np.savez(folder / f"{name}.npz", x=x, features=features, **named)
    print(name, features.shape, [float(np.std(a)) for a in answers])


def write_resize(folder: Path) -> None:
    """What tf.image.resize makes of random pictures: every so many pixels, as many as a golden case needs."""
    cases = []
    for height, width, size in ((300, 500, 224), (100, 90, 300), (1024, 1536, 384), (1, 1, 16), (224, 224, 224)):
        picture = np.random.RandomState(5).randint(0, 256, (height, width, 3), dtype=np.uint8)
        found = tf.image.resize(picture, [size, size]).numpy()
        values = found[:: size // 4, :: size // 4].ravel()
        cases.append({"shape": [height, width, size], "values": [float(value) for value in values]})
    (folder / "resize.json").write_text(json.dumps(cases))


if __name__ == "__main__":
    small = sys.argv[1] == "tiny"
    target = Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    if sys.argv[1] == "resize":
        write_resize(target)
        raise SystemExit
    for wanted_name in sys.argv[3:] or list(TINY if small else FULL):
        write(wanted_name, target, small)
