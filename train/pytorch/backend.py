"""The training backend in PyTorch, on one device per rank."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from store.arrays import Float32Array
from store.stream import BatchStream
from train.backend import Steps
from train.config import TrainConfig
from train.model.specification import Specification
from train.model.weights import initial_weights
from train.pytorch.devices import (
    allow_tf32,
    choose_device,
    choose_precision,
    device_name,
    join_ranks,
    naming_missing_operations,
)
from train.pytorch.ema import AveragedModel
from train.pytorch.feed import Feed
from train.pytorch.graphs import CudaRecorder, Function, ReplayedFunction
from train.pytorch.host_copy import begin_copy
from train.pytorch.loss import Loss
from train.pytorch.model import Classifier, save_model
from train.pytorch.optimiser import Adam
from train.pytorch.random_state import random_states, restore_random_states
from train.pytorch.resident import Inputs, Target
from train.pytorch.step import TrainingStep
from train.resident import ResidentSplit
from train.variables import read_variables


class TorchBackend:
    """A `train.backend.Backend` in PyTorch.

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

    def __init__(self, specification: Specification, config: TrainConfig, weights: Float32Array | None = None) -> None:
        self.rank, self.world_size = join_ranks(config.device)
        self._device = choose_device(config.device)
        self.takes_sparse = self._device.type == "cuda"
        self.device = device_name(self._device)
        self.precision = choose_precision(config.precision, self._device)
        if self._device.type == "cuda":
            allow_tf32(False)
        torch.manual_seed(config.seed + self.rank)
        self.model = Classifier(specification).to(self._device)
        self.model.set_weights(initial_weights(specification.architecture, specification.image_shape, config.seed))
        self._average = AveragedModel(self.model, config.ema_decay) if config.ema_decay > 0 else None
        self._predictor = self._average.model if self._average else self.model
        self._optimiser = Adam(list(self.model.parameters()), config.weight_decay)
        forward: Function = DistributedDataParallel(self.model) if self.world_size > 1 else self.model
        predict: Function = self._predictor
        if config.compile:
            forward, predict = torch.compile(forward), torch.compile(predict)
        names = specification.variables.names
        self._feed = Feed(self._device, read_variables(names, config.store) if names else None, weights)
        class_weights = None
        if isinstance(config.class_weights, tuple):
            class_weights = torch.tensor(config.class_weights, dtype=torch.float32, device=self._device)
        self._loss = Loss(class_weights, self.world_size)
        self._step = TrainingStep(
            forward,
            inputs=2 if names else 1,
            loss=self._loss,
            optimiser=self._optimiser,
            average=self._average,
            precision=self.precision,
            clip_norm=config.clip_norm,
        )
        self._take_step: Function = self._step
        self._predict: Function = torch.inference_mode()(predict)
        if self._device.type == "cuda" and self.world_size == 1 and config.cuda_graph:
            recorder = CudaRecorder(self._device)
            self._predict = ReplayedFunction(self._predict, config.batch_size, recorder)
            if self.precision != "float16":
                self._take_step = ReplayedFunction(self._step, config.batch_size, recorder)

    def free_memory(self) -> int | None:
        """Return the bytes that are free in the GPU's own memory; None on the CPU."""
        return self._feed.free_memory()

    def teach(self, targets: Float32Array) -> None:
        """Train towards targets in place of labels; must be called before `hold` and `feed`."""
        self._feed.teach(targets)

    def hold(self, split: str, images: ResidentSplit) -> None:
        """Keep the images of a split in the device's memory, from where `feed` then takes them."""
        self._feed.hold(split, images)

    def feed(self, stream: BatchStream) -> Iterator[Steps]:
        """Yield the remaining batches of an epoch one by one, with tensors on the device."""
        return (Steps.of_batch(*fed) for fed in self._feed(stream))

    def train(self, steps: Steps, rates: Sequence[float]) -> Tensor:
        """Take an optimiser step; return the logits, (batch,) or (batch, K), of its forward pass, on the device.

        Collective: every rank must call this.
        """
        target: Target = steps.target
        (rate,) = rates
        if not self.model.training:
            self.model.train()
        with naming_missing_operations(self._device):
            self._step.advance(rate)
            return self._take_step(*steps.inputs, *(target if isinstance(target, tuple) else (target,)))

    def predict(self, inputs: Inputs) -> Tensor:
        """Return logits, (batch,) or (batch, K), on the device, computed in float32.

        They are those of the EMA unless it is disabled.
        """
        if self._predictor.training:
            self._predictor.eval()
        with naming_missing_operations(self._device):
            return self._predict(*inputs)

    def copy_to_host(self, logits: Sequence[Tensor]) -> Callable[[], Float32Array]:
        """Begin to copy the logits of several calls; return what waits for them and returns them joined."""
        return begin_copy(logits)

    def all_gather(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the values (n, ...) of all ranks, concatenated in order of rank.

        Collective: every rank must call this.
        """
        if self.world_size == 1:
            return values
        gathered: list[Any] = [None] * self.world_size
        torch.distributed.all_gather_object(gathered, values)
        return np.concatenate(gathered)

    def barrier(self) -> None:
        """Wait until every rank has called this. Collective: every rank must call this."""
        if self.world_size > 1:
            torch.distributed.barrier()

    def state_dict(self) -> dict[str, npt.NDArray[Any]]:
        """Return weights, EMA, optimiser state and the random states of all ranks, by name.

        Collective: every rank must call this.
        """
        state = {f"weights/{name}": value for name, value in self.model.weights().items()}
        if self._average:
            state |= {f"average/{name}": value for name, value in self._predictor.weights().items()}
            state["averaged"] = np.array(self._average.updates)
        state |= {f"optimiser/{name}": value for name, value in self._optimiser.state_dict().items()}
        state |= {f"scaler/{name}": np.array(value) for name, value in self._step.scaler.state_dict().items()}
        return state | {f"random/{name}": self.all_gather(own) for name, own in random_states(self._device).items()}

    def load_state_dict(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Restore what `state_dict` returned.

        Raises
        ------
        StateError
            If the state belongs to another architecture.
        """
        parts: dict[str, dict[str, Any]] = defaultdict(dict)
        for name, array in arrays.items():
            part, _, key = name.partition("/")
            parts[part][key] = array
        self.model.set_weights(parts["weights"])
        if self._average:
            self._predictor.set_weights(parts["average"])
            self._average.updates = int(parts["averaged"][""])
        self._optimiser.load_state_dict(parts["optimiser"])
        self._step.scaler.load_state_dict({name: array.item() for name, array in parts["scaler"].items()})
        restore_random_states(parts["random"], self.rank, self._device)

    def export(self, folder: Path) -> None:
        """Write ``model.safetensors`` and ``architecture.json`` into a run directory."""
        save_model(self._predictor, folder)
