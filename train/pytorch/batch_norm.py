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
        epsilon = self.layer.epsilon
        if not self.training:
            return functional.batch_norm(
                image, self.running_mean, self.running_var, self.weight, self.bias, eps=epsilon
            )
        if torch.distributed.is_initialized():
            normalised, mean, variance = self._normalise_over_ranks(image.float())
        else:
            normalised, mean, inverse = torch.native_batch_norm(
                image, self.weight, self.bias, None, None, True, 0.0, epsilon
            )
            variance = inverse.detach() ** -2 - epsilon
        with torch.no_grad():
            for average, moment in ((self.running_mean, mean), (self.running_var, variance)):
                average.lerp_(moment.detach(), 1 - self.layer.momentum)
        return normalised

    def _normalise_over_ranks(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return normalised images and the moments over all ranks; a rank without samples must call this, too."""
        # A full tensor is made on the device; a number would be copied there, and a GPU would wait for it.
        own_count = image.new_full((1,), image.numel() // image.shape[1])
        sums = sum_over_ranks(torch.cat([image.sum((0, 2, 3)), own_count]))
        count, mean = sums[-1], (sums[:-1] / sums[-1])[:, None, None]
        variance = sum_over_ranks((image - mean).square().sum((0, 2, 3))) / count
        scale = self.weight * torch.rsqrt(variance + self.layer.epsilon)
        normalised = (image - mean) * scale[:, None, None] + self.bias[:, None, None]
        return normalised, mean.flatten(), variance


class TokenNorm(ChannelNorm):
    """Batch normalisation of tokens, as of images of one row."""

    def forward(self, token: Tensor) -> Tensor:
        """Return normalised tokens (batch, token, width)."""
        return super().forward(token.mT.unsqueeze(2)).squeeze(2).mT
