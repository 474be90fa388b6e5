"""The models in PyTorch."""

import json
import math
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional

from store import files
from store.errors import RunError
from store.run_folder import RunFolder
from train.model.graph import Node, Residual, trace_layers
from train.model.layers import Attention, BatchNorm, Conv, Dense, LayerNorm, Patches, Shape
from train.model.normalisation import CMS_JETS_THRESHOLD, Normalisation
from train.model.specification import Specification
from train.model.stateless_layers import Crop, Dropout, Flatten, GlobalPool, Join, MaxPool, ShowerFeatures
from train.model.weights import Weights, check_weights, from_torch, to_torch
from train.pytorch.batch_norm import ChannelNorm


class Normalise(nn.Module):
    """What comes first, on channel-last images or variables; constants are buffers and not saved with the weights."""

    scale: Tensor
    offset: Tensor

    def __init__(self, normalisation: Normalisation) -> None:
        super().__init__()
        self.recipe = normalisation.recipe
        self.register_buffer("scale", torch.tensor(normalisation.scale, dtype=torch.float32), persistent=False)
        self.register_buffer("offset", torch.tensor(normalisation.offset, dtype=torch.float32), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Return images (batch, ieta, iphi, channel), or variables (batch, variable), normalised."""
        if self.recipe == "cms-jets":
            image = torch.where(image < CMS_JETS_THRESHOLD, 0.0, image)
        image = image * self.scale + self.offset
        return torch.sign(image) * torch.log1p(torch.abs(image)) if self.recipe == "log" else image


class Joined(nn.Module):
    """A row with standardised variables behind it, see `train.model.stateless_layers.Join`."""

    def forward(self, row: Tensor, variables: Tensor) -> Tensor:
        """Return (batch, width + variable) for (batch, width) and (batch, variable)."""
        return torch.cat([row, variables], 1)


class Features(nn.Module):
    """What says something about a shower, see `train.model.stateless_layers.ShowerFeatures`."""

    def __init__(self, layer: ShowerFeatures) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, feature, ieta, iphi) for (batch, 2, ieta, iphi)."""
        unit = self.layer.energy_unit
        energy, time = functional.relu(image[:, :1]), image[:, 1:]
        total = energy.sum((2, 3), keepdim=True)
        share = energy / total.clamp(min=unit)
        logarithm = torch.log1p(energy / unit) / math.log1p(1 / unit)
        features = [share, share.sqrt(), logarithm, total.expand_as(energy)]
        return torch.cat([*features, time * energy / self.layer.time_unit] if self.layer.time else features, 1)


class Middle(nn.Module):
    """The middle of an image, see `train.model.stateless_layers.Crop`."""

    def __init__(self, rows: tuple[int, int], columns: tuple[int, int]) -> None:
        super().__init__()
        self.rows, self.columns = slice(rows[0], -rows[1] or None), slice(columns[0], -columns[1] or None)

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, channel, rows, columns)."""
        return image[:, :, self.rows, self.columns]


class FlattenChannelLast(nn.Module):
    """Rows in channel-last order, as Keras has them; no copy where memory is channel-last already."""

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, ieta * iphi * channel) for (batch, channel, ieta, iphi)."""
        return image.permute(0, 2, 3, 1).flatten(1)


class Pool(nn.Module):
    """Averages over an image or tokens, and on request the largest values."""

    def __init__(self, axes: tuple[int, ...], *, maximum: bool) -> None:
        super().__init__()
        self.axes, self.maximum = axes, maximum

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, channel), or twice as many channels with the maximum."""
        average = x.mean(self.axes)
        return torch.cat([average, x.amax(self.axes)], 1) if self.maximum else average


class Tokens(nn.Module):
    """An image as tokens, see `train.model.layers.Patches`."""

    def __init__(self, weight: Shape, bias: Shape, padding: tuple[int, int]) -> None:
        super().__init__()
        rows, columns, channels, width = weight
        self.weight = nn.Parameter(torch.zeros(width, channels, rows, columns))
        self.bias = nn.Parameter(torch.zeros(bias))
        self.padding = (0, padding[1], 0, padding[0])

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, token, width) for (batch, channel, ieta, iphi)."""
        patches = functional.conv2d(
            functional.pad(image, self.padding), self.weight, stride=(self.weight.shape[2], self.weight.shape[3])
        )
        return (patches.permute(0, 2, 3, 1) + self.bias).flatten(1, 2)


class SelfAttention(nn.Module):
    """Scaled dot products between tokens, see `train.model.layers.Attention`."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))

    def forward(self, token: Tensor) -> Tensor:
        """Return (batch, token, width)."""
        query, key, value = (
            projection(token).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for projection in (self.query, self.key, self.value)
        )
        mixed = functional.scaled_dot_product_attention(query, key, value)
        projected: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return projected


class Sum(nn.Module):
    """Two ways through other layers, added."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of both."""
        total: Tensor = self.body(x) + self.shortcut(x)
        return total


