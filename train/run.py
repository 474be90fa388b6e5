"""A whole training run, the same for both frameworks: from a configuration to a complete run directory."""

import json
import shlex
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Literal, cast

from store.arrays import Float32Array
from store.compiled.preparation import prepare
from store.datasets import SPLITS
from store.errors import ConfigError, RunError
from store.opening import Store, open_store
from store.plans.shuffles import AnyShuffle
from store.run_folder import RunFolder
from store.stream import BatchStream
from train.augmentation import Augmentation
from train.backend import Backend, BackendFactory
from train.checkpoint import Checkpoint
from train.config import TrainConfig
from train.feeds import choose_feed, hold_splits, streams_sparse
from train.loop import TrainingLoop
from train.model.networks import ARCHITECTURES
from train.model.specification import Specification
from train.outputs import predict
from train.progress import announce, announce_split, announce_start
from train.resolve import (
    check_samples,
    make_augmentation,
    make_specification,
    resolve_class_weights,
    resolve_config,
    resolve_shuffle,
)
from train.setting_values import NONE
from train.teacher_scores import TeacherScores
from train.teachers import ask_teachers, launched_ranks, read_teachers
from train.weighting import read_weights, stored_weights


def run_training(
    config: TrainConfig, framework: str, make_backend: BackendFactory, *, resume: bool = False, overwrite: bool = False
) -> None:
    """Train a model and write a run directory.

    Parameters
    ----------
    config
        Settings; to resume, what `train.resolve.resumed_config` returned.
    framework
        ``"torch"`` or ``"keras"``.
    make_backend
        Makes the model and its optimiser in that framework.
    resume
        Continue from the last checkpoint.
    overwrite
        Replace an existing run directory.

    Raises
    ------
    ConfigError
        If the model, the normalisation, the augmentation or a variable does not fit the store, or the device is not
        available.
    StoreError
        If there is no store, or it has no statistics.
    RunError
        If the run directory already exists, is in use or belongs to another model, a teacher cannot be used, the disk
        is too small, or the loss becomes NaN or infinite.
    StateError
        If the checkpoint belongs to another store or architecture.
    """
    folder = RunFolder(path=config.run)
    if not resume:
        folder.check_free(overwrite=overwrite)
    store = open_store(config.store)
    config = resolve_config(config, store)
    weights = read_weights(config, store)
    config = resolve_class_weights(config, store, weights)
    specification = make_specification(config, store)
    if resume:
        specification = resumed_specification(folder, config, specification)
    check_samples(config, store)
    prepare()
    augmentation = make_augmentation(config, store)
    # Before the backend exists, since a framework may take all of a GPU's memory.
    scores = find_scores(config, store, folder, resume=resume) if config.teach else None
    backend = make_backend(specification, config, weights)
    targets = None
    if scores is not None:
        scores = scores if resume else scores.of_all_ranks(backend)
        targets = scores.targets(store.column("label"), config.teach_share)
        backend.teach(targets)
    config = replace(config if resume else resolve_shuffle(config, store, backend), precision=backend.precision)
    ranks = (backend.rank, backend.world_size)
    parameters = specification.architecture.parameter_count(specification.image_shape)
    sparse = streams_sparse(store.image.shape[1:], backend)
    training = open_stream(config, "train", config.shuffle, ranks, augmentation, training=True, sparse=sparse)
    # Several ranks predict for the shards that they train on, which they have in their caches.
    order = "none" if backend.world_size == 1 else "chunks"
    ordered = {split: open_stream(config, split, order, ranks, sparse=sparse) for split in SPLITS}
    repeated = {"train": training, "validation": ordered["validation"]}
    feed = choose_feed(config, repeated, backend)
    with folder.locked() if backend.rank == 0 else nullcontext():
        if backend.rank == 0:
            samples = sum(stream.sample_count for stream in ordered.values())
            samples += 0 if scores is None else len(scores.sample)
            classes = specification.class_count
            folder.check_space(specification.weight_bytes, samples, scores=1 if classes == 2 else classes)
            if resume:
                folder.create_subfolders()
            else:
                folder.create()
        loop = TrainingLoop(config, folder, backend, training, ordered["validation"], weights, targets)
        if resume and folder.last_checkpoint.exists():
            loop.load(folder.last_checkpoint)
        else:
            loop.choose_order()
        if backend.rank == 0:
            folder.write_config(config.to_dict(), framework=framework, parameters=parameters)
            folder.write_specification(specification.to_dict())
            folder.write_environment(store, backend.device, feed.name)
            if scores is not None and not resume:
                scores.save(folder.teachers)
        announce_start(
            config,
            store,
            training,
            framework=framework,
            device=backend.device,
            feed=str(feed),
            ranks=backend.world_size,
            parameters=parameters,
        )
        try:
            hold_splits(config, feed, repeated, backend)
            loop.run()
            export_best(folder, backend, ordered, weights, stored_weights(config, store))
        except KeyboardInterrupt:
            announce(f"`train-{framework} --run {shlex.quote(str(folder.path))} --resume` continues this run")
            raise


