"""The epochs of a training run, the same for both frameworks."""

import time
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np

from store.arrays import Float32Array
from store.epoch_record import EpochRecord
from store.errors import RunError, StateError
from store.run_folder import RunFolder
from store.stream import BatchStream
from train.backend import Backend
from train.checkpoint import Checkpoint
from train.config import AUTO, TrainConfig
from train.epoch_table import EpochTable
from train.history import HistoryWriter
from train.outputs import Collector, Outputs, predict
from train.progress import Throughput, announce, watch
from train.resolve import agreed_shuffle
from train.schedule import SCHEDULES, EarlyStopping, StoppingState, warm_up_factor

ASK_EVERY = 32  # batches


class TrainingLoop:
    """Trains epoch by epoch, until the last epoch or until early stopping.

    Every rank has a loop; only that of rank 0 writes to the run directory.

    Parameters
    ----------
    config
        Settings of the run.
    folder
        Run directory, for the history and the checkpoints.
    backend
        Model and optimiser.
    training, validation
        Streams of this rank.
    weights
        Weights of the samples in the metrics, see `train.weighting.read_weights`.
    targets
        Targets of the training samples in the training loss, see `train.teacher_scores.TeacherScores.targets`; None
        for their labels.
    """

    def __init__(
        self,
        config: TrainConfig,
        folder: RunFolder,
        backend: Backend,
        training: BatchStream,
        validation: BatchStream,
        weights: Float32Array | None,
        targets: Float32Array | None = None,
    ) -> None:
        self._config, self._folder, self._backend = config, folder, backend
        self._training, self._validation, self._weights, self._targets = training, validation, weights, targets
        self._schedule, self._stopping = SCHEDULES[config.schedule], EarlyStopping(patience=config.patience)
        self._epochs, self._schedule_state, self._stopping_state = (
            0,
            self._schedule.start(config.learning_rate),
            StoppingState(),
        )
        self._earlier: Outputs | None = None  # those of an interrupted epoch, from before the interruption
        self._first_step = True

    def load(self, path: Path) -> None:
        """Continue from a checkpoint.

        Raises
        ------
        StateError
            If the checkpoint belongs to another store or architecture; the message names the file.
        """
        checkpoint = Checkpoint.load(path)
        checkpoint.restore(self._backend, path)
        try:
            self._training.load_state_dict(checkpoint.stream)
        except StateError as error:
            raise StateError(f"{path}: {error}") from None
        self._epochs, self._schedule_state, self._stopping_state = (
            checkpoint.epoch,
            checkpoint.schedule,
            checkpoint.stopping,
        )
        # Those of all ranks, which rank 0 adds to its own: the run may have had another number of ranks.
        if checkpoint.outputs and self._backend.rank == 0:
            self._earlier = Outputs(**checkpoint.outputs)

    def choose_order(self) -> None:
        """Take the order that suits all ranks for the next epoch, if it is to be chosen. Collective."""
        if self._config.shuffle == AUTO:
            self._training.reorder(agreed_shuffle(self._training.best_shuffle, self._backend))

    def run(self) -> None:
        """Train, and write the history and the checkpoints. Collective: every rank must call this.

        Raises
        ------
        RunError
            If the loss becomes NaN or infinite; the message names the run directory.
        """
        with ExitStack() as stack:
            history = None
            if self._backend.rank == 0:
                history = stack.enter_context(closing(HistoryWriter(self._folder, epochs=self._epochs)))
            earlier = history.records if history else ()
            table = EpochTable(self._config.epochs, earlier, show_shuffle=self._config.shuffle == AUTO)
            while self._epochs < self._config.epochs and not self._stopping.stops(self._stopping_state):
                try:
                    record = self._run_epoch(table)
                except RunError as error:
                    raise RunError(f"{self._folder.path}: {error}") from None
                if history:
                    history.write(record)
                table.add(record)
                self._finish_epoch(record.validation_loss)
        announce(f"lowest validation loss {self._stopping_state.best:.4f} in epoch {self._stopping_state.best_epoch}")

    def _run_epoch(self, table: EpochTable) -> EpochRecord:
        """Train for one epoch, or for the rest of an interrupted one, and validate."""
        number, began, shuffle = self._epochs + 1, time.perf_counter(), self._training.plan.identity["shuffle"]
        table.begin_epoch()
        outputs, samples_per_second, waiting_share = self._train(f"epoch {number}", table)
        training = outputs.metrics(self._weights, self._targets)
        validated = predict(
            self._backend, self._validation, f"validation after epoch {number}", lambda _: table.seconds_left()
        )
        validation = validated.metrics(self._weights)
        return EpochRecord(
            epoch=number,
            train_loss=training.loss,
            train_accuracy=training.accuracy,
            train_auc=training.auc,
            validation_loss=validation.loss,
            validation_accuracy=validation.accuracy,
            validation_auc=validation.auc,
            learning_rate=self._learning_rate(len(self._training) - 1),
            samples_per_second=samples_per_second or None,
            waiting_share=waiting_share if samples_per_second else None,
            seconds=time.perf_counter() - began,
            shuffle=shuffle,
        )

    def _train(self, title: str, table: EpochTable) -> tuple[Outputs, float, float]:
        """Train on the remaining batches of the epoch.

        Returns
        -------
        Outputs
            Outputs of all ranks for the whole epoch.
        float
            Samples per second of all ranks together; 0 if there was only one batch, whose time is not measured.
        float
            Fraction of the time that this rank spent waiting for data.
        """
        backend, stream = self._backend, self._training
        first, saved = stream.state_dict()["batch"], time.monotonic()
        throughput = Throughput(stream, skip_first=self._first_step)
        with watch(title, stream, throughput, table.seconds_left) as show:
            collector = Collector(backend, title, show, self._earlier, first)
            taken = first
            for steps in backend.feed(stream):
                rates = [self._learning_rate(index) for index in range(taken, taken + steps.count)]
                collector.add(steps, backend.train(steps, rates))
                throughput.add(len(steps.sample))
                taken += steps.count
                if taken < len(stream) and self._is_due(saved, taken):
                    outputs = collector.outputs().of_all_ranks(backend)
                    self._save(self._folder.last_checkpoint, outputs, taken)
                    saved = time.monotonic()
            outputs = collector.outputs()
            samples_per_second, waiting_share = throughput.current()
        self._earlier, self._first_step = None, False
        total = backend.all_gather(np.array([samples_per_second])).sum()
        return outputs.of_all_ranks(backend), float(total), waiting_share

    def _is_due(self, saved: float, batches: int) -> bool:
        """Return whether to write a checkpoint after some batches of the epoch. Collective: every rank must call this.

        Rank 0 decides. Several ranks ask it only after every so many batches, since all of them wait for the answer.
        """
        due = time.monotonic() - saved >= self._config.save_every
        if self._backend.world_size == 1:
            return due
        return batches % ASK_EVERY == 0 and bool(self._backend.all_gather(np.array([due]))[0])

    def _learning_rate(self, batch: int) -> float:
        """Return the learning rate for a batch of the current epoch."""
        time = self._epochs + (batch + 0.5) / len(self._training)
        factor = self._schedule.factor(time, self._config.epochs) * warm_up_factor(time, self._config.warm_up)
        return self._schedule_state.rate * factor

    def _finish_epoch(self, validation_loss: float) -> None:
        """Update schedule and early stopping, and save the checkpoints."""
        self._epochs += 1
        self.choose_order()
        self._schedule_state = self._schedule.after(self._schedule_state, validation_loss)
        self._stopping_state = self._stopping.after(self._stopping_state, self._epochs, validation_loss)
        # The best one is written first: if the process is killed before the second, the epoch is repeated on resuming
        # and gives the same weights.
        if self._stopping_state.best_epoch == self._epochs:
            self._save(self._folder.best_checkpoint)
        self._save(self._folder.last_checkpoint)

    def _save(self, path: Path, outputs: Outputs | None = None, batch: int = 0) -> None:
        """Write a checkpoint: after an epoch, or within one after `batch` batches, which gave these outputs.

        Raises
        ------
        RunError
            If a weight is not finite: the last step may have spoilt it, which no logit has shown yet.
        """
        arrays = self._backend.state_dict()
        for name, array in arrays.items():
            if name.startswith(("weights", "average")) and not np.isfinite(array).all():
                where = f"epoch {self._epochs + 1}, batch {batch}" if batch else f"end of epoch {self._epochs}"
                raise RunError(f"{name} became NaN or infinite: {where}; lower --learning-rate")
        checkpoint = Checkpoint(
            epoch=self._epochs,
            schedule=self._schedule_state,
            stopping=self._stopping_state,
            # The feed may already have taken a batch from the stream that the model was not trained on.
            stream={**self._training.state_dict(), "batch": batch},
            arrays=arrays,
            outputs={} if outputs is None else vars(outputs),
        )
        if self._backend.rank == 0:
            checkpoint.save(path)
