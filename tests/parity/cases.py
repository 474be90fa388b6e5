"""Models, inputs and settings from which both sides of a comparison start; imports no framework."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import store
from store.arrays import Float32Array
from store.stream import Batch
from train.backend import Steps
from train.config import TrainConfig
from train.metrics import compute_metrics
from train.model.architecture import Architecture
from train.model.layers import Dense
from train.model.networks import ARCHITECTURES, conv_norm
from train.model.normalisation import RECIPES, Normalisation
from train.model.specification import Specification
from train.model.stateless_layers import Crop, Dropout, GlobalPool, ShowerFeatures
from train.model.weights import Weights
from train.presets import preset
from train.teacher_scores import TeacherScores
from train.variables import VariableInputs
from train.weighting import read_weights

EPOCHS = 3
STEPS = 25
RATE = 3e-5  # small steps, so that rounding does not grow over all of them


def without_dropout(architecture: Architecture) -> Architecture:
    """Return the architecture without dropout, for which the frameworks draw different random numbers."""
    layers = tuple(layer for layer in architecture.layers if not isinstance(layer, Dropout))
    return replace(architecture, layers=layers)


EVERYTHING: dict[str, Any] = {
    "optimiser": "adamw",
    "weight_decay": 0.1,
    "clip_norm": 0.1,
    "ema_decay": 0.9,
    "class_weights": (1.0, 2.0),
}
WEIGHTED: dict[str, Any] = {"weight": "label", "learning_rate": 10 * RATE}  # photons do not count
# Has options that a file may describe but that no built-in network uses, and the time, of which shower-time has nothing
# else that is not in shower.
OPTIONS = Architecture(
    name="_options, é/v1.0",  # not a name that a Keras model may have
    source="made up",
    layers=(
        *(ShowerFeatures(time=True), Crop(rows=9, columns=31)),
        *conv_norm(8, padding="valid"),
        *(GlobalPool(maximum=True), Dense(units=1, activation="linear")),
    ),
    initialiser="he",
)
# Small, and for three classes, whose weights count beside those of the samples.
THREE_CLASSES = Architecture(
    name="three-classes",
    source="made up",
    layers=(*conv_norm(8, stride=4), GlobalPool(), Dense(units=1, activation="linear")),
    initialiser="he",
).with_outputs(3)
MADE_UP = {"options": OPTIONS, "three-classes": THREE_CLASSES}
MODELS = {
    name: without_dropout(architecture)
    for name, architecture in (ARCHITECTURES | MADE_UP).items()
    if name != "shower-time"
}
# Steps that are large enough for weights that were ignored to show in the losses.
OF_MODEL: dict[str, dict[str, Any]] = {
    "three-classes": {"weight": "weight", "class_weights": (1.0, 1.5, 1.0), "learning_rate": 100 * RATE}
}
"""Settings of the training of a model that differ from the others'."""
JETS = {
    "jet-cnn": (),
    "jet-cnn-deep": ("pt", "m0"),
    "jet-transformer": (),
}  # models of jets, with their variables in these tests
ANY_SIZE = (
    "cnn",
    "cnn-small",
    "resnet15",
    "vit",
    "jet-cnn",
    "jet-cnn-deep",
    "jet-transformer",
)  # models of images of any size
SHOWER_RECIPES = tuple(recipe for recipe in RECIPES if recipe != "cms-jets")  # that one is for the models of jets


def store_of(folder: Path, name: str = "cnn") -> Path:
    """Return the store that a model is for."""
    return folder / f"{'jets' if name in JETS else name if name == 'three-classes' else 'showers'}.zarr"


def specification(folder: Path, recipe: str, name: str = "cnn") -> Specification:
    opened, names = store.open_store(store_of(folder, name)), JETS.get(name, ())
    return Specification(
        architecture=MODELS[name].with_variables(len(names)),
        normalisation=Normalisation.from_statistics(recipe, store.open_statistics(opened.path)),
        image_shape=opened.image.shape[1:],
        variables=VariableInputs.from_store(names, opened),
    )


def model_specification(folder: Path, name: str) -> Specification:
    recipe = "cms-jets" if name in JETS else "none" if MODELS[name].takes_raw_images else "max"
    return specification(folder, recipe, name)


def odd_specification(name: str) -> Specification:
    """Return a network for three classes of images whose sides are odd and differ, with many channels."""
    unscaled = Normalisation(recipe="none", scale=(1.0,) * 8, offset=(0.0,) * 8)
    return Specification(architecture=MODELS[name].with_outputs(3), normalisation=unscaled, image_shape=(39, 57, 8))


def odd_images() -> Float32Array:
    return np.random.default_rng(0).normal(size=(4, 39, 57, 8)).astype(np.float32)


def specifications(folder: Path) -> dict[str, Specification]:
    return {recipe: specification(folder, recipe) for recipe in SHOWER_RECIPES}


def example_inputs(folder: Path, name: str = "cnn") -> tuple[npt.NDArray[np.float32], ...]:
    """Return images, float32 (n, ieta, iphi, channel), half noise, half from the store, and the model's variables."""
    dataset = store.open_dataset(store_of(folder, name)).isel(sample=slice(8 if name in JETS else 16))
    image = dataset.image.values
    noise = np.random.default_rng(0).normal(size=image.shape).astype(np.float32)
    columns = [np.tile(dataset[variable].values, 2) for variable in JETS.get(name, ())]
    return (np.concatenate([noise, image]), *([np.column_stack(columns)] if columns else []))


def large_weights(specification: Specification, seed: int) -> Weights:
    """Return weights that give logits of order one, so that a difference between the frameworks would show."""
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


def random_variables(path: Path) -> Float32Array:
    """Return variables, float32 (sample, 2), for a store that has none."""
    samples = store.open_store(path).image.shape[0]
    return np.random.default_rng(0).normal(size=(samples, 2)).astype(np.float32)


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


def training_config(folder: Path, name: str, **settings: Any) -> TrainConfig:
    """Return small steps of Adam for a model; its weights of samples are those of `weights_of`."""
    chosen = preset("challenge") | {"learning_rate": RATE, "weight": "none"} | OF_MODEL.get(name, {}) | settings
    return TrainConfig(run=folder, store=store_of(folder, name), **chosen)


def weights_of(config: TrainConfig) -> Float32Array | None:
    return read_weights(config, store.open_store(config.store))


def targets_of(config: TrainConfig) -> Float32Array:
    """Return targets of made-up teachers who mistake each class for the next, float32 (sample,) or (sample, K)."""
    opened = store.open_store(config.store)
    label, classes = opened.column("label"), len(opened.spec.classes)
    score = 0.8 - 0.6 * label if classes == 2 else 0.1 + 0.7 * np.eye(classes)[(label + 1) % classes]
    scores = TeacherScores(sample=np.arange(label.size), score=score, store=opened.digest, teachers=[])
    return scores.targets(label, 0.7)


def batch_loss(batch: Batch | Steps, logit: npt.NDArray[np.float32]) -> float:
    return compute_metrics(batch.label, logit.astype(np.float64)).loss
