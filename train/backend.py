"""What the training loop requires of a framework."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt

from store.arrays import Float32Array, Int64Array, UInt8Array
from store.batch import Batch, SampleBatch, SparseBatch
from store.stream import BatchStream
from train.config import TrainConfig
from train.model.specification import Specification
from train.resident import ResidentSplit


@dataclass(frozen=True, kw_only=True, eq=False)
class Steps:
    """Consecutive batches of a stream, which a backend takes in one call.

    Attributes
    ----------
    sample
        int64 (n,), positions in the store of the samples of all batches, in order.
    label
        uint8 (n,), their classes.
    count
        Number of batches.
    inputs
        The model's inputs, as tensors on the device.
    target
        The labels (n,), or a tuple of the labels and the columns of `train.weighting.loss_columns`; as tensors on the
        device.
    """

    sample: Int64Array
    label: UInt8Array
    count: int
    inputs: Any
    target: Any

    @classmethod
    def of_batch(cls, batch: Batch | SampleBatch | SparseBatch, inputs: Any, target: Any) -> "Steps":
        """Return one batch as steps."""
        return cls(sample=batch.sample, label=batch.label, count=1, inputs=inputs, target=target)


class Backend(Protocol):
    """A model with its optimiser, in one framework.

    Attributes
    ----------
    device
        Human-readable name of the device that the model runs on.
    precision
        Precision of training, what ``auto`` was resolved to. Predictions are in float32.
    rank, world_size
        Number of this process, counted from 0, and the number of processes that train the model together.
    takes_sparse
        Whether `feed` takes sparse streams, whose images a GPU expands.
    """

    device: str
    precision: str
    rank: int
    world_size: int
    takes_sparse: bool

    def free_memory(self) -> int | None:
        """Return the bytes that are free in the GPU's own memory; None if the model runs on the CPU, or if unknown."""
        ...

    def teach(self, targets: Float32Array) -> None:
        """Train towards targets in place of labels; must be called before `hold` and `feed`.

        Parameters
        ----------
        targets
            What `train.teacher_scores.TeacherScores.targets` returned.
        """
        ...

    def hold(self, split: str, images: ResidentSplit) -> None:
        """Keep the images of a split in the device's memory, from where `feed` then takes them."""
        ...

    def feed(self, stream: BatchStream) -> Iterator[Steps]:
        """Yield the remaining batches of an epoch, which moves the stream on."""
        ...

    def train(self, steps: Steps, rates: Sequence[float]) -> Any:
        """Take one optimiser step for each batch; return the logits of its forward pass, on the device.

        These are the logits (n,) of class 1, or the logits (n, K) of K > 2 classes, for the samples of all batches.

        Collective: every rank must call this.

        Parameters
        ----------
        steps
            The batches.
        rates
            The learning rate for each of them.
        """
        ...

    def predict(self, inputs: Any) -> Any:
        """Return logits as `train` does, computed with the EMA of the weights unless it is disabled."""
        ...

    def copy_to_host(self, logits: Sequence[Any]) -> Callable[[], Float32Array]:
        """Begin to copy what several calls of `train` or `predict` returned, joined, from the device.

        Returns
        -------
        Callable
            Waits for the copy and returns it, (n,) or (n, K).
        """
        ...

    def all_gather(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the values (n, ...) of all ranks, concatenated in order of rank.

        Collective: every rank must call this.
        """
        ...

    def barrier(self) -> None:
        """Wait until every rank has called this. Collective: every rank must call this."""
        ...

    def state_dict(self) -> dict[str, npt.NDArray[Any]]:
        """Return weights, EMA, optimiser state and random state, by name.

        Collective: every rank must call this.
        """
        ...

    def load_state_dict(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Restore what `state_dict` returned.

        Raises
        ------
        StateError
            If the state belongs to another architecture.
        """
        ...

    def export(self, folder: Path) -> None:
        """Write the model for use outside of training into a run directory."""
        ...


class BackendFactory(Protocol):
    """Makes a backend. It imports the framework, so it is called after everything else has been checked."""

    def __call__(self, specification: Specification, config: TrainConfig, weights: Float32Array | None) -> Backend:
        """Return a backend whose weights are newly initialised.

        Parameters
        ----------
        specification
            The model.
        config
            Settings of the training.
        weights
            Weight of every sample of the store, see `train.weighting.read_weights`; None if all count the same.

        Raises
        ------
        ConfigError
            If the device is not available or cannot compute in the precision.
        """
        ...
