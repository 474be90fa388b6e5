"""Adam as Keras computes it, without a number that the host would have to read from the device."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from store.errors import StateError
from train.pytorch.flat import FlatTensors

BETAS = (0.9, 0.999)
EPSILON = 1e-7


class Adam:
    """Adam with decoupled weight decay (AdamW), for all parameters of a model at once.

    Epsilon is added to the root of the second moment before its bias is corrected, as in Keras. PyTorch adds it after
    the correction. Both are in section 2 of https://arxiv.org/abs/1412.6980; they differ in the first steps and for
    small gradients.

    Parameters
    ----------
    parameters
        Parameters of the model. They become views of one flat tensor, and so do their gradients.
    weight_decay
        Decay per step, relative to the learning rate.

    Attributes
    ----------
    values, gradients
        float32 (n,), all parameters and their gradients.
    steps
        Number of steps taken.
    param_groups
        The parameters in the form in which `torch.amp.GradScaler` looks for gradients.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], weight_decay: float) -> None:
        self._flat = FlatTensors(parameters)
        self.values = self._flat.values
        self.gradients = torch.zeros_like(self.values)
        for parameter, gradient in zip(parameters, self._flat.views(self.gradients), strict=True):
            parameter.grad = gradient
        self._mean, self._square = torch.zeros_like(self.values), torch.zeros_like(self.values)
        self._weight_decay, self.steps = weight_decay, 0
        # On the device, because a CUDA graph replays a step with the addresses of its numbers, not with their values.
        self._rate, self._kept = self.values.new_zeros(()), self.values.new_zeros(())
        self.values.grad = self.gradients
        self.param_groups = [{"params": [self.values]}]

    def advance(self, rate: float) -> None:
        """Set the learning rate of the next step, which `step` takes."""
        self.steps += 1
        correction = math.sqrt(1 - BETAS[1] ** self.steps) / (1 - BETAS[0] ** self.steps)
        self._rate.fill_(-rate * correction)
        self._kept.fill_(1 - rate * self._weight_decay)

    @torch.no_grad()
    def clip(self, norm: float) -> None:
        """Scale the gradients so that the norm of all of them together is at most `norm`."""
        self.gradients.mul_(norm / torch.linalg.vector_norm(self.gradients).clamp(min=norm))

    @torch.no_grad()
    def step(self) -> bool:
        """Change the parameters; return True, which `torch.amp.GradScaler` passes on unless it leaves out the step."""
        self._mean.lerp_(self.gradients, 1 - BETAS[0])
        self._square.mul_(BETAS[1]).addcmul_(self.gradients, self.gradients, value=1 - BETAS[1])
        if self._weight_decay:
            self.values.mul_(self._kept)
        self.values.addcdiv_(self._mean * self._rate, self._square.sqrt().add_(EPSILON))
        return True

    def state_dict(self) -> dict[str, npt.NDArray[Any]]:
        """Return the moments of each parameter and the number of steps, by ``{parameter}/{slot}``."""
        state: dict[str, npt.NDArray[Any]] = {}
        moments = (self._flat.views(moment.cpu()) for moment in (self._mean, self._square))
        for index, (mean, square) in enumerate(zip(*moments, strict=True)):
            state |= {f"{index}/exp_avg": mean.numpy(), f"{index}/exp_avg_sq": square.numpy()}
            state[f"{index}/step"] = np.array(self.steps, np.float32)
        return state

    def load_state_dict(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Restore what `state_dict` returned.

        Raises
        ------
        StateError
            If a moment does not have the shape of its parameter.
        """
        steps = set()
        moments = (self._flat.views(moment) for moment in (self._mean, self._square))
        for index, views in enumerate(zip(*moments, strict=True)):
            for slot, view in zip(("exp_avg", "exp_avg_sq"), views, strict=True):
                array = arrays[f"{index}/{slot}"]
                if array.shape != view.shape:
                    raise StateError(f"optimiser/{index}/{slot} is {array.shape}, the model has {tuple(view.shape)}")
                view.copy_(torch.tensor(array))
            steps.add(int(arrays[f"{index}/step"].item()))
        if len(steps) > 1 or min(steps) < 0:
            raise StateError(f"optimiser: the parameters have taken {sorted(steps)} steps, expected one number")
        (self.steps,) = steps