class Classifier(nn.Module):
    """An architecture behind its normalisation.

    Parameters
    ----------
    specification
        What to build.
    """

    def __init__(self, specification: Specification) -> None:
        super().__init__()
        self.specification = specification
        self.normalise = Normalise(specification.normalisation)
        self.standardise = Normalise(specification.variables.normalisation)
        self.layers = build_layers(specification.architecture.nodes(specification.image_shape))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, image: Tensor, variables: Tensor | None = None) -> Tensor:
        """Return logits (batch,) of images (batch, ieta, iphi, channel) as they are in the file.

        The same for `variables`, (batch, variable), which a model takes if its specification has any.
        """
        x: Tensor = self.normalise(image).permute(0, 3, 1, 2)
        for layer in self.layers:
            x = layer(x, self.standardise(variables)) if isinstance(layer, Joined) else layer(x)
        return x.squeeze(1)

    def score(self, image: Tensor, variables: Tensor | None = None) -> Tensor:
        """Return the probability (batch,) of class 1 for what `forward` takes."""
        return torch.sigmoid(self(image, variables))

    def weights(self) -> Weights:
        """Return the weights in the neutral layout."""
        state = self.layers.state_dict()
        return from_torch({name: value.cpu().numpy() for name, value in state.items()})

    def set_weights(self, values: Weights) -> None:
        """Take weights in the neutral layout.

        Raises
        ------
        StateError
            If they are of another architecture.
        """
        check_weights(values, self.specification.architecture.weight_shapes(self.specification.image_shape))
        self.layers.load_state_dict({name: torch.tensor(value) for name, value in to_torch(values).items()})


def build_layers(nodes: Iterable[Node]) -> nn.Sequential:
    """Return layers in their order, each followed by its activation."""
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    for node in nodes:
        modules[node.name] = build_layer(node)
        match getattr(node.layer, "activation", "linear"):
            case "relu":
                modules[f"{node.name}_relu"] = nn.ReLU()
            case "gelu":
                modules[f"{node.name}_gelu"] = nn.GELU(approximate="none")
    return nn.Sequential(modules)


def build_layer(node: Node) -> nn.Module:
    """Return the module of one layer, without its activation."""
    shape = node.input_shape
    match node.layer:
        case Conv() as conv:
            return nn.Conv2d(
                shape[-1], conv.filters, conv.kernel, stride=conv.stride, padding=conv.zero_padding, bias=conv.bias
            )
        case Dense(units=units):
            return nn.Linear(shape[-1], units)
        case BatchNorm() as norm:
            return ChannelNorm(shape[-1], norm)
        case LayerNorm(epsilon=epsilon):
            return nn.LayerNorm(shape[-1], eps=epsilon)
        case Patches() as patches:
            weights = patches.weight_specs(shape)
            return Tokens(weights["kernel"].shape, weights["bias"].shape, patches.zero_padding(shape))
        case Attention(heads=heads):
            return SelfAttention(shape[-1], heads)
        case Residual(body=body, shortcut=shortcut):
            return Sum(build_layers(trace_layers(body, shape)), build_layers(trace_layers(shortcut, shape)))
        case MaxPool(size=size):
            return nn.MaxPool2d(size)
        case GlobalPool(maximum=maximum):
            return Pool((2, 3) if len(shape) == 3 else (1,), maximum=maximum)
        case Flatten():
            return FlattenChannelLast()
        case Dropout(rate=rate):
            return nn.Dropout(rate)
        case Join():
            return Joined()
        case Crop() as crop:
            return Middle(*crop.margins(shape))
        case ShowerFeatures() as features:
            return Features(features)


def save_model(model: Classifier, folder: Path) -> None:
    """Write ``model.safetensors`` and ``architecture.json``, from which `load_model` builds the model again."""
    state = {name: value.detach().cpu().contiguous() for name, value in model.layers.state_dict().items()}
    run = RunFolder(path=folder)
    files.write_whole(run.model(".safetensors"), safetensors.torch.save(state))
    run.write_specification(model.specification.to_dict())


def load_model(folder: str | Path) -> Classifier:
    """Return the trained model of a run directory, ready to score.

    ``model.score(images)`` takes float32 (batch, ieta, iphi, channel) with values as in the source files. A model that
    takes variables has ``model.score(images, variables)``, float32 (batch, variable), in the order of
    ``model.specification.variables.names``.

    Raises
    ------
    RunError
        If the folder holds no exported PyTorch model.
    ConfigError
        If its specification cannot be built.
    """
    folder = Path(folder)
    try:
        specification = Specification.from_dict(RunFolder(path=folder).read_specification())
        state = safetensors.torch.load_file(folder / "model.safetensors")
        model = Classifier(specification)
        model.layers.load_state_dict(state)
    except FileNotFoundError as error:  # safetensors does not say which
        missing = error.filename or folder / "model.safetensors"
        raise RunError(f"{missing}: no such file; has the training run ended?") from None
    except (safetensors.SafetensorError, json.JSONDecodeError, RuntimeError) as error:
        raise RunError(f"{folder}: not an exported model ({error})") from None
    return model.eval()
