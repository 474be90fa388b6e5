"""A whole training run, the same for both frameworks."""

import time
from contextlib import ExitStack, closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from store.console import console, say
from store.datasets import SPLITS
from store.errors import ConfigError, StateError
from store.opening import Store, open_statistics, open_store
from store.page_cache import choose_shuffle
from store.plan import Shuffle
from store.run_folder import EpochRecord, RunFolder
from store.stream import BatchStream
from train.augmentation import Augmentation
from train.backend import Backend, BackendFactory
from train.checkpoint import Checkpoint
from train.config import AUTO, BALANCED, NONE, TrainConfig
from train.history import HistoryWriter
from train.model.architecture import find_architecture
from train.model.normalisation import Normalisation
from train.model.specification import Specification
from train.outputs import Collector, Outputs, predict
from train.progress import format_auc, report, watch
from train.run import check_specification
from train.schedule import SCHEDULES, EarlyStopping, StoppingState, warm_up
from train.variables import Variables


def fit(
    config: TrainConfig, framework: str, make_backend: BackendFactory, *, resume: bool = False, overwrite: bool = False
) -> None:
    """Train a model and leave a run directory.

    Parameters
    ----------
    config
        What to train; with `resume`, what `train.run.resumed_config` returned.
    framework
        ``"torch"`` or ``"keras"``.
    make_backend
        Makes the model and its optimiser in that framework.
    resume
        Go on from the last checkpoint.
    overwrite
        Replace a run directory that is already there.

    Raises
    ------
    ConfigError
        If the model, the normalisation, the augmentation or a variable does not fit the store, or the device is not
        there.
    StoreError
        If there is no store, or it has no statistics.
    RunError
        If the run directory is taken, is being trained in or belongs to another model, the disk is too small for it,
        or the loss becomes NaN.
    StateError
        If the checkpoint is of another store or architecture.
    """
    directory = RunFolder(path=config.run)
    if not resume:
        directory.check_free(overwrite=overwrite)
    store = open_store(config.store)
    config = resolve(config, store)
    specification = specify(config, store)
    transform = None
    if config.augmentation != NONE:
        transform = Augmentation(name=config.augmentation, spec=store.spec, seed=config.seed)
    backend = make_backend(specification, config)
    ranks = (backend.rank, backend.world_size)
    console.quiet = backend.rank > 0
    stream = open_stream(config, "train", config.shuffle, ranks, transform)
    ordered = {split: open_stream(config, split, "none", ranks) for split in SPLITS}
    with directory.locked() if backend.rank == 0 else nullcontext():
        if backend.rank == 0:
            samples = sum(split.sample_count for split in ordered.values())
            directory.check_space(specification.weight_bytes, samples)
            if resume:
                check_specification(directory, specification)
            else:
                directory.create()
            parameters = specification.architecture.parameter_count(specification.image_shape)
            directory.write_config(config.to_dict(), framework=framework, parameters=parameters)
            directory.write_specification(specification.to_dict())
            directory.write_environment(store, backend.device)
            simulated = f" ({store.attributes['simulated']})" if store.attributes["simulated"] else ""
            together = f", {backend.world_size} ranks" if backend.world_size > 1 else ""
            say(f"{config.model}: {parameters:,} parameters, {framework} on {backend.device}{together}")
            say(f"{store.path}{simulated}: {stream.sample_count:,} images to train on")
            say(f"shuffle {config.shuffle}, read as {stream.reader}, at most {stream.memory / 1e6:,.0f} MB of batches")
        training = Training(config, directory, backend, stream, ordered["validation"])
        if resume and directory.last_checkpoint.exists():
            training.load(directory.last_checkpoint)
        training.run()
        finish(directory, backend, ordered)


def resolve(config: TrainConfig, store: Store) -> TrainConfig:
    """Return the configuration with what depends on the store put in.

    Raises
    ------
    ConfigError
        If there is not one class weight for each class.
    """
    if config.shuffle == AUTO:
        config = replace(config, shuffle=choose_shuffle(store))
    if config.normalisation == AUTO:
        config = replace(config, normalisation="none" if find_architecture(config.model).raw else "log")
    classes = len(store.spec.classes)
    if config.class_weights == BALANCED:
        images = open_statistics(store.path)["images"].values
        config = replace(config, class_weights=tuple(images.sum() / (classes * images)))
    if config.class_weights != NONE and len(config.class_weights) != classes:
        raise ConfigError(f"class_weights={config.class_weights}: the store has {classes} classes")
    return config


def specify(config: TrainConfig, store: Store) -> Specification:
    """Return the model for a store, with what its training split says of images and variables."""
    return Specification(
        architecture=find_architecture(config.model).joined(len(config.variables)),
        normalisation=Normalisation.from_statistics(config.normalisation, open_statistics(store.path)),
        image_shape=store.image.shape[1:],
        variables=Variables.of(config.variables, store),
    )


def open_stream(
    config: TrainConfig, split: str, shuffle: str, ranks: tuple[int, int], transform: Augmentation | None = None
) -> BatchStream:
    """Open a stream of a split of the configured store; `ranks` are rank and world size."""
    return BatchStream(
        config.store,
        split=split,
        batch_size=config.batch_size,
        shuffle=cast("Shuffle", shuffle),
        seed=config.seed,
        rank=ranks[0],
        world_size=ranks[1],
        samples=config.train_samples or None if split == "train" else None,
        memory=config.memory,
        threads=config.threads,
        transform=transform,
    )


