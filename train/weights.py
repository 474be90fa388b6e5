"""Weights in one neutral layout, to carry them between the twins.

A weight is named after its layer, ``conv1.kernel`` or ``dense5.bias``, and channel-last as in Keras: kernels of
convolutions are (row, column, in, out), of dense layers (in, out). PyTorch keeps the output first.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from store.errors import StateError
from train.architecture import Architecture, Shape

Weights = dict[str, npt.NDArray[np.float32]]
TORCH_NAMES = {"kernel": "weight", "bias": "bias"}
NEUTRAL_NAMES = {torch: neutral for neutral, torch in TORCH_NAMES.items()}
TORCH_AXES = {"conv": (3, 2, 0, 1), "dense": (1, 0)}
NEUTRAL_AXES = {kind: tuple(np.argsort(axes).tolist()) for kind, axes in TORCH_AXES.items()}


def initial(architecture: Architecture, image_shape: Shape, seed: int) -> Weights:
    """Draw the weights that training starts from: the same in both frameworks, which would draw differently.

    Kernels are normal with the architecture's `kernel_deviation`, those beyond two deviations drawn again (what Keras
    calls truncated normal); biases are zero.
    """
    random = np.random.default_rng(seed)
    weights: Weights = {}
    for name, shape in architecture.weight_shapes(image_shape).items():
        values = np.zeros(shape)
        if name.endswith(".kernel"):
            values = random.standard_normal(shape)
            while (far := np.abs(values) > 2).any():
                values[far] = random.standard_normal(np.count_nonzero(far))
        weights[name] = (architecture.kernel_deviation * values).astype(np.float32)
    return weights


def to_torch(weights: Mapping[str, npt.NDArray[np.float32]]) -> Weights:
    """Return neutral weights under PyTorch's names and in its layout; the arrays are views."""
    return {
        f"{layer}.{TORCH_NAMES[name]}": _transposed(array, layer, name, TORCH_AXES)
        for layer, name, array in _parts(weights)
    }


def from_torch(weights: Mapping[str, npt.NDArray[np.float32]]) -> Weights:
    """Return PyTorch's weights under the neutral names and in the neutral layout; the arrays are views."""
    return {
        f"{layer}.{NEUTRAL_NAMES[name]}": _transposed(array, layer, NEUTRAL_NAMES[name], NEUTRAL_AXES)
        for layer, name, array in _parts(weights)
    }


def _parts(weights: Mapping[str, npt.NDArray[np.float32]]) -> list[tuple[str, str, npt.NDArray[np.float32]]]:
    return [(*name.split("."), array) for name, array in weights.items()]  # type: ignore[misc]


def _transposed(
    array: npt.NDArray[np.float32], layer: str, name: str, axes: Mapping[str, tuple[int, ...]]
) -> npt.NDArray[np.float32]:
    return array.transpose(axes[layer.rstrip("0123456789")]) if name == "kernel" else array


def check(weights: Mapping[str, npt.NDArray[np.float32]], shapes: Mapping[str, Shape]) -> None:
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


def save(path: Path, weights: Mapping[str, npt.NDArray[np.float32]]) -> None:
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
