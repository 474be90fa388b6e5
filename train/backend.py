"""What the training loop requires of a framework."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt

from store.arrays import Float32Array
from store.stream import Batch, BatchStream
from train.config import TrainConfig
from train.model.specification import Specification


class Backend(Protocol):
    """A model with its optimiser, in one framework.

    Attributes
    ----------
    device
        Human-readable name of the device that the model runs on.
    rank, world_size
        Number of this process, counted from 0, and the number of processes that train the model together.
    """

    device: str
    rank: int
    world_size: int

    def feed(self, stream: BatchStream) -> Iterator[tuple[Batch, Any, Any]]:
        """Yield each batch of an epoch with the model's inputs and the target as tensors on the device.

        The target is the labels (batch,), or ``(labels, weights)``, both (batch,), if the samples have weights.
        """
        ...

    def train(self, inputs: Any, target: Any) -> Any:
        """Take one optimiser step; return the logits of its forward pass, on the device.

        These are the logits (batch,) of class 1, or the logits (batch, K) of K > 2 classes.

        Collective: every rank must call this.
        """
        ...

    def predict(self, inputs: Any) -> Any:
        """Return logits as `train` does, computed with the EMA of the weights unless it is disabled."""
        ...

    def to_numpy(self, logit: Any) -> Float32Array:
        """Return logits, (batch,) or (batch, K), from the device, once they have been computed."""
        ...

    def all_gather(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the values (n, ...) of all ranks, concatenated in order of rank.

        Collective: every rank must call this.
        """
        ...

    def barrier(self) -> None:
        """Wait until every rank has called this. Collective: every rank must call this."""
        ...

    def set_learning_rate(self, rate: float) -> None:
        """Set the optimiser's learning rate."""
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
            If the device is not available.
        """
        ...
