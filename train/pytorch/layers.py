"""Layers of the models in PyTorch that are not PyTorch's own.

Images are channel-first, (batch, channel, ieta, iphi), except where a layer says otherwise.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from train.model.layers import Shape
from train.model.normalisation import CMS_JETS_THRESHOLD, Normalisation
from train.model.stateless_layers import ShowerFeatures

Margins = tuple[tuple[int, int], tuple[int, int]]


class Normalise(nn.Module):
    """The first layer, see `train.model.normalisation.Normalisation`.

    Its constants are buffers that are not saved with the weights: they are part of the specification.
    """

    scale: Tensor
    offset: Tensor

    def __init__(self, normalisation: Normalisation) -> None:
        super().__init__()
        self.recipe = normalisation.recipe
        self.is_identity = set(normalisation.scale) <= {1.0} and not any(normalisation.offset)
        self.register_buffer("scale", torch.tensor(normalisation.scale, dtype=torch.float32), persistent=False)
        self.register_buffer("offset", torch.tensor(normalisation.offset, dtype=torch.float32), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return normalised images (batch, ieta, iphi, channel) or variables (batch, variable)."""
        if self.recipe == "cms-jets":
            x = torch.where(x < CMS_JETS_THRESHOLD, 0.0, x)
        if not self.is_identity:
            x = x * self.scale + self.offset
        if self.recipe == "log":
            return torch.sign(x) * torch.log1p(torch.abs(x))
        return x


class CropCells(nn.Module):
    """Cuts off the edges of an image, see `train.model.stateless_layers.Crop`."""

    def __init__(self, margins: Margins) -> None:
        super().__init__()
        self.rows, self.columns = (slice(near, -far or None) for near, far in margins)

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, channel, rows, columns)."""
        return image[:, :, self.rows, self.columns]


class ComputeFeatures(nn.Module):
    """Features of each cell, see `train.model.stateless_layers.ShowerFeatures`.

    Attributes
    ----------
    crop
        A crop that follows. It is made here, once the energy of the whole image is known, so that only features of the
        cells that it leaves are computed.
    """

    crop: nn.Module

    def __init__(self, layer: ShowerFeatures) -> None:
        super().__init__()
        self.layer = layer
        self.crop = nn.Identity()

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, feature, rows, columns) for images (batch, 2, ieta, iphi) of energy and time."""
        unit = self.layer.energy_unit
        energy = functional.relu(image[:, :1])
        total = energy.sum((2, 3), keepdim=True)
        energy = self.crop(energy)
        share = energy / total.clamp(min=unit)
        logarithm = torch.log1p(energy / unit) / math.log1p(1 / unit)
        features = [share, share.sqrt(), logarithm, total.expand_as(energy)]
        if self.layer.time:
            features.append(self.crop(image[:, 1:]) * energy / self.layer.time_unit)
        return torch.cat(features, 1)


class FlattenChannelLast(nn.Module):
    """Flattens images in channel-last order, as Keras does; images already stored in that order are not copied."""

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, ieta * iphi * channel) for images (batch, channel, ieta, iphi)."""
        return image.permute(0, 2, 3, 1).flatten(1)


class Pool(nn.Module):
    """Averages over all cells or tokens and, on request, appends the maxima."""

    def __init__(self, axes: tuple[int, ...], *, maximum: bool) -> None:
        super().__init__()
        self.axes, self.maximum = axes, maximum

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, channel), or (batch, 2 * channel) with the maxima."""
        average = x.mean(self.axes)
        return torch.cat([average, x.amax(self.axes)], 1) if self.maximum else average


class EmbedPatches(nn.Module):
    """Turns patches of an image into tokens, see `train.model.token_layers.Patches`."""

    def __init__(self, kernel: Shape, bias: Shape, padding: tuple[int, int]) -> None:
        super().__init__()
        rows, columns, channels, width = kernel
        self.weight = nn.Parameter(torch.zeros(width, channels, rows, columns))
        self.bias = nn.Parameter(torch.zeros(bias))
        self.padding = (0, padding[1], 0, padding[0])

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, token, width) for images (batch, channel, ieta, iphi)."""
        patch_size = self.weight.shape[2], self.weight.shape[3]
        patches = functional.conv2d(functional.pad(image, self.padding), self.weight, stride=patch_size)
        return (patches.permute(0, 2, 3, 1) + self.bias).flatten(1, 2)


class EmbedCells(nn.Module):
    """Turns the cells of an image into tokens, see `train.model.token_layers.Tokens`."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.zeros(tokens, width))

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, token, width) for images (batch, channel, ieta, iphi)."""
        return image.permute(0, 2, 3, 1).flatten(1, 2) + self.position


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return attention with scaled dot products, (batch, head, token, value), for inputs of the same shape."""
    # There PyTorch's own takes several times as long.
    if query.device.type == "cpu" and query.dtype == torch.bfloat16:
        return attend_written_out(query, key, value)
    return functional.scaled_dot_product_attention(query, key, value)


def attend_written_out(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return what `attend` returns, from matrix products and a softmax."""
    scale: float = query.shape[-1] ** -0.5
    return (query * scale @ key.mT).softmax(-1) @ value


class SelfAttention(nn.Module):
    """Self-attention of tokens, see `train.model.token_layers.Attention`."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))

    def forward(self, token: Tensor) -> Tensor:
        """Return (batch, token, width) for tokens of the same shape."""
        query, key, value = (
            projection(token).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for projection in (self.query, self.key, self.value)
        )
        projected: Tensor = self.output(attend(query, key, value).transpose(1, 2).flatten(2))
        return projected


class AddBranches(nn.Module):
    """The sum of two branches, see `train.model.graph.Residual`."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of both branches."""
        total: Tensor = self.body(x) + self.shortcut(x)
        return total


class AppendVariables(nn.Module):
    """Appends standardised variables to a vector, see `train.model.stateless_layers.Join`."""

    def forward(self, vector: Tensor, variables: Tensor) -> Tensor:
        """Return (batch, width + variable) for (batch, width) and (batch, variable)."""
        return torch.cat([vector, variables], 1)


class RandomDropout(nn.Module):
    """Dropout, see `train.model.stateless_layers.Dropout`.

    On a CPU, PyTorch's own draws a Bernoulli variable per value, which takes four times as long as uniform numbers.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Return values of the same shape."""
        if not self.training or x.device.type != "cpu":
            return functional.dropout(x, self.rate, self.training)
        kept = torch.rand(x.shape) >= self.rate
        return x * kept.to(x.dtype).div_(1 - self.rate)
