"""What the settings of a run mean for its store: ``auto`` settings, the model, and checks of what does not fit."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from store.arrays import Float32Array
from store.datasets import SPLITS
from store.errors import ConfigError, RunError
from store.locations import Url
from store.opening import Store, read_statistics
from store.plans.shuffles import Shuffle
from store.readers.page_cache import choose_shuffle
from store.run_folder import RunFolder
from train.augmentation import Augmentation, default_augmentation
from train.backend import Backend
from train.config import AUTO, TrainConfig
from train.model.choice import check_fit, choose_model, fitting_models, suggest_models
from train.model.networks import ARCHITECTURES, find_architecture
from train.model.normalisation import Normalisation
from train.model.specification import Specification
from train.setting_values import BALANCED, NONE
from train.variables import VariableInputs
from train.weighting import balanced_class_weights, default_weight, select_samples

CHANGEABLE = {"epochs", "patience", "device", "feed", "cuda_graph", "memory", "threads", "save_every"}
"""Settings that may change when a run is resumed."""


def resumed_config(folder: RunFolder, framework: str, changes: Mapping[str, Any]) -> TrainConfig:
    """Return the recorded configuration of a run, with changes that do not affect its result.

    Raises
    ------
    RunError
        If the folder holds no run, its configuration is damaged, the run was trained with the other framework, or a
        change would affect the result.
    """
    recorded_framework = folder.framework
    if recorded_framework is None:
        raise RunError(f"{folder.path}: no run to resume here; leave out --resume to start one")
    if recorded_framework != framework:
        raise RunError(
            f"{folder.path}: was trained with {recorded_framework}; resume it with train-{recorded_framework} --resume"
        )
    recorded = folder.read_config()
    try:
        before = TrainConfig.from_dict(recorded)
    except ConfigError as error:
        raise RunError(f"{folder.path / 'config.json'}: {error}") from None
    # Settings that default to `auto` were resolved when the run started; device and feed are chosen anew each time.
    changes = {name: value for name, value in changes.items() if value != AUTO or name in ("device", "feed")}
    after = TrainConfig.from_dict({**recorded, **changes, "run": folder.path})
    # Another number of ranks needs another batch size; whether it is the right one, the checkpoint tells.
    changeable = CHANGEABLE | {"run", "store"} | ({"batch_size"} if folder.last_checkpoint.exists() else set())
    for name in sorted(changes.keys() - changeable):
        if getattr(before, name) != getattr(after, name):
            raise RunError(
                f"{folder.path}: was started with {name}={getattr(before, name)} and cannot continue with "
                f"{getattr(after, name)}; leave it out, or start another --run"
            )
    return after


def resolve_config(config: TrainConfig, store: Store) -> TrainConfig:
    """Return the configuration with ``auto`` replaced by what it means for the store.

    Raises
    ------
    ConfigError
        See `choose_model`.
    """
    if config.model == AUTO:
        config = replace(config, model=choose_model(store))
    if config.augmentation == AUTO:
        config = replace(config, augmentation=default_augmentation(store.spec))
    if config.weight == AUTO:
        config = replace(config, weight=default_weight(store))
    if config.normalisation == AUTO:
        config = replace(config, normalisation="none" if find_architecture(config.model).takes_raw_images else "log")
    return config


def resolve_shuffle(config: TrainConfig, store: Store, backend: Backend) -> TrainConfig:
    """Return the configuration with a shuffle that is ``auto`` replaced by what suits all ranks.

    For a store at a URL it stays ``auto``, since another order may suit each epoch; see `agreed_shuffle`. Collective:
    every rank must call this.
    """
    if config.shuffle != AUTO or isinstance(store.path, Url):
        return config
    return replace(config, shuffle=agreed_shuffle(choose_shuffle(store), backend))


def agreed_shuffle(shuffle: Shuffle, backend: Backend) -> Shuffle:
    """Return ``full`` if it suits all ranks, otherwise ``window``. Collective: every rank must call this."""
    return "full" if backend.all_gather(np.array([shuffle == "full"])).all() else "window"


def resolve_class_weights(config: TrainConfig, store: Store, weights: Float32Array | None) -> TrainConfig:
    """Return the configuration with class weights that are ``balanced`` replaced by numbers.

    Parameters
    ----------
    config, store
        Settings of the run, and the configured store.
    weights
        Weight of every sample of the store, see `train.weighting.read_weights`.

    Raises
    ------
    ConfigError
        If the number of class weights is not the number of classes, or see `train.weighting.balanced_class_weights`.
    """
    classes = len(store.spec.classes)
    if config.class_weights == BALANCED:
        config = replace(config, class_weights=tuple(balanced_class_weights(config, store, weights).tolist()))
    if config.class_weights != NONE and len(config.class_weights) != classes:
        raise ConfigError(f"class_weights={config.class_weights}: expected {classes}, one per class of {store.path}")
    return config


def make_specification(config: TrainConfig, store: Store) -> Specification:
    """Return the model, with constants of its normalisation computed from the training split of the store.

    Raises
    ------
    ConfigError
        If the architecture does not fit the images, the variables or the classes; the message names the file it was
        read from, or the built-in architectures that fit the images.
    """
    classes = len(store.spec.classes)
    try:
        architecture = find_architecture(config.model)
        check_fit(architecture, store.spec)
        specification = Specification(
            architecture=architecture.with_variables(len(config.variables)).with_outputs(classes),
            normalisation=Normalisation.from_statistics(config.normalisation, read_statistics(store)),
            image_shape=store.spec.image_shape,
            variables=VariableInputs.from_store(config.variables, store),
        )
        if specification.class_count != classes:
            count = specification.class_count
            ending = "one logit" if count == 2 else f"{count} logits"
            needed = "one logit" if classes == 2 else f"{classes} logits, or in a dense layer of one unit"
            raise ConfigError(
                f"model {architecture.name!r} ends in {ending}; for the {classes} classes of {store.path} it must end "
                f"in {needed}"
            )
        return specification
    except ConfigError as error:
        if config.model.endswith(".json") and config.model not in str(error):
            raise ConfigError(f"{config.model}: {error}") from None
        if config.model in ARCHITECTURES.keys() - fitting_models(store.spec):
            raise ConfigError(f"{store.path}: {error}; {suggest_models(store.spec)}") from None
        raise


def check_samples(config: TrainConfig, store: Store) -> None:
    """Check that the cut leaves samples of every class that a split has.

    Raises
    ------
    ConfigError
        If it leaves none of a class in a split.
    """
    if config.where == NONE:
        return
    label = store.column("label")
    for split in SPLITS:
        before, left = label[slice(*store.split_range(split))], label[select_samples(config, store, split)]
        for number in np.setdiff1d(before, left).tolist():
            name = store.spec.classes[number]
            raise ConfigError(f"{store.path}: where={config.where!r} leaves no {name} in split {split!r}")


def make_augmentation(config: TrainConfig, store: Store) -> Augmentation | None:
    """Return the augmentation of the training images, or None if there is none."""
    if config.augmentation == NONE:
        return None
    return Augmentation(name=config.augmentation, spec=store.spec, seed=config.seed)
