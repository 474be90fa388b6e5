"""Models in Keras, built from a specification.

Images are channel-last, (batch, ieta, iphi, channel). Layers have the names that `train.model.weights` uses, with ``_``
in place of ``.``, which Keras on PyTorch does not allow in a name: ``residual1_body_conv1``.
"""

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from store import files
from store.errors import RunError
from store.run_folder import RunFolder
from train.keras.token_layers import embed_cells, embed_patches, self_attention
from train.model.graph import Node, Residual, trace_layers
from train.model.layers import BatchNorm, Conv, Dense
from train.model.normalisation import CMS_JETS_THRESHOLD, Normalisation
from train.model.specification import Specification
from train.model.stateless_layers import Crop, Dropout, Flatten, GlobalPool, Join, MaxPool, ShowerFeatures
from train.model.token_layers import Attention, LayerNorm, Patches, Tokens
from train.model.weights import Weights, check_weights

NEUTRAL_NAMES = {"gamma": "scale", "beta": "bias"}


def normalise(normalisation: Normalisation, x: Any, name: str) -> Any:
    """Return normalised images (batch, ieta, iphi, channel) or variables (batch, variable).

    This is the first layer, see `train.model.normalisation.Normalisation`.
    """
    if normalisation.recipe == "cms-jets":
        x = keras.ops.where(keras.ops.less(x, CMS_JETS_THRESHOLD), 0.0, x)
    scale, offset = list(normalisation.scale), list(normalisation.offset)
    # In float32, whatever precision the following layers compute in.
    x = keras.layers.Rescaling(scale, offset, dtype="float32", name=name)(x)
    if normalisation.recipe == "log":
        return keras.ops.sign(x) * keras.ops.log1p(keras.ops.absolute(x))
    return x


def compute_features(layer: ShowerFeatures, image: Any) -> Any:
    """Return (batch, ieta, iphi, feature) for images (batch, ieta, iphi, 2) of energy and time.

    These are features of each cell, see `train.model.stateless_layers.ShowerFeatures`.
    """
    unit = layer.energy_unit
    energy, time = keras.ops.split(image, 2, axis=-1)
    energy = keras.ops.relu(energy)
    total = keras.ops.sum(energy, axis=(1, 2), keepdims=True)
    share = energy / keras.ops.maximum(total, unit)
    logarithm = keras.ops.log1p(energy / unit) / math.log1p(1 / unit)
    features = [share, keras.ops.sqrt(share), logarithm, total + keras.ops.zeros_like(energy)]
    if layer.time:
        features.append(time * energy / layer.time_unit)
    return keras.ops.concatenate(features, axis=-1)


def convolve(conv: Conv, image: Any, name: str) -> Any:
    """Return the convolution of images (batch, ieta, iphi, channel), with its activation function."""
    padding = conv.padding
    if padding == "same" and conv.stride > 1:
        # Keras would pad a strided convolution on the far side only.
        image = keras.layers.ZeroPadding2D(conv.zero_padding, data_format="channels_last", name=f"{name}_zeros")(image)
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
    )(image)


def pool(x: Any, axes: tuple[int, ...], *, maximum: bool) -> Any:
    """Return averages (batch, channel) over all cells or tokens, or (batch, 2 * channel) with the maxima."""
    average = keras.ops.mean(x, axis=axes)
    return keras.ops.concatenate([average, keras.ops.max(x, axis=axes)], axis=1) if maximum else average


def apply_layers(nodes: Iterable[Node], x: Any, prefix: str) -> Any:
    """Return the output of layers in sequence for the input x; their names start with the prefix."""
    for node in nodes:
        x = apply_layer(node, x, f"{prefix}{node.name}")
    return x


def apply_layer(node: Node, x: Any, name: str) -> Any:
    """Return the output of one layer, with its activation function, for the input x."""
    shape = node.input_shape
    match node.layer:
        case Conv() as conv:
            return convolve(conv, x, name)
        case Dense(units=units, activation=activation):
            return keras.layers.Dense(units, activation=activation, name=name)(x)
        case BatchNorm(momentum=momentum, epsilon=epsilon, activation=activation):
            x = keras.layers.BatchNormalization(momentum=momentum, epsilon=epsilon, name=name)(x)
            return keras.layers.Activation(activation, name=f"{name}_{activation}")(x)
        case LayerNorm(epsilon=epsilon):
            return keras.layers.LayerNormalization(epsilon=epsilon, name=name)(x)
        case Patches() as patches:
            return embed_patches(patches, shape, x, name)
        case Tokens():
            return embed_cells(node.output_shape, x, name)
        case Attention(heads=heads):
            return self_attention(heads, shape, x, name)
        case Residual(body=body, shortcut=shortcut, activation=activation):
            branches = [
                apply_layers(trace_layers(body, shape), x, f"{name}_body_"),
                apply_layers(trace_layers(shortcut, shape), x, f"{name}_shortcut_"),
            ]
            x = keras.layers.Add(name=name)(branches)
            return keras.layers.Activation(activation, name=f"{name}_{activation}")(x)
        case MaxPool(size=size):
            return keras.layers.MaxPooling2D(size, data_format="channels_last", name=name)(x)
        case GlobalPool(maximum=maximum):
            return pool(x, (1, 2) if len(shape) == 3 else (1,), maximum=maximum)
        case Flatten():
            return keras.layers.Flatten(data_format="channels_last", name=name)(x)
        case Dropout(rate=rate):
            return keras.layers.Dropout(rate, name=name)(x)
        case Join():
            return keras.layers.Concatenate(name=name)(x)
        case Crop() as crop:
            return keras.layers.Cropping2D(crop.margins(shape), data_format="channels_last", name=name)(x)
        case ShowerFeatures() as features:
            return compute_features(features, x)


