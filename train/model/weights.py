"""Weights in one neutral layout, to carry them between the twins.

A weight is named after its layer, ``conv1.kernel`` or ``residual1.body.conv1.kernel``, and channel-last as in Keras:
kernels of convolutions are (row, column, in, out), of dense layers (in, out). PyTorch keeps the output first.
"""

import math
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from store.errors import StateError
from train.model.architecture import Architecture
from train.model.layers import Shape

Array = npt.NDArray[np.float32]
Weights = dict[str, Array]
TORCH_NAMES = {"moving_mean": "running_mean", "moving_variance": "running_var"}
NEUTRAL_NAMES = {torch: neutral for neutral, torch in TORCH_NAMES.items()}
TORCH_AXES = {4: (3, 2, 0, 1), 2: (1, 0)}
NEUTRAL_AXES = {dimensions: tuple(np.argsort(axes).tolist()) for dimensions, axes in TORCH_AXES.items()}
CUT_DEVIATION = 0.8796256610342398  # of a standard normal distribution that ends at two


def initial(architecture: Architecture, image_shape: Shape, seed: int) -> Weights:
    """Draw the weights that training starts from: the same in both frameworks, which would draw differently.

    Kernels are drawn from a normal distribution, values beyond two standard deviations again. The deviation is 0.05
    before that cut for ``truncated-normal`` (Keras' default of that name); after it, it is sqrt(2 / in) for ``he``
    (https://arxiv.org/abs/1502.01852) and sqrt(2 / (in + out)) for ``glorot``
    (https://proceedings.mlr.press/v9/glorot10a.html), where in and out count the values that an output is made of and
    that an input goes into. Learned positions are drawn with 0.02. The rest is zeros, or ones where it multiplies.
    """
    random = np.random.default_rng(seed)
    weights: Weights = {}
    for name, weight in architecture.weights(image_shape).items():
        match weight.start:
            case "zeros":
                values = np.zeros(weight.shape)
            case "ones":
                values = np.ones(weight.shape)
            case "position":
                values = 0.02 * draw(random, weight.shape)
            case "kernel":
                values = deviation(architecture.initialiser, weight.shape) * draw(random, weight.shape)
        weights[name] = values.astype(np.float32)
    return weights


def draw(random: np.random.Generator, shape: Shape) -> npt.NDArray[np.float64]:
    """Return normal values, none beyond two."""
    values = random.standard_normal(shape)
    while (far := np.abs(values) > 2).any():
        values[far] = random.standard_normal(np.count_nonzero(far))
    return values


def deviation(initialiser: str, shape: Shape) -> float:
    """Return the standard deviation, before the cut, of a kernel (..., in, out)."""
    if initialiser == "truncated-normal":
        return 0.05
    cells = math.prod(shape[:-2])
    inputs, outputs = cells * shape[-2], cells * shape[-1]
    variance = 2 / inputs if initialiser == "he" else 2 / (inputs + outputs)
    return math.sqrt(variance) / CUT_DEVIATION


def to_torch(weights: Mapping[str, Array]) -> Weights:
    """Return neutral weights under PyTorch's names and in its layout; the arrays are views."""
    there: Weights = {}
    for name, array in weights.items():
        layer, _, kind = name.rpartition(".")
        if kind == "kernel":
            array = array.transpose(TORCH_AXES[array.ndim])
        torch_name = "weight" if kind in ("kernel", "scale") else TORCH_NAMES.get(kind, kind)
        there[f"{layer}.{torch_name}"] = array
    return there


def from_torch(weights: Mapping[str, Array]) -> Weights:
    """Return PyTorch's weights under the neutral names and in the neutral layout; the arrays are views."""
    here: Weights = {}
    for name, array in weights.items():
        layer, _, kind = name.rpartition(".")
        if kind == "weight":
            kind = "scale" if array.ndim == 1 else "kernel"
        if kind == "kernel":
            array = array.transpose(NEUTRAL_AXES[array.ndim])
        here[f"{layer}.{NEUTRAL_NAMES.get(kind, kind)}"] = array
    return here


def check(weights: Mapping[str, Array], shapes: Mapping[str, Shape]) -> None:
    """Refuse weights of another architecture.

    Parameters
    ----------
    weights
        In the neutral layout.
    shapes
        What `Architecture.weight_shapes` returns.

    Raises
    ------
    StateError
        If a weight is missing, is not of the architecture, or has another shape.
    """
    for name in sorted(shapes.keys() | weights.keys()):
        found = weights[name].shape if name in weights else "nothing"
        wanted = shapes.get(name, "nothing")
        if found != wanted:
            raise StateError(f"weights of another architecture: {name} is {found}, the model has {wanted} there")


def save(path: Path, weights: Mapping[str, Array]) -> None:
    """Write neutral weights as an uncompressed ``.npz``."""
    with path.open("wb") as file:
        np.savez(file, **weights)  # type: ignore[arg-type]


def load(path: Path) -> Weights:
    """Read neutral weights that `save` wrote.

    Raises
    ------
    StateError
        If the file is missing or is not such a file.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (EOFError, OSError, ValueError, zipfile.BadZipFile) as error:
        raise StateError(f"{path}: not a file of weights ({error})") from None
