"""A whole training run, the same for both frameworks."""

import time
from contextlib import closing
from dataclasses import replace
from typing import cast

from store.cache import choose_shuffle
from store.plan import Shuffle
from store.reader import Store, open_statistics, open_store
from store.schema import SPLITS
from store.stream import BatchStream
from train.architecture import ARCHITECTURES
from train.checkpoint import Checkpoint
from train.config import AUTO, TrainConfig
from train.journal import Epoch, Journal
from train.learner import Learner, MakeLearner
from train.normalisation import Normalisation
from train.outputs import run_pass
from train.progress import report, say, show
from train.run import RunDirectory
from train.schedule import SCHEDULES, EarlyStopping, StoppingState
from train.specification import Specification


def fit(
    config: TrainConfig, framework: str, make_learner: MakeLearner, *, resume: bool = False, overwrite: bool = False
) -> None:
    """Train a model and leave a run directory.

    Parameters
    ----------
    config
        What to train; with `resume`, what `RunDirectory.resumed` returned.
    framework
        ``"torch"`` or ``"keras"``.
    make_learner
        Makes the model and its optimiser in that framework.
    resume
        Go on from the last finished epoch.
    overwrite
        Replace a run directory that is already there.

    Raises
    ------
    ConfigError
        If the model or the normalisation does not fit the store, or the device is not there.
    StoreError
        If there is no store, or it has no statistics.
    RunError
        If the run directory is taken, or the loss becomes NaN.
    StateError
        If the checkpoint is of another store or architecture.
    """
    directory = RunDirectory(path=config.run)
    if not resume:
        directory.check(overwrite=overwrite)
    store = open_store(config.store)
    specification = specify(config, store)
    if config.shuffle == AUTO:
        config = replace(config, shuffle=choose_shuffle(store))
    stream = open_stream(config, "train", config.shuffle)
    ordered = {split: open_stream(config, split, "none") for split in SPLITS}
    learner = make_learner(specification, config)
    if not resume:
        directory.create()
    parameters = specification.architecture.parameter_count(specification.image_shape)
    directory.write_config(config, framework, parameters)
    directory.write_environment(store, learner.device)
    simulated = f" ({store.attributes['simulated']})" if store.attributes["simulated"] else ""
    say(f"{config.model}: {parameters:,} parameters, {framework} on {learner.device}")
    say(f"{store.path}{simulated}: {stream.sample_count:,} images to train on")
    train(config, directory, learner, stream, ordered["validation"])
    finish(directory, learner, ordered)


def specify(config: TrainConfig, store: Store) -> Specification:
    """Return the model for a store, with the normalisation of its training split."""
    return Specification(
        architecture=ARCHITECTURES[config.model],
        normalisation=Normalisation.from_statistics(config.normalisation, open_statistics(store.path)),
        image_shape=store.image.shape[1:],
    )


def open_stream(config: TrainConfig, split: str, shuffle: str) -> BatchStream:
    """Open a stream of a split of the configured store."""
    return BatchStream(
        config.store,
        split=split,
        batch_size=config.batch_size,
        shuffle=cast("Shuffle", shuffle),
        seed=config.seed,
        memory=config.memory,
        threads=config.threads,
    )


def train(
    config: TrainConfig, directory: RunDirectory, learner: Learner, stream: BatchStream, validation: BatchStream
) -> None:
    """Train epoch after epoch, from the last checkpoint if there is one, until the end or until nothing improves."""
    schedule, stopping = SCHEDULES[config.schedule], EarlyStopping(patience=config.patience)
    done, rate, wait = 0, schedule.start(config.learning_rate), StoppingState()
    if directory.last.exists():
        checkpoint = Checkpoint.load(directory.last)
        stream.load_state_dict(dict(checkpoint.stream))
        learner.load_state(checkpoint.arrays)
        done, rate, wait = checkpoint.epoch, checkpoint.schedule, checkpoint.stopping
    with closing(Journal(directory.path, epochs=done)) as journal:
        while done < config.epochs and not stopping.stops(wait):
            done += 1
            learner.set_learning_rate(rate.rate)
            epoch = train_epoch(learner, stream, validation, done, rate.rate)
            journal.write(epoch)
            report(epoch, config.epochs)
            rate = schedule.after(rate, epoch.validation_loss)
            wait = stopping.after(wait, done, epoch.validation_loss)
            checkpoint = Checkpoint(
                epoch=done, schedule=rate, stopping=wait, stream=stream.state_dict(), arrays=learner.state()
            )
            # The best one first: if this is cut short, the epoch is done again and writes the same.
            if wait.best_epoch == done:
                checkpoint.save(directory.best)
            checkpoint.save(directory.last)
    say(f"lowest validation loss {wait.best:.4f} in epoch {wait.best_epoch}")


def train_epoch(
    learner: Learner, stream: BatchStream, validation: BatchStream, number: int, learning_rate: float
) -> Epoch:
    """Train on one epoch of the stream and measure the model on the validation split."""
    began, waited = time.perf_counter(), stream.waited
    trained = run_pass(learner, stream, "train", f"epoch {number}")
    seconds = time.perf_counter() - began
    training = trained.metrics
    validated = run_pass(learner, validation, "predict", f"validation after epoch {number}").metrics
    return Epoch(
        epoch=number,
        train_loss=training.loss,
        train_accuracy=training.accuracy,
        train_auc=training.auc,
        validation_loss=validated.loss,
        validation_accuracy=validated.accuracy,
        validation_auc=validated.auc,
        learning_rate=learning_rate,
        samples_per_second=len(trained.sample) / seconds,
        waiting_share=(stream.waited - waited) / seconds,
        seconds=time.perf_counter() - began,
    )


def finish(directory: RunDirectory, learner: Learner, ordered: dict[str, BatchStream]) -> None:
    """Export the best model and write its predictions for every split."""
    learner.load_state(Checkpoint.load(directory.best).arrays)
    learner.export(directory.path)
    for split, stream in ordered.items():
        outputs = run_pass(learner, stream, "predict", f"predictions for {split}")
        outputs.predictions.save(directory.predictions(split))
        say(f"{split}: AUC {show(outputs.metrics.auc)}, accuracy {outputs.metrics.accuracy:.4f}")
    say(f"{directory.path} is complete; `evaluate {directory.path}` reports on it")
