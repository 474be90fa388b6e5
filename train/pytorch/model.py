"""Models in PyTorch, built from a specification.

Images are channel-last, (batch, ieta, iphi, channel), where they enter the model, and channel-first,
(batch, channel, ieta, iphi), inside it.
"""

import json
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from store import files
from store.errors import RunError
from store.run_folder import RunFolder
from train.model.graph import Node, Residual, trace_layers
from train.model.layers import BatchNorm, Conv, Dense
from train.model.specification import Specification
from train.model.stateless_layers import Crop, Dropout, Flatten, GlobalPool, Join, MaxPool, ShowerFeatures
from train.model.token_layers import Attention, LayerNorm, Patches, Tokens
from train.model.weights import Weights, check_weights, from_torch, to_torch
from train.pytorch.batch_norm import ChannelNorm, TokenNorm
from train.pytorch.layers import (
    AddBranches,
    AppendVariables,
    ComputeFeatures,
    CropCells,
    EmbedCells,
    EmbedPatches,
    FlattenChannelLast,
    Normalise,
    Pool,
    RandomDropout,
    SelfAttention,
)


def build_layers(nodes: Iterable[Node]) -> nn.Sequential:
    """Return layers in sequence, each followed by its activation function."""
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    for node in nodes:
        last = next(reversed(modules.values()), None)
        if isinstance(node.layer, Crop) and isinstance(last, ComputeFeatures):
            last.crop = build_layer(node)
            continue
        modules[node.name] = build_layer(node)
        match getattr(node.layer, "activation", "linear"):
            case "relu":
                modules[f"{node.name}_relu"] = nn.ReLU(inplace=True)
            case "gelu":
                modules[f"{node.name}_gelu"] = nn.GELU(approximate="none")
    return nn.Sequential(modules)


def build_layer(node: Node) -> nn.Module:
    """Return one layer without its activation function."""
    shape = node.input_shape
    match node.layer:
        case Conv() as conv:
            return nn.Conv2d(
                shape[-1], conv.filters, conv.kernel, stride=conv.stride, padding=conv.zero_padding, bias=conv.bias
            )
        case Dense(units=units):
            return nn.Linear(shape[-1], units)
        case BatchNorm() as norm:
            return (TokenNorm if len(shape) == 2 else ChannelNorm)(shape[-1], norm)
        case LayerNorm(epsilon=epsilon):
            return nn.LayerNorm(shape[-1], eps=epsilon)
        case Patches() as patches:
            weights = patches.weight_specs(shape)
            return EmbedPatches(weights["kernel"].shape, weights["bias"].shape, patches.zero_padding(shape))
        case Tokens():
            return EmbedCells(*node.output_shape)
        case Attention(heads=heads):
            return SelfAttention(shape[-1], heads)
        case Residual(body=body, shortcut=shortcut):
            return AddBranches(build_layers(trace_layers(body, shape)), build_layers(trace_layers(shortcut, shape)))
        case MaxPool(size=size):
            return nn.MaxPool2d(size)
        case GlobalPool(maximum=maximum):
            return Pool((2, 3) if len(shape) == 3 else (1,), maximum=maximum)
        case Flatten():
            return nn.Flatten() if len(shape) == 2 else FlattenChannelLast()
        case Dropout(rate=rate):
            return RandomDropout(rate)
        case Join():
            return AppendVariables()
        case Crop() as crop:
            return CropCells(crop.margins(shape))
        case ShowerFeatures() as features:
            return ComputeFeatures(features)


class Classifier(nn.Module):
    """The normalisation and the architecture of a specification.

    Parameters
    ----------
    specification
        The model to build.
    """

    def __init__(self, specification: Specification) -> None:
        super().__init__()
        self.specification = specification
        self.normalise = Normalise(specification.normalisation)
        self.standardise = Normalise(specification.variables.normalisation)
        self.layers = build_layers(specification.architecture.nodes(specification.image_shape))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, image: Tensor, variables: Tensor | None = None) -> Tensor:
        """Return logits (batch,), or (batch, K) for K > 2 classes.

        Parameters
        ----------
        image
            float32 (batch, ieta, iphi, channel), with values as in the source files.
        variables
            float32 (batch, variable), with values as in the source files, if the specification has variables.
        """
        x: Tensor = self.normalise(image).permute(0, 3, 1, 2)
        for layer in self.layers:
            x = layer(x, self.standardise(variables)) if isinstance(layer, AppendVariables) else layer(x)
        return x.squeeze(1) if x.shape[1] == 1 else x

    def score(self, image: Tensor, variables: Tensor | None = None) -> Tensor:
        """Return the probability (batch,) of class 1, or the probabilities (batch, K) of K > 2 classes.

        The arguments are those of `forward`.
        """
        logit: Tensor = self(image, variables)
        return logit.sigmoid() if logit.ndim == 1 else logit.softmax(1)

    def weights(self) -> Weights:
        """Return the weights in the neutral layout."""
        state = self.layers.state_dict()
        return from_torch({name: value.cpu().numpy() for name, value in state.items()})

    def set_weights(self, values: Weights) -> None:
        """Set the weights, given in the neutral layout.

        Raises
        ------
        StateError
            If they belong to another architecture.
        """
        check_weights(values, self.specification.architecture.weight_shapes(self.specification.image_shape))
        self.layers.load_state_dict({name: torch.tensor(value) for name, value in to_torch(values).items()})


def save_model(model: Classifier, folder: Path) -> None:
    """Write ``model.safetensors`` and ``architecture.json``, which `load_model` reads."""
    state = {name: value.detach().cpu().contiguous() for name, value in model.layers.state_dict().items()}
    run = RunFolder(path=folder)
    files.write_whole(run.model(".safetensors"), safetensors.torch.save(state))
    run.write_specification(model.specification.to_dict())


def load_model(folder: str | Path) -> Classifier:
    """Return the exported model of a run directory, ready to score.

    ``model.score(images)`` takes float32 (batch, ieta, iphi, channel) with values as in the source files, and returns
    the probability (batch,) of class 1, or the probabilities (batch, K) of K > 2 classes. A model that takes variables
    has ``model.score(images, variables)``, with float32 (batch, variable) in the order of
    ``model.specification.variables.names``.

    Parameters
    ----------
    folder
        The run directory.

    Returns
    -------
    Classifier
        The model, in evaluation mode.

    Raises
    ------
    RunError
        If the folder holds no exported PyTorch model.
    ConfigError
        If its specification cannot be built.

    Examples
    --------
    >>> model = cs.torch.load_model("runs/shower-torch")  # doctest: +SKIP
    >>> model.score(images)  # doctest: +SKIP
    """
    run = RunFolder(path=Path(folder))
    path = run.model(".safetensors")
    try:
        model = Classifier(Specification.from_dict(run.read_specification()))
        model.layers.load_state_dict(safetensors.torch.load_file(path))
    except FileNotFoundError:
        raise RunError(f"{path}: no such file; has the training run ended?") from None
    except (safetensors.SafetensorError, json.JSONDecodeError, RuntimeError) as error:
        raise RunError(f"{path}: not an exported model ({error})") from None
    return model.eval()
