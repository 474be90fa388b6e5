"""Weights in a neutral layout, in which they are exchanged between the PyTorch and the Keras model.

A weight is named after its layer, such as ``conv1.kernel`` or ``residual1.body.conv1.kernel``. The axes are in the
order of Keras: kernels of convolutions are (row, column, in, out), kernels of dense layers (in, out). PyTorch has the
output axis first.
"""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from store import files
from store.arrays import Float32Array, Float64Array
from store.errors import StateError
from store.npz import read_npz
from train.model.architecture import Architecture, Initialiser
from train.model.layers import Shape

Weights = dict[str, Float32Array]
"""Weights by neutral name, in the neutral layout."""
TORCH_NAMES = {"moving_mean": "running_mean", "moving_variance": "running_var"}
NEUTRAL_NAMES = {torch: neutral for neutral, torch in TORCH_NAMES.items()}
TORCH_AXES = {4: (3, 2, 0, 1), 2: (1, 0)}
NEUTRAL_AXES = {dimensions: tuple(np.argsort(axes).tolist()) for dimensions, axes in TORCH_AXES.items()}
TRUNCATED_DEVIATION = 0.8796256610342398
"""Standard deviation of a standard normal distribution that is cut off at -2 and 2."""


def initial_weights(architecture: Architecture, image_shape: Shape, seed: int) -> Weights:
    """Draw the weights that training starts from, the same for both frameworks.

    Kernels follow a normal distribution cut off at two standard deviations. For ``truncated-normal``, the standard
    deviation is 0.05 before the cut, which is the default of Keras' initialiser of that name. For the others it is,
    after the cut, sqrt(2 / in) for ``he`` (https://arxiv.org/abs/1502.01852) and sqrt(2 / (in + out)) for ``glorot``
    (https://proceedings.mlr.press/v9/glorot10a.html), with the fan-in and fan-out of the layer. Position embeddings
    follow the same distribution with 0.02 before the cut. Other weights are zeros or ones.

    Parameters
    ----------
    architecture
        The layers, and the initialiser of the kernels.
    image_shape
        Shape of an image, (ieta, iphi, channel).
    seed
        Seed of the random numbers.
    """
    random = np.random.default_rng(seed)
    weights: Weights = {}
    for name, weight in architecture.weight_specs(image_shape).items():
        match weight.initial:
            case "zeros":
                values = np.zeros(weight.shape)
            case "ones":
                values = np.ones(weight.shape)
            case "position":
                values = 0.02 * draw_truncated_normal(random, weight.shape)
            case "kernel":
                deviation = kernel_deviation(architecture.initialiser, weight.shape)
                values = deviation * draw_truncated_normal(random, weight.shape)
        weights[name] = values.astype(np.float32)
    return weights


def draw_truncated_normal(random: np.random.Generator, shape: Shape) -> Float64Array:
    """Draw from a standard normal distribution; values beyond -2 and 2 are drawn again."""
    values = random.standard_normal(shape)
    while (outside := np.abs(values) > 2).any():
        values[outside] = random.standard_normal(np.count_nonzero(outside))
    return values


def kernel_deviation(initialiser: Initialiser, shape: Shape) -> float:
    """Return the standard deviation, before the cut, of a kernel of shape (..., in, out)."""
    if initialiser == "truncated-normal":
        return 0.05
    cells = math.prod(shape[:-2])
    fan_in, fan_out = cells * shape[-2], cells * shape[-1]
    variance = 2 / fan_in if initialiser == "he" else 2 / (fan_in + fan_out)
    return math.sqrt(variance) / TRUNCATED_DEVIATION


def to_torch(weights: Mapping[str, Float32Array]) -> Weights:
    """Return neutral weights under PyTorch's names and in its layout; the arrays are views."""
    converted: Weights = {}
    for name, array in weights.items():
        layer, _, kind = name.rpartition(".")
        if kind == "kernel":
            array = array.transpose(TORCH_AXES[array.ndim])
        torch_name = "weight" if kind in ("kernel", "scale") else TORCH_NAMES.get(kind, kind)
        converted[f"{layer}.{torch_name}"] = array
    return converted


def from_torch(weights: Mapping[str, Float32Array]) -> Weights:
    """Return PyTorch's weights under the neutral names and in the neutral layout; the arrays are views."""
    converted: Weights = {}
    for name, array in weights.items():
        layer, _, kind = name.rpartition(".")
        if kind == "weight":
            kind = "scale" if array.ndim == 1 else "kernel"
        if kind == "kernel":
            array = array.transpose(NEUTRAL_AXES[array.ndim])
        converted[f"{layer}.{NEUTRAL_NAMES.get(kind, kind)}"] = array
    return converted


def check_weights(weights: Mapping[str, Float32Array], shapes: Mapping[str, Shape]) -> None:
    """Check that neutral weights are those of an architecture.

    Parameters
    ----------
    weights
        Weights in the neutral layout.
    shapes
        What `Architecture.weight_shapes` returns.

    Raises
    ------
    StateError
        If a weight is missing, is not part of the architecture, has another shape, or does not consist of numbers.
    """
    for name in sorted(shapes.keys() | weights.keys()):
        if name not in weights:
            raise StateError(f"weights of another architecture: {name} with shape {shapes[name]} is missing")
        if name not in shapes:
            raise StateError(f"weights of another architecture: the model has no {name}")
        if weights[name].dtype.kind != "f":
            raise StateError(f"weights must be numbers: {name} has type {weights[name].dtype}")
        if weights[name].shape != shapes[name]:
            raise StateError(
                f"weights of another architecture: {name} has shape {weights[name].shape}, not {shapes[name]}"
            )


def save_weights(path: Path, weights: Mapping[str, Float32Array]) -> None:
    """Write neutral weights to an uncompressed ``.npz`` file."""
    with files.replacing(path) as partial:
        np.savez(partial, **weights)  # type: ignore[arg-type]


def load_weights(path: Path) -> Weights:
    """Read neutral weights that `save_weights` wrote.

    Raises
    ------
    StateError
        If the file is missing or does not hold weights.
    """
    try:
        return read_npz(path)
    except (OSError, ValueError) as error:
        raise StateError(f"{path}: not a weights file ({error})") from None
