"""What the training loop asks of a framework."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from store.stream import Batch, BatchStream
from train.config import TrainConfig
from train.model.specification import Specification


class Backend(Protocol):
    """A model with its optimiser, in one framework.

    Attributes
    ----------
    device
        What it runs on, for people.
    rank, world_size
        This process among those that train together.
    """

    device: str
    rank: int
    world_size: int

    def feed(self, stream: BatchStream) -> Iterator[tuple[Batch, Any, Any]]:
        """Yield each batch of an epoch with what the model takes of it, and its label, as tensors on the device."""
        ...

    def train(self, inputs: Any, label: Any) -> Any:
        """Take one step of the optimiser; return the logits (batch,) that it was computed from, on the device."""
        ...

    def predict(self, inputs: Any) -> Any:
        """Return logits (batch,), on the device."""
        ...

    def to_numpy(self, logit: Any) -> npt.NDArray[np.float32]:
        """Return logits from the device, waiting until they are there."""
        ...

    def all_gather(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the values (n, ...) of all ranks, one after the other; all of them have to ask."""
        ...

    def set_learning_rate(self, rate: float) -> None:
        """Set the optimiser's learning rate."""
        ...

    def state_dict(self) -> dict[str, npt.NDArray[Any]]:
        """Return weights, optimiser and random state by name; all ranks have to ask."""
        ...

    def load_state_dict(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go back to what `state_dict` returned.

        Raises
        ------
        StateError
            If the state is of another architecture.
        """
        ...

    def export(self, folder: Path) -> None:
        """Write the model for use elsewhere."""
        ...


class BackendFactory(Protocol):
    """How to make a backend; called once everything else was found to be right, for it imports the framework."""

    def __call__(self, specification: Specification, config: TrainConfig) -> Backend:
        """Return a backend with fresh weights.

        Raises
        ------
        ConfigError
            If the device is not there.
        """
        ...