def build_model(specification: Specification) -> keras.Model:
    """Return the normalisation and the architecture of a specification as one model.

    It takes ``[image]`` or ``[image, variables]``, and returns logits, (batch, 1) or (batch, K) for K > 2 classes.
    Images are float32 (batch, ieta, iphi, channel) and variables float32 (batch, variable), with values as in the
    source files. All layers are Keras' own, so that a saved model loads in safe mode and without this project.

    Parameters
    ----------
    specification
        What the model is to be, from `train.model.specification`.

    Returns
    -------
    keras.Model
        The model, with weights that are not yet set.

    Examples
    --------
    >>> from store.run_folder import RunFolder
    >>> from train.model.specification import Specification
    >>> run = RunFolder(path=Path("runs/shower-torch"))  # doctest: +SKIP
    >>> cs.keras.build_model(Specification.from_dict(run.read_specification()))  # doctest: +SKIP
    """
    # Rescaling depends on this setting, which a user's Keras configuration may have changed.
    keras.config.set_image_data_format("channels_last")
    image = keras.Input(specification.image_shape, name="image", dtype="float32")
    inputs = [image]
    if names := specification.variables.names:
        inputs.append(keras.Input((len(names),), name="variables", dtype="float32"))
    x = normalise(specification.normalisation, image, "normalise")
    for node in specification.architecture.nodes(specification.image_shape):
        if isinstance(node.layer, Join):
            x = [x, normalise(specification.variables.normalisation, inputs[1], "standardise")]
        x = apply_layer(node, x, node.name)
    # TensorFlow takes ASCII letters, digits and some signs in a name, PyTorch no dots.
    name = re.sub(r"[^A-Za-z0-9]+", "_", specification.architecture.name).strip("_")
    return keras.Model(inputs, x, name=name or "model")


def get_weights(model: keras.Model) -> Weights:
    """Return the weights in the neutral layout."""
    return {name: np.asarray(weight.numpy()) for name, weight in weights_by_name(model).items()}


def set_weights(model: keras.Model, values: Weights) -> None:
    """Set the weights, given in the neutral layout.

    Raises
    ------
    StateError
        If they belong to another architecture.
    """
    weights = weights_by_name(model)
    check_weights(values, {name: tuple(weight.shape) for name, weight in weights.items()})
    for name, weight in weights.items():
        weight.assign(values[name])


def weights_by_name(model: keras.Model) -> dict[str, keras.Variable]:
    """Return the weights of a model by their neutral names."""
    weights = {
        f"{neutral_name(layer)}.{NEUTRAL_NAMES.get(weight.name, weight.name)}": weight
        for layer in model.layers
        for weight in layer.weights
    }
    return {name.replace(".position.kernel", ".position"): weight for name, weight in weights.items()}


def neutral_name(layer: keras.Layer) -> str:
    """Return the name of a layer in `train.model.graph`, such as ``residual1.body.conv1``."""
    name: str = layer.name
    return name.replace("_", ".")


def save_model(model: keras.Model, folder: Path) -> None:
    """Write ``model.keras``, which `load_model` reads.

    ``keras.models.load_model(folder / "model.keras")`` needs nothing of this project.
    """
    activation = "sigmoid" if model.output.shape[-1] == 1 else "softmax"
    score = keras.layers.Activation(activation, dtype="float32", name="score")(model.output)
    with files.replacing(RunFolder(path=folder).model(".keras")) as partial:
        keras.Model(model.inputs, score, name=model.name).save(partial)


def load_model(folder: str | Path) -> keras.Model:
    """Return the exported model of a run directory, ready to score.

    ``model.predict(images)`` takes float32 (batch, ieta, iphi, channel) with values as in the source files, and returns
    the probability (batch, 1) of class 1, or the probabilities (batch, K) of K > 2 classes. A model that takes
    variables has ``model.predict([images, variables])``, with float32 (batch, variable) in the order of the variables
    in ``architecture.json``.

    Parameters
    ----------
    folder
        The run directory.

    Returns
    -------
    keras.Model
        The model.

    Raises
    ------
    RunError
        If the folder holds no exported Keras model.

    Examples
    --------
    >>> model = cs.keras.load_model("runs/shower-keras")  # doctest: +SKIP
    >>> model.predict(images)  # doctest: +SKIP
    """
    path = RunFolder(path=Path(folder)).model(".keras")
    if not path.is_file():
        raise RunError(f"{path}: no such file; has the training run ended?")
    try:
        return keras.models.load_model(path)
    except (ValueError, OSError, TypeError, KeyError) as error:
        raise RunError(f"{path}: not an exported model ({error})") from None
