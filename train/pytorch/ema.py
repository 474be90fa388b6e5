"""The exponential moving average (EMA) of the weights, without a number that the host would have to read."""

import copy

import torch
from torch import Tensor

from train.pytorch.flat import FlatTensors
from train.pytorch.model import Classifier


class AveragedModel:
    """A second model with the exponential moving average (EMA) of a model's weights and buffers.

    In step n the decay is at most (1 + n) / (10 + n), and zero in the first one, as in
    ``tf.train.ExponentialMovingAverage``. Otherwise, the EMA after a short training would still be close to the initial
    weights.

    Parameters
    ----------
    model
        The model, on its device.
    decay
        Decay per step.

    Attributes
    ----------
    model
        The second model.
    updates
        Number of updates.
    """

    def __init__(self, model: Classifier, decay: float) -> None:
        self.model = copy.deepcopy(model)
        self._decay, self.updates = decay, 0
        self._weights = FlatTensors(list(self.model.parameters())).values
        self._buffers = FlatTensors(list(self.model.buffers()), alignment=1).values
        self._other_buffers = [buffer.view(-1) for buffer in model.buffers()]
        self._share = self._weights.new_zeros(())

    def advance(self) -> None:
        """Set the decay of the next update, which `update` makes."""
        decay = min(self._decay, (1 + self.updates) / (10 + self.updates)) if self.updates else 0.0
        self._share.fill_(1 - decay)
        self.updates += 1

    @torch.no_grad()
    def update(self, weights: Tensor) -> None:
        """Move the average towards the flat weights of the model, see `train.pytorch.optimiser.Adam.values`."""
        self._weights.lerp_(weights, self._share)
        self._buffers.lerp_(torch.cat(self._other_buffers), self._share)
