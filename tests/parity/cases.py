"""What both sides of a comparison start from; no framework in here."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import store
from store.stream import Batch
from train.architecture import ARCHITECTURES, CNN, Architecture
from train.metrics import measure
from train.normalisation import RECIPES, Normalisation
from train.plain_layers import Dropout
from train.specification import Specification
from train.weights import Weights

EPOCHS = 3
STEPS = 50
RATE = 3e-5  # small steps, so that rounding does not grow over fifty of them


def without_dropout(architecture: Architecture) -> Architecture:
    """Return the architecture without what the frameworks draw differently."""
    layers = tuple(layer for layer in architecture.layers if not isinstance(layer, Dropout))
    return replace(architecture, layers=layers)


EVERYTHING: dict[str, Any] = {
    "optimiser": "adamw",
    "weight_decay": 0.1,
    "clip_norm": 0.1,
    "average": 0.9,
    "class_weights": (1.0, 2.0),
}
MODELS = {name: without_dropout(architecture) for name, architecture in ARCHITECTURES.items()}


def specification(path: Path, recipe: str, architecture: Architecture = CNN) -> Specification:
    normalisation = Normalisation.from_statistics(recipe, store.open_statistics(path))
    return Specification(architecture=architecture, normalisation=normalisation, image_shape=(32, 32, 2))


def model_specification(path: Path, name: str) -> Specification:
    return specification(path, "none" if MODELS[name].raw else "max", MODELS[name])


def specifications(path: Path) -> dict[str, Specification]:
    return {recipe: specification(path, recipe) for recipe in RECIPES}


def images(path: Path) -> npt.NDArray[np.float32]:
    """Return float32 (32, 32, 32, 2): half of them noise, half showers of the store."""
    noise = np.random.default_rng(0).normal(size=(16, 32, 32, 2)).astype(np.float32)
    return np.concatenate([noise, store.open_dataset(path, split="test").image[:16].values])


def large_weights(specification: Specification, seed: int) -> Weights:
    """Return weights that give logits of the order of one, where a difference would show."""
    random = np.random.default_rng(seed)
    values: Weights = {}
    for name, shape in specification.architecture.weight_shapes(specification.image_shape).items():
        value = 0.1 * random.normal(size=shape)
        if name.endswith("kernel"):
            value *= 10 * np.sqrt(2 / np.prod(shape[:-1]))
        elif name.endswith(("scale", "variance")):
            value = np.exp(value)
        values[name] = value.astype(np.float32)
    return values


def open_feed(path: Path, batch_size: int = 50) -> store.BatchStream:
    return store.BatchStream(path, split="train", batch_size=batch_size, seed=7)


def digest(arrays: Iterable[npt.NDArray[np.generic]]) -> str:
    """Return one sha256 over the bytes, shapes and types of all arrays."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(f"{array.shape} {array.dtype}".encode())
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()


def loss_sequences() -> npt.NDArray[np.float64]:
    """Return float64 (30, 40): validation losses that fall, stall and rise in steps about as large as `min_delta`."""
    random = np.random.default_rng(0)
    steps = random.choice([-2e-3, -1.5e-4, -1e-4, -5e-5, 0, 5e-5, 1e-3], size=(30, 40))
    return 0.6 + np.cumsum(steps, axis=1)


def batch_loss(batch: Batch, logit: npt.NDArray[np.float32]) -> float:
    return measure(batch.label, logit.astype(np.float64)).loss
