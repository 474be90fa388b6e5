"""The training backend in PyTorch, on one device per rank."""

import hashlib
import math
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from store.arrays import Float32Array
from store.errors import ConfigError, StateError
from store.stream import BatchStream
from train.backend import Steps
from train.config import TrainConfig
from train.model.specification import Specification
from train.model.weights import initial_weights
from train.pytorch.feed import Inputs, Target, feed
from train.pytorch.host_copy import begin_copy
from train.pytorch.model import Classifier, save_model
from train.variables import read_variables

BETAS = (0.9, 0.999)
EPSILON = 1e-7

Forward = Callable[..., Tensor]


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
        self.device = torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else "cpu"
        if config.precision == "float16" and self._device.type == "cpu":
            raise ConfigError("precision='float16' needs a GPU; use bfloat16 on the CPU")
        torch.manual_seed(config.seed + self.rank)
        self.model = Classifier(specification).to(self._device)
        self.model.set_weights(initial_weights(specification.architecture, specification.image_shape, config.seed))
        self._has_ema = config.ema_decay > 0
        self._ema = AveragedModel(self.model, avg_fn=ema_rule(config.ema_decay), use_buffers=True)
        self._predictor = cast("Classifier", self._ema.module) if self._has_ema else self.model
        self._train_forward: Forward = DistributedDataParallel(self.model) if self.world_size > 1 else self.model
        self._predict_forward: Forward = self._predictor
        if config.compile:
            self._train_forward = torch.compile(self._train_forward)
            self._predict_forward = torch.compile(self._predict_forward)
        self._optimiser = torch.optim.AdamW(
            self.model.parameters(), lr=config.learning_rate, betas=BETAS, weight_decay=config.weight_decay
        )
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=config.precision == "float16")
        self._precision, self._clip_norm = config.precision, config.clip_norm
        self._class_weights = None
        if isinstance(config.class_weights, tuple):
            self._class_weights = torch.tensor(config.class_weights, dtype=torch.float32, device=self._device)
        names = specification.variables.names
        self._variables = read_variables(names, config.store) if names else None
        self._weights = weights

    def feed(self, stream: BatchStream) -> Iterator[Steps]:
        """Yield the remaining batches of an epoch one by one, with tensors on the device."""
        return (Steps.of_batch(*fed) for fed in feed(stream, self._device, self._variables, self._weights))

    def train(self, steps: Steps, rates: Sequence[float]) -> Tensor:
        """Take an optimiser step; return the logits, (batch,) or (batch, K), of its forward pass, on the device.

        Collective: every rank must call this.
        """
        target: Target = steps.target
        for group in self._optimiser.param_groups:
            (group["lr"],) = rates
        self.model.train()
        with self._autocast():
            logit: Tensor = self._train_forward(*steps.inputs).float()
        loss = self._loss(logit, *(target if isinstance(target, tuple) else (target,)))
        self._optimiser.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if self._clip_norm:
            self._scaler.unscale_(self._optimiser)
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self._clip_norm)
        self._set_epsilon()
        self._scaler.step(self._optimiser)
        self._scaler.update()
        if self._has_ema:
            self._ema.update_parameters(self.model)
        return logit.detach()

    def predict(self, inputs: Inputs) -> Tensor:
        """Return logits, (batch,) or (batch, K), on the device, computed in float32.

        They are those of the EMA unless it is disabled.
        """
        self._predictor.eval()
        with torch.inference_mode():
            logit: Tensor = self._predict_forward(*inputs)
        return logit

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
        if self._has_ema:
            state |= {f"average/{name}": value for name, value in self._predictor.weights().items()}
            state["averaged"] = self._ema.n_averaged.cpu().numpy()
        for parameter, slots in self._optimiser.state_dict()["state"].items():
            state |= {f"optimiser/{parameter}/{slot}": value.cpu().numpy() for slot, value in slots.items()}
        state |= {f"scaler/{name}": np.array(value) for name, value in self._scaler.state_dict().items()}
        state["random/cpu"] = self.all_gather(torch.get_rng_state().numpy()[None])
        if self._device.type == "cuda":
            state["random/cuda"] = self.all_gather(torch.cuda.get_rng_state(self._device).numpy()[None])
        return state

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
        if self._has_ema:
            self._predictor.set_weights(parts["average"])
            self._ema.n_averaged.copy_(torch.tensor(parts["averaged"][""]))
        shapes = [tuple(parameter.shape) for group in self._optimiser.param_groups for parameter in group["params"]]
        slots: dict[int, dict[str, Tensor]] = defaultdict(dict)
        for key, array in parts["optimiser"].items():
            parameter, slot = key.split("/")
            if array.shape not in ((), shapes[int(parameter)]):
                raise StateError(f"optimiser/{key} is {array.shape}, the model has {shapes[int(parameter)]}")
            slots[int(parameter)][slot] = torch.tensor(array)
        self._optimiser.load_state_dict({**self._optimiser.state_dict(), "state": slots})
        self._scaler.load_state_dict({name: array.item() for name, array in parts["scaler"].items()})
        self._restore_random_state(parts["random"])

    def _restore_random_state(self, states: Mapping[str, npt.NDArray[Any]]) -> None:
        """Restore this rank's random state; one that the run did not have before gets a new one."""
        if self.rank >= len(states["cpu"]):
            digest = hashlib.sha256(states["cpu"].tobytes() + bytes([self.rank % 256, self.rank // 256]))
            torch.manual_seed(int.from_bytes(digest.digest()[:7]))
            return
        torch.set_rng_state(torch.tensor(states["cpu"][self.rank]))
        if self._device.type == "cuda" and "cuda" in states:
            torch.cuda.set_rng_state(torch.tensor(states["cuda"][self.rank]), self._device)

    def export(self, folder: Path) -> None:
        """Write ``model.safetensors`` and ``architecture.json`` into a run directory."""
        save_model(self._predictor, folder)

    def _loss(self, logit: Tensor, label: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return this rank's part of the loss; its mean over the ranks is the mean over all samples of the step."""
        if self._class_weights is not None:
            of_class = self._class_weights[label.long()]
            weight = of_class if weight is None else weight * of_class
        if logit.ndim == 1:
            losses = binary_cross_entropy_with_logits(logit, label.to(logit.dtype), weight, reduction="sum")
        else:
            of_sample = cross_entropy(logit, label.long(), reduction="none")
            losses = (of_sample if weight is None else of_sample * weight).sum()
        return losses * self.world_size / self._count_on_all_ranks(len(label))

    def _count_on_all_ranks(self, samples: int) -> int:
        """Return the number of samples of all ranks in this step; the last batch may differ between ranks."""
        if self.world_size == 1:
            return samples
        total = torch.tensor(samples, device=self._device)
        torch.distributed.all_reduce(total)
        return int(total)

    def _autocast(self) -> torch.autocast:
        """Return the context in which layers compute in the configured precision."""
        dtype = getattr(torch, self._precision)
        return torch.autocast(self._device.type, dtype, enabled=dtype != torch.float32)

    def _set_epsilon(self) -> None:
        """Make PyTorch's Adam the same as Keras' in the next step.

        Keras adds epsilon to the root of the second moment before its bias is corrected, PyTorch after it. Both are in
        section 2 of https://arxiv.org/abs/1412.6980; they differ in the first steps and for small gradients.
        """
        for group in self._optimiser.param_groups:
            steps = self._optimiser.state.get(group["params"][0], {}).get("step", 0)
            group["eps"] = EPSILON / math.sqrt(1 - BETAS[1] ** (float(steps) + 1))


def ema_rule(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """Return the update of the exponential moving average (EMA) of the weights.

    In step n the decay is at most (1 + n) / (10 + n), as in ``tf.train.ExponentialMovingAverage``. Otherwise, the EMA
    after a short training would still be close to the initial weights.
    """

    def update(mean: Tensor, value: Tensor, steps: Tensor | int) -> Tensor:
        warmed_up = min(decay, (1 + float(steps)) / (10 + float(steps)))
        return torch.lerp(value, mean, warmed_up) if mean.is_floating_point() else value

    return update


def join_ranks(device: str) -> tuple[int, int]:
    """Join the process group if ``torchrun`` started several ranks; return (rank, world size)."""
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if world_size > 1 and not torch.distributed.is_initialized():
        on_gpus = device != "cpu" and torch.cuda.is_available()
        torch.distributed.init_process_group("nccl" if on_gpus else "gloo")
    return int(os.environ.get("RANK", "0")), world_size


def choose_device(name: str) -> torch.device:
    """Return the device for ``auto``, ``cpu`` or ``cuda``: this rank's GPU or the CPU.

    Raises
    ------
    ConfigError
        If there is no GPU and `name` is ``cuda``.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device='cuda' but PyTorch finds no CUDA device; use --device cpu or auto")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device
