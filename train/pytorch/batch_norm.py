"""Batch normalisation in PyTorch that computes what Keras computes, also over several ranks."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from train.model.layers import BatchNorm


class SumOverRanks(torch.autograd.Function):
    """The differentiable sum of a tensor over all ranks. Collective: every rank must call this."""

    @staticmethod
    def forward(ctx: object, value: Tensor) -> Tensor:
        """Return the sum, the same on every rank."""
        total = value.clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        """Return the gradient of the sum of all ranks' losses, which is the same on every rank."""
        return sum_over_ranks(gradient)


def sum_over_ranks(value: Tensor) -> Tensor:
    """Return the differentiable sum of a tensor over all ranks. Collective: every rank must call this."""
    total: Tensor = SumOverRanks.apply(value)  # type: ignore[no-untyped-call]
    return total


class ChannelNorm(nn.Module):
    """Batch normalisation with the moving averages of Keras.

    Keras averages the variance of the batch itself, PyTorch the unbiased estimate, which is larger by n / (n - 1) for n
    values. With several ranks, mean and variance are those of the samples of all ranks.
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
        """Return normalised images (batch, channel, ieta, iphi)."""
        if self.training and torch.distributed.is_initialized():
            return self._normalise_over_ranks(image.float())
        momentum = self.layer.momentum
        # Autograd keeps these two for the backward pass, so they must not be changed afterwards.
        mean, variance = self.running_mean.clone(), self.running_var.clone()
        normalised = functional.batch_norm(
            image, mean, variance, self.weight, self.bias, self.training, 1 - momentum, self.layer.epsilon
        )
        if self.training:
            count = image.numel() // image.shape[1]
            self.running_mean.copy_(mean)
            # Multiplies the batch's part of the average by (n - 1) / n.
            self.running_var.copy_(torch.lerp(variance, momentum * self.running_var, 1 / count))
        return normalised

    def _normalise_over_ranks(self, image: Tensor) -> Tensor:
        """Do the same with the moments over all ranks; a rank without samples must call this, too."""
        own_count = image.new_tensor([image.numel() // image.shape[1]])
        sums = sum_over_ranks(torch.cat([image.sum((0, 2, 3)), own_count]))
        count, mean = sums[-1], (sums[:-1] / sums[-1])[:, None, None]
        variance = sum_over_ranks((image - mean).square().sum((0, 2, 3))) / count
        with torch.no_grad():
            for average, moment in ((self.running_mean, mean.flatten()), (self.running_var, variance)):
                average.lerp_(moment, 1 - self.layer.momentum)
        scale = self.weight * torch.rsqrt(variance + self.layer.epsilon)
        return (image - mean) * scale[:, None, None] + self.bias[:, None, None]
