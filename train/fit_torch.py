"""Learning with PyTorch."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from store.errors import ConfigError
from store.stream import Batch, BatchStream
from train.config import TrainConfig
from train.feed_torch import feed
from train.model_torch import Classifier, save_model
from train.specification import Specification
from train.weights import initial


class TorchLearner:
    """A `train.learner.Learner` in PyTorch; `config` gives seed, device and learning rate."""

    def __init__(self, specification: Specification, config: TrainConfig) -> None:
        self._device = choose_device(config.device)
        self.device = torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else "cpu"
        torch.manual_seed(config.seed)
        self._model = Classifier(specification).to(self._device)
        self._model.set_weights(initial(specification.architecture, specification.image_shape, config.seed))
        self._optimiser = torch.optim.Adam(
            self._model.parameters(), lr=config.learning_rate, betas=(0.9, 0.999), eps=1e-7, weight_decay=0.0
        )

    def feed(self, stream: BatchStream) -> Iterator[tuple[Batch, Tensor, Tensor]]:
        """Yield each batch of an epoch with its image and label as tensors on the device."""
        return feed(stream, self._device)

    def train(self, image: Tensor, label: Tensor) -> Tensor:
        """Take one step of the optimiser; return the logits (batch,) that it was computed from, on the device."""
        self._model.train()
        logit: Tensor = self._model(image)
        loss = binary_cross_entropy_with_logits(logit, label.to(logit.dtype))
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        return logit.detach()

    def predict(self, image: Tensor) -> Tensor:
        """Return logits (batch,), on the device."""
        self._model.eval()
        with torch.inference_mode():
            logit: Tensor = self._model(image)
        return logit

    def to_numpy(self, logit: Tensor) -> npt.NDArray[np.float32]:
        """Return logits from the device, waiting until they are there."""
        return logit.cpu().numpy()

    def set_learning_rate(self, rate: float) -> None:
        """Set the optimiser's learning rate."""
        for group in self._optimiser.param_groups:
            group["lr"] = rate

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return weights, optimiser and random state by name."""
        state = {f"weights/{name}": value for name, value in self._model.weights().items()}
        for parameter, slots in self._optimiser.state_dict()["state"].items():
            state |= {f"optimiser/{parameter}/{slot}": value.cpu().numpy() for slot, value in slots.items()}
        state["random/cpu"] = torch.get_rng_state().numpy()
        if self._device.type == "cuda":
            state["random/cuda"] = torch.cuda.get_rng_state(self._device).numpy()
        return state

    def load_state(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go back to what `state` returned.

        Raises
        ------
        StateError
            If the state is of another architecture.
        """
        weights: dict[str, npt.NDArray[np.float32]] = {}
        slots: dict[int, dict[str, Tensor]] = {}
        for name, array in arrays.items():
            match name.split("/"):
                case ["weights", weight]:
                    weights[weight] = array
                case ["optimiser", parameter, slot]:
                    slots.setdefault(int(parameter), {})[slot] = torch.tensor(array)
        self._model.set_weights(weights)
        self._optimiser.load_state_dict({**self._optimiser.state_dict(), "state": slots})
        torch.set_rng_state(torch.tensor(arrays["random/cpu"]))
        if self._device.type == "cuda" and "random/cuda" in arrays:
            torch.cuda.set_rng_state(torch.tensor(arrays["random/cuda"]), self._device)

    def export(self, folder: Path) -> None:
        """Write ``model.safetensors`` and ``architecture.json``."""
        save_model(self._model, folder)


def choose_device(name: str) -> torch.device:
    """Return the device that ``auto``, ``cpu`` or ``cuda`` means here.

    Raises
    ------
    ConfigError
        If it is not there.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device='cuda' but PyTorch finds no CUDA device; use --device cpu or auto")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