def find_scores(config: TrainConfig, store: Store, folder: RunFolder, *, resume: bool) -> TeacherScores:
    """Return the teachers' scores of the run that is resumed, or those of this rank's part of the training images."""
    if resume:
        return TeacherScores.load(folder.teachers, config, store)
    stream = open_stream(config, "train", "none", launched_ranks())
    return ask_teachers(config, store, read_teachers(config, store), stream)


def open_stream(
    config: TrainConfig,
    split: str,
    shuffle: str,
    ranks: tuple[int, int],
    transform: Augmentation | None = None,
    *,
    training: bool = False,
    sparse: bool = False,
) -> BatchStream:
    """Open a stream of a split of the configured store.

    Parameters
    ----------
    config
        Settings of the run.
    split, shuffle, transform
        See `BatchStream`.
    ranks
        Rank and world size.
    training
        Whether the model is trained on the stream, so that it is balanced if the run is.
    sparse
        Whether it gives images in sparse form.
    """
    rank, world_size = ranks
    return BatchStream(
        config.store,
        split=split,
        batch_size=config.batch_size,
        shuffle=cast("AnyShuffle", shuffle),
        seed=config.seed,
        rank=rank,
        world_size=world_size,
        samples=config.train_samples or None if split == "train" else None,
        where=None if config.where == NONE else config.where,
        balance=None if config.balance == NONE or not training else config.balance,
        memory=config.memory,
        threads=config.threads,
        transform=transform,
        sparse=cast("Literal[False]", sparse),
    )


def resumed_specification(folder: RunFolder, config: TrainConfig, specification: Specification) -> Specification:
    """Return the model of the run to resume.

    It keeps the layers that it was started with: those of a built-in network may have changed since then.

    Raises
    ------
    RunError
        If the run has another model or store, or its description is damaged.
    """
    path = folder.path / "architecture.json"
    if not path.exists():
        return specification
    recorded, expected = folder.read_specification(), json.loads(json.dumps(specification.to_dict()))
    if config.model in ARCHITECTURES:
        expected["architecture"] = recorded.get("architecture")
    if recorded != expected:
        raise RunError(f"{path}: the run was started with another model or store; start another --run")
    try:
        return Specification.from_dict(recorded)
    except ConfigError as error:
        raise RunError(f"{path}: {error}") from None


def export_best(
    folder: RunFolder,
    backend: Backend,
    ordered: Mapping[str, BatchStream],
    weights: Float32Array | None,
    stored: Float32Array | None,
) -> None:
    """Export the best model and write its predictions for each split. Collective: every rank must call this.

    Parameters
    ----------
    folder
        The run directory.
    backend
        The model.
    ordered
        For each split, all of its samples once, without augmentation.
    weights
        Weights of the samples in the metrics, see `train.weighting.read_weights`.
    stored
        Weights of the samples in the predictions, see `train.weighting.stored_weights`.
    """
    backend.barrier()  # rank 0 has written the best checkpoint
    Checkpoint.load(folder.best_checkpoint).restore(backend, folder.best_checkpoint)
    if backend.rank == 0:
        backend.export(folder.path)
    for split, stream in ordered.items():
        outputs = predict(backend, stream, f"predictions for {split}")
        if backend.rank == 0:
            outputs.predictions(stored).save(folder.predictions(split))
        announce_split(split, outputs.metrics(weights))
    announce(f"{folder.path} is complete; `evaluate {folder.path}` reports on it")
