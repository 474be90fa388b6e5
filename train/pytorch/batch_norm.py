"""Batch normalisation in PyTorch, as Keras does it, and over several ranks."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from train.model.layers import BatchNorm


class SumOverRanks(torch.autograd.Function):
    """The sum of all ranks' tensors, through which gradients go back to all of them."""

    @staticmethod
    def forward(ctx: object, value: Tensor) -> Tensor:
        """Return the sum, the same on every rank."""
        total = value.clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        """Return the sum of what the ranks' losses say of the sum."""
        return sum_over_ranks(gradient)


def sum_over_ranks(value: Tensor) -> Tensor:
    """Return the sum of all ranks' tensors."""
    total: Tensor = SumOverRanks.apply(value)  # type: ignore[no-untyped-call]
    return total


class ChannelNorm(nn.Module):
    """Batch normalisation whose average is of the batch's variance, as in Keras; PyTorch's is of n / (n - 1) of it.

    Several ranks take the moments of all their samples together.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, layer: BatchNorm) -> None:
        super().__init__()
        self.layer = layer
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, channel, ieta, iphi) normalised."""
        if self.training and torch.distributed.is_initialized():
            return self._normalise_together(image.float())
        momentum = self.layer.momentum
        # What is handed over is kept for the backward pass and must not change after this.
        mean, variance = self.running_mean.clone(), self.running_var.clone()
        normalised = functional.batch_norm(
            image, mean, variance, self.weight, self.bias, self.training, 1 - momentum, self.layer.epsilon
        )
        if self.training:
            places = image.numel() // image.shape[1]
            self.running_mean.copy_(mean)
            self.running_var.copy_(torch.lerp(variance, momentum * self.running_var, 1 / places))
        return normalised

    def _normalise_together(self, image: Tensor) -> Tensor:
        """Do the same with the moments over all ranks; one without samples takes part."""
        places = image.new_tensor([image.numel() // image.shape[1]])
        sums = sum_over_ranks(torch.cat([image.sum((0, 2, 3)), places]))
        count, mean = sums[-1], (sums[:-1] / sums[-1])[:, None, None]
        variance = sum_over_ranks((image - mean).square().sum((0, 2, 3))) / count
        with torch.no_grad():
            for average, moment in ((self.running_mean, mean.flatten()), (self.running_var, variance)):
                average.lerp_(moment, 1 - self.layer.momentum)
        scale = self.weight * torch.rsqrt(variance + self.layer.epsilon)
        return (image - mean) * scale[:, None, None] + self.bias[:, None, None]
