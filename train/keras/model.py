"""The models in Keras."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from store import files
from store.errors import RunError
from store.run_folder import RunFolder
from train.model.graph import Node, Residual, trace_layers
from train.model.layers import Attention, BatchNorm, Conv, Dense, LayerNorm, Patches, Shape
from train.model.normalisation import CMS_JETS_THRESHOLD, Normalisation
from train.model.specification import Specification
from train.model.stateless_layers import Crop, Dropout, Flatten, GlobalPool, Join, MaxPool, ShowerFeatures
from train.model.weights import Weights, check_weights

NEUTRAL_NAMES = {"gamma": "scale", "beta": "bias"}


def build_model(specification: Specification) -> keras.Model:
    """Return a model from images (batch, ieta, iphi, channel), as they are in the file, to logits (batch, 1).

    It takes ``[image]``, or ``[image, variables]`` with (batch, variable) as in the file. It is made of Keras' own
    layers alone, so that a saved model loads in safe mode and without this project.
    """
    # The global setting decides how Rescaling lays out its constants, and a user's file may say otherwise.
    keras.config.set_image_data_format("channels_last")
    image = keras.Input(specification.image_shape, name="image", dtype="float32")
    inputs = [image]
    if names := specification.variables.names:
        inputs.append(keras.Input((len(names),), name="variables", dtype="float32"))
    x = normalise(image, specification.normalisation, "normalise")
    for node in specification.architecture.nodes(specification.image_shape):
        if isinstance(node.layer, Join):
            x = [x, normalise(inputs[1], specification.variables.normalisation, "standardise")]
        x = apply_layer(node, x, node.name)
    return keras.Model(inputs, x, name=specification.architecture.name.replace("-", "_"))


def normalise(image: Any, normalisation: Normalisation, name: str) -> Any:
    """Return images (batch, ieta, iphi, channel), or variables (batch, variable), normalised."""
    if normalisation.recipe == "cms-jets":
        image = keras.ops.where(keras.ops.less(image, CMS_JETS_THRESHOLD), 0.0, image)
    scale, offset = list(normalisation.scale), list(normalisation.offset)
    # In full precision, whatever the layers behind compute in.
    image = keras.layers.Rescaling(scale, offset, dtype="float32", name=name)(image)
    if normalisation.recipe == "log":
        return keras.ops.sign(image) * keras.ops.log1p(keras.ops.absolute(image))
    return image


def apply_layers(nodes: Iterable[Node], x: Any, prefix: str) -> Any:
    """Return what the layers of one way make of x one after the other; their names begin with the prefix."""
    for node in nodes:
        x = apply_layer(node, x, f"{prefix}{node.name}")
    return x


def apply_layer(node: Node, x: Any, name: str) -> Any:
    """Return what one layer, with its activation, makes of x."""
    shape = node.input_shape
    match node.layer:
        case Conv() as conv:
            return convolve(conv, x, name)
        case Dense(units=units, activation=activation):
            return keras.layers.Dense(units, activation=activation, name=name)(x)
        case BatchNorm(momentum=momentum, epsilon=epsilon, activation=activation):
            x = keras.layers.BatchNormalization(momentum=momentum, epsilon=epsilon, name=name)(x)
            return keras.layers.Activation(activation, name=f"{name}.{activation}")(x)
        case LayerNorm(epsilon=epsilon):
            return keras.layers.LayerNormalization(epsilon=epsilon, name=name)(x)
        case Patches() as patches:
            return make_tokens(patches, shape, x, name)
        case Attention(heads=heads):
            return attend(heads, shape, x, name)
        case Residual(body=body, shortcut=shortcut, activation=activation):
            ways = [
                apply_layers(trace_layers(body, shape), x, f"{name}.body."),
                apply_layers(trace_layers(shortcut, shape), x, f"{name}.shortcut."),
            ]
            x = keras.layers.Add(name=name)(ways)
            return keras.layers.Activation(activation, name=f"{name}.{activation}")(x)
        case MaxPool(size=size):
            return keras.layers.MaxPooling2D(size, data_format="channels_last", name=name)(x)
        case GlobalPool(maximum=maximum):
            axes = tuple(range(1, len(shape)))
            average = keras.ops.mean(x, axis=axes)
            return keras.ops.concatenate([average, keras.ops.max(x, axis=axes)], axis=1) if maximum else average
        case Flatten():
            return keras.layers.Flatten(data_format="channels_last", name=name)(x)
        case Dropout(rate=rate):
            return keras.layers.Dropout(rate, name=name)(x)
        case Join():
            return keras.layers.Concatenate(name=name)(x)
        case Crop() as crop:
            return keras.layers.Cropping2D(crop.margins(shape), data_format="channels_last", name=name)(x)
        case ShowerFeatures() as features:
            return make_features(features, x)


def convolve(conv: Conv, x: Any, name: str) -> Any:
    """Return the convolution of x (batch, ieta, iphi, channel)."""
    padding = conv.padding
    if padding == "same" and conv.stride > 1:
        # Keras would pad a strided convolution on the far side only.
        x = keras.layers.ZeroPadding2D(conv.zero_padding, data_format="channels_last", name=f"{name}.zeros")(x)
        padding = "valid"
    return keras.layers.Conv2D(
        conv.filters,
        conv.kernel,
        strides=conv.stride,
        padding=padding,
        use_bias=conv.bias,
        activation=conv.activation,
        data_format="channels_last",
        name=name,
    )(x)


def make_tokens(patches: Patches, shape: Shape, x: Any, name: str) -> Any:
    """Return tokens (batch, token, width) of images (batch, ieta, iphi, channel)."""
    (rows, columns), (below, right), grid = patches.patch_size(shape), patches.zero_padding(shape), patches.grid
    x = keras.layers.ZeroPadding2D(((0, below), (0, right)), data_format="channels_last", name=f"{name}.zeros")(x)
    x = keras.layers.Reshape((grid, rows, grid, columns, shape[-1]), name=f"{name}.cut")(x)
    project = keras.layers.EinsumDense(
        "bricjk,ijkw->brcw",
        output_shape=(grid, grid, patches.width),
        bias_axes="rcw",
        name=name,
    )
    return keras.layers.Reshape((grid * grid, patches.width), name=f"{name}.row")(project(x))


def attend(heads: int, shape: Shape, x: Any, name: str) -> Any:
    """Return the attention of tokens (batch, token, width) to each other."""
    tokens, width = shape
    query, key, value = (
        keras.layers.Reshape((tokens, heads, width // heads), name=f"{name}.{part}.heads")(
            keras.layers.Dense(width, name=f"{name}.{part}")(x)
        )
        for part in ("query", "key", "value")
    )
    mixed = keras.layers.Reshape((tokens, width), name=f"{name}.mixed")(
        keras.ops.dot_product_attention(query, key, value)
    )
    return keras.layers.Dense(width, name=f"{name}.output")(mixed)


def make_features(features: ShowerFeatures, image: Any) -> Any:
    """Return (batch, ieta, iphi, feature) of images (batch, ieta, iphi, 2)."""
    unit = features.energy_unit
    energy, time = keras.ops.split(image, 2, axis=-1)
    energy = keras.ops.relu(energy)
    total = keras.ops.sum(energy, axis=(1, 2), keepdims=True)
    share = energy / keras.ops.maximum(total, unit)
    logarithm = keras.ops.log1p(energy / unit) / math.log1p(1 / unit)
    channels = [share, keras.ops.sqrt(share), logarithm, total + keras.ops.zeros_like(energy)]
    if features.time:
        channels.append(time * energy / features.time_unit)
    return keras.ops.concatenate(channels, axis=-1)


def get_weights(model: keras.Model) -> Weights:
    """Return the weights in the neutral layout."""
    return {name: np.asarray(weight.numpy()) for name, weight in places(model).items()}


def set_weights(model: keras.Model, values: Weights) -> None:
    """Take weights in the neutral layout.

    Raises
    ------
    StateError
        If they are of another architecture.
    """
    there = places(model)
    check_weights(values, {name: tuple(weight.shape) for name, weight in there.items()})
    for name, weight in there.items():
        weight.assign(values[name])


def places(model: keras.Model) -> dict[str, keras.Variable]:
    """Return the variables of a model by their neutral names."""
    return {
        f"{layer.name}.{NEUTRAL_NAMES.get(weight.name, weight.name)}": weight
        for layer in model.layers
        for weight in layer.weights
    }


def save_model(model: keras.Model, folder: Path) -> None:
    """Write ``model.keras``: images as they are in the file in, the probability (batch, 1) of class 1 out.

    ``keras.models.load_model(folder / "model.keras").predict(images)`` needs nothing of this project. It predicts from
    ``[images, variables]`` if it takes variables.
    """
    score = keras.layers.Activation("sigmoid", dtype="float32", name="score")(model.output)
    with files.replacing(RunFolder(path=folder).model(".keras")) as partial:
        keras.Model(model.inputs, score, name=model.name).save(partial)


def load_model(folder: str | Path) -> keras.Model:
    """Return the exported model of a run directory.

    ``model.predict(images)`` takes float32 (batch, ieta, iphi, channel) with values as in the source files, and returns
    the probability (batch, 1) of class 1. A model that takes variables predicts from ``[images, variables]``.

    Raises
    ------
    RunError
        If the folder holds no exported Keras model.
    """
    path = RunFolder(path=Path(folder)).model(".keras")
    if not path.is_file():
        raise RunError(f"{path}: no such file; has the training run ended?")
    try:
        return keras.models.load_model(path)
    except (ValueError, OSError, TypeError, KeyError) as error:
        raise RunError(f"{path}: not an exported model ({error})") from None