class Training:
    """Epoch after epoch, until the end or until nothing improves; only rank 0 writes to the run directory."""

    def __init__(
        self,
        config: TrainConfig,
        directory: RunFolder,
        backend: Backend,
        stream: BatchStream,
        validation: BatchStream,
    ) -> None:
        self._config, self._directory, self._learner = config, directory, backend
        self._stream, self._validation = stream, validation
        self._schedule, self._stopping = SCHEDULES[config.schedule], EarlyStopping(patience=config.patience)
        self._epochs, self._rate, self._wait = 0, self._schedule.start(config.learning_rate), StoppingState()
        self._done: Outputs | None = None

    def load(self, path: Path) -> None:
        """Go to where a checkpoint was taken.

        Raises
        ------
        StateError
            If it is of another store or architecture; the message names the file.
        """
        checkpoint = Checkpoint.load(path)
        try:
            self._learner.load_state_dict(checkpoint.arrays)
            self._stream.load_state_dict({**checkpoint.stream, "rank": self._learner.rank})
        except StateError as error:
            raise StateError(f"{path}: {error}") from None
        self._epochs, self._rate, self._wait = checkpoint.epoch, checkpoint.schedule, checkpoint.stopping
        self._done = Outputs(**checkpoint.outputs) if checkpoint.outputs else None

    def run(self) -> None:
        """Train, and keep the history and the checkpoints of the run."""
        with ExitStack() as stack:
            history_writer = None
            if self._learner.rank == 0:
                history_writer = stack.enter_context(closing(HistoryWriter(self._directory, epochs=self._epochs)))
            while self._epochs < self._config.epochs and not self._stopping.stops(self._wait):
                epoch = self._epoch()
                if history_writer:
                    history_writer.write(epoch)
                report(epoch, self._config.epochs)
                self._epochs += 1
                self._rate = self._schedule.after(self._rate, epoch.validation_loss)
                self._wait = self._stopping.after(self._wait, self._epochs, epoch.validation_loss)
                # The best one first: if this is cut short, the epoch is done again and writes the same.
                if self._wait.best_epoch == self._epochs:
                    self._save(self._directory.best_checkpoint)
                self._save(self._directory.last_checkpoint)
        say(f"lowest validation loss {self._wait.best:.4f} in epoch {self._wait.best_epoch}")

    def _epoch(self) -> EpochRecord:
        """Train on one epoch of the stream and measure the model on the validation split."""
        number, waited = self._epochs + 1, self._stream.waited
        before = 0 if self._done is None else len(self._done.sample)
        began = time.perf_counter()
        trained = self._train(f"epoch {number}")
        seconds, self._done = time.perf_counter() - began, None
        training = trained.metrics
        validated = predict(self._learner, self._validation, f"validation after epoch {number}").metrics
        return EpochRecord(
            epoch=number,
            train_loss=training.loss,
            train_accuracy=training.accuracy,
            train_auc=training.auc,
            validation_loss=validated.loss,
            validation_accuracy=validated.accuracy,
            validation_auc=validated.auc,
            learning_rate=self._rate_at(len(self._stream) - 1),
            samples_per_second=(len(trained.sample) - before) / seconds,
            waiting_share=(self._stream.waited - waited) / seconds,
            seconds=time.perf_counter() - began,
        )

    def _train(self, title: str) -> Outputs:
        batches, saved = self._stream.state_dict()["batch"], time.monotonic()
        with watch(title, self._stream) as seen:
            collector = Collector(self._learner, title, seen, self._done, batches)
            for index, (batch, inputs, label) in enumerate(self._learner.feed(self._stream), start=batches):
                self._learner.set_learning_rate(self._rate_at(index))
                collector.add(batch.sample, batch.label, self._learner.train(inputs, label))
                # Ranks would have to agree on the moment: several save after epochs alone.
                due = time.monotonic() - saved >= self._config.save_every and index + 1 < len(self._stream)
                if due and self._learner.world_size == 1:
                    self._save(self._directory.last_checkpoint, collector.outputs(), index + 1)
                    saved = time.monotonic()
            return collector.outputs().gather(self._learner)

    def _rate_at(self, batch: int) -> float:
        """Return the learning rate of a batch of the current epoch."""
        at = self._epochs + (batch + 0.5) / len(self._stream)
        share = self._schedule.share(at, self._config.epochs) * warm_up(at, self._config.warm_up)
        return self._rate.rate * share

    def _save(self, path: Path, outputs: Outputs | None = None, batch: int = 0) -> None:
        """Write a checkpoint: after an epoch, or inside one with its outputs so far and the number of its batches."""
        state = self._stream.state_dict()
        checkpoint = Checkpoint(
            epoch=self._epochs,
            schedule=self._rate,
            stopping=self._wait,
            stream={**state, "batch": batch},  # a feed may have taken a batch that was not trained on yet
            arrays=self._learner.state_dict(),
            outputs={} if outputs is None else vars(outputs),
        )
        if self._learner.rank == 0:
            checkpoint.save(path)


def finish(directory: RunFolder, backend: Backend, ordered: dict[str, BatchStream]) -> None:
    """Export the best model and write its predictions for every split."""
    backend.all_gather(np.zeros(1))  # rank 0 has written the best checkpoint when it answers
    backend.load_state_dict(Checkpoint.load(directory.best_checkpoint).arrays)
    if backend.rank == 0:
        backend.export(directory.path)
    for split, stream in ordered.items():
        outputs = predict(backend, stream, f"predictions for {split}")
        if backend.rank == 0:
            outputs.predictions.save(directory.predictions(split))
        say(f"{split}: AUC {format_auc(outputs.metrics.auc)}, accuracy {outputs.metrics.accuracy:.4f}")
    say(f"{directory.path} is complete; `evaluate {directory.path}` reports on it")
