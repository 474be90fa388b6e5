"""Learning with PyTorch."""

import math
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from store.errors import ConfigError
from store.stream import Batch, BatchStream
from train.config import TrainConfig
from train.model.specification import Specification
from train.model.weights import initial
from train.pytorch.feed import feed
from train.pytorch.model import Classifier, save_model
from train.variables import read_table

Forward = Callable[..., Tensor]
Inputs = tuple[Tensor, ...]
BETAS = (0.9, 0.999)
EPSILON = 1e-7


class TorchBackend:
    """A `train.backend.Backend` in PyTorch; `config` says how to train.

    Raises
    ------
    ConfigError
        If the device is not there, or cannot compute in the precision.
    """

    def __init__(self, specification: Specification, config: TrainConfig) -> None:
        self.rank, self.world_size = join_ranks(config.device)
        self._device = choose_device(config.device)
        self.device = torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else "cpu"
        if config.precision == "float16" and self._device.type == "cpu":
            raise ConfigError("precision='float16' needs a GPU; on the CPU there is bfloat16")
        torch.manual_seed(config.seed + self.rank)
        self.model = Classifier(specification).to(self._device)
        self.model.set_weights(initial(specification.architecture, specification.image_shape, config.seed))
        self._average = AveragedModel(self.model, avg_fn=averaging(config.average), use_buffers=True)
        self._averages = config.average > 0
        self._judged = cast("Classifier", self._average.module) if self._averages else self.model
        self._forward: Forward = DistributedDataParallel(self.model) if self.world_size > 1 else self.model
        self._predict: Forward = self._judged
        if config.compile:
            self._forward, self._predict = torch.compile(self._forward), torch.compile(self._judged)
        self._optimiser = torch.optim.AdamW(
            self.model.parameters(),
            lr=config.learning_rate,
            betas=BETAS,
            weight_decay=config.weight_decay,
        )
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=config.precision == "float16")
        self._precision, self._clip_norm = config.precision, config.clip_norm
        names = specification.variables.names
        self._table = read_table(names, config.store) if names else None
        self._class_weights = None
        if isinstance(config.class_weights, tuple):
            self._class_weights = torch.tensor(config.class_weights, dtype=torch.float32, device=self._device)

    def feed(self, stream: BatchStream) -> Iterator[tuple[Batch, Inputs, Tensor]]:
        """Yield each batch of an epoch with what the model takes of it, and its label, as tensors on the device."""
        return feed(stream, self._device, self._table)

    def train(self, inputs: Inputs, label: Tensor) -> Tensor:
        """Take one step of the optimiser; return the logits (batch,) that it was computed from, on the device."""
        self.model.train()
        with self._arithmetic():
            logit: Tensor = self._forward(*inputs).float()
        weight = None if self._class_weights is None else self._class_weights[label.long()]
        losses = binary_cross_entropy_with_logits(logit, label.to(logit.dtype), weight, reduction="sum")
        # Ranks average their gradients, so a rank with fewer samples in the last batch has to count for less.
        loss = losses * self.world_size / self._count(len(label))
        self._optimiser.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if self._clip_norm:
            self._scaler.unscale_(self._optimiser)
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self._clip_norm)
        self._set_epsilon()
        self._scaler.step(self._optimiser)
        self._scaler.update()
        if self._averages:
            self._average.update_parameters(self.model)
        return logit.detach()

    def predict(self, inputs: Inputs) -> Tensor:
        """Return logits (batch,), on the device, of the mean weights if there are any; in float32, as once exported."""
        self._judged.eval()
        with torch.inference_mode():
            logit: Tensor = self._predict(*inputs)
        return logit

    def _set_epsilon(self) -> None:
        """Add Adam's epsilon to what Keras adds it to: the root of the second moment before its bias is corrected.

        Both are in Kingma and Ba, "Adam", ICLR 2015, section 2; they differ in the first steps and for small gradients.
        """
        for group in self._optimiser.param_groups:
            done = self._optimiser.state.get(group["params"][0], {}).get("step", 0)
            group["eps"] = EPSILON / math.sqrt(1 - BETAS[1] ** (float(done) + 1))

    def _count(self, samples: int) -> int:
        """Return the number of samples that all ranks have in this step."""
        if self.world_size == 1:
            return samples
        total = torch.tensor(samples, device=self._device)
        torch.distributed.all_reduce(total)
        return int(total)

    def _arithmetic(self) -> torch.autocast:
        dtype = getattr(torch, self._precision)
        return torch.autocast(self._device.type, dtype, enabled=dtype != torch.float32)

    def to_numpy(self, logit: Tensor) -> npt.NDArray[np.float32]:
        """Return logits from the device, waiting until they are there."""
        return logit.cpu().numpy()

    def all_gather(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the values (n, ...) of all ranks, one after the other; all of them have to ask."""
        if self.world_size == 1:
            return values
        gathered: list[Any] = [None] * self.world_size
        torch.distributed.all_gather_object(gathered, values)
        return np.concatenate(gathered)

    def set_learning_rate(self, rate: float) -> None:
        """Set the optimiser's learning rate."""
        for group in self._optimiser.param_groups:
            group["lr"] = rate

    def state_dict(self) -> dict[str, npt.NDArray[Any]]:
        """Return weights, their mean, optimiser and random states of all ranks by name; all ranks have to ask."""
        state = {f"weights/{name}": value for name, value in self.model.weights().items()}
        if self._averages:
            state |= {f"average/{name}": value for name, value in self._judged.weights().items()}
            state["averaged"] = self._average.n_averaged.cpu().numpy()
        for parameter, slots in self._optimiser.state_dict()["state"].items():
            state |= {f"optimiser/{parameter}/{slot}": value.cpu().numpy() for slot, value in slots.items()}
        state |= {f"scaler/{name}": np.array(value) for name, value in self._scaler.state_dict().items()}
        state["random/cpu"] = self.all_gather(torch.get_rng_state().numpy()[None])
        if self._device.type == "cuda":
            state["random/cuda"] = self.all_gather(torch.cuda.get_rng_state(self._device).numpy()[None])
        return state

    def load_state_dict(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go back to what `state_dict` returned.

        Raises
        ------
        StateError
            If the state is of another architecture.
        """
        parts: dict[str, dict[str, Any]] = defaultdict(dict)
        for name, array in arrays.items():
            part, _, rest = name.partition("/")
            parts[part][rest] = array
        self.model.set_weights(parts["weights"])
        if self._averages:
            self._judged.set_weights(parts["average"])
            self._average.n_averaged.copy_(torch.tensor(parts["averaged"][""]))
        slots: dict[int, dict[str, Tensor]] = defaultdict(dict)
        for name, array in parts["optimiser"].items():
            parameter, slot = name.split("/")
            slots[int(parameter)][slot] = torch.tensor(array)
        self._optimiser.load_state_dict({**self._optimiser.state_dict(), "state": slots})
        self._scaler.load_state_dict({name: array.item() for name, array in parts["scaler"].items()})
        torch.set_rng_state(torch.tensor(parts["random"]["cpu"][self.rank]))
        if self._device.type == "cuda" and "cuda" in parts["random"]:
            torch.cuda.set_rng_state(torch.tensor(parts["random"]["cuda"][self.rank]), self._device)

    def export(self, folder: Path) -> None:
        """Write ``model.safetensors`` and ``architecture.json``."""
        save_model(self._judged, folder)


def averaging(keep: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """Return the rule of the running mean: it keeps the share `keep` of itself, less in the first steps.

    The share is at most (1 + n) / (10 + n) in step n, as in ``tf.train.ExponentialMovingAverage``, so that a short
    training is not judged by where it began.
    """

    def average(mean: Tensor, value: Tensor, steps: Tensor | int) -> Tensor:
        share = min(keep, (1 + float(steps)) / (10 + float(steps)))
        return torch.lerp(value, mean, share) if mean.is_floating_point() else value

    return average


def join_ranks(device: str) -> tuple[int, int]:
    """Return this process's rank and how many there are, as ``torchrun`` told it, having met the others."""
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if world_size > 1 and not torch.distributed.is_initialized():
        on_gpus = device != "cpu" and torch.cuda.is_available()
        torch.distributed.init_process_group("nccl" if on_gpus else "gloo")
    return int(os.environ.get("RANK", "0")), world_size


def choose_device(name: str) -> torch.device:
    """Return the device that ``auto``, ``cpu`` or ``cuda`` means here.

    Raises
    ------
    ConfigError
        If it is not there.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device='cuda' but PyTorch finds no CUDA device; use --device cpu or auto")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device
