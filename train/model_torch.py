"""The models in PyTorch."""

import json
from collections import OrderedDict
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from store.errors import RunError
from train.architecture import Conv, Dense, Dropout, Flatten, MaxPool, Step
from train.normalisation import Normalisation
from train.specification import Specification
from train.weights import Weights, check, from_torch, to_torch


class Normalise(nn.Module):
    """The first layer, on channel-last images; its constants are buffers and not saved with the weights."""

    scale: Tensor
    offset: Tensor

    def __init__(self, normalisation: Normalisation) -> None:
        super().__init__()
        self.log = normalisation.recipe == "log"
        self.register_buffer("scale", torch.tensor(normalisation.scale, dtype=torch.float32), persistent=False)
        self.register_buffer("offset", torch.tensor(normalisation.offset, dtype=torch.float32), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Return images (batch, ieta, iphi, channel) normalised."""
        image = image * self.scale + self.offset
        return torch.sign(image) * torch.log1p(torch.abs(image)) if self.log else image


class FlattenChannelLast(nn.Module):
    """Rows in channel-last order, as Keras has them; no copy where memory is channel-last already."""

    def forward(self, image: Tensor) -> Tensor:
        """Return (batch, ieta * iphi * channel) for (batch, channel, ieta, iphi)."""
        return image.permute(0, 2, 3, 1).flatten(1)


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
        modules: OrderedDict[str, nn.Module] = OrderedDict()
        for step in specification.architecture.steps(specification.image_shape):
            modules[step.name] = build_layer(step)
            if getattr(step.layer, "activation", "linear") == "relu":
                modules[f"{step.name}_relu"] = nn.ReLU()
        self.layers = nn.Sequential(modules)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (batch,) of images (batch, ieta, iphi, channel) as they are in the file."""
        logit: Tensor = self.layers(self.normalise(image).permute(0, 3, 1, 2)).squeeze(1)
        return logit

    def score(self, image: Tensor) -> Tensor:
        """Return the probability (batch,) of class 1 for images (batch, ieta, iphi, channel) as in the file."""
        return torch.sigmoid(self(image))

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
        check(values, self.specification.architecture.weight_shapes(self.specification.image_shape))
        self.layers.load_state_dict({name: torch.tensor(value) for name, value in to_torch(values).items()})


def build_layer(step: Step) -> nn.Module:
    """Return the module of one layer, without its activation."""
    match step.layer:
        case Conv(filters=filters, kernel=kernel):
            return nn.Conv2d(step.input_shape[-1], filters, kernel, padding="same")
        case MaxPool(size=size):
            return nn.MaxPool2d(size)
        case Flatten():
            return FlattenChannelLast()
        case Dense(units=units):
            return nn.Linear(step.input_shape[0], units)
        case Dropout(rate=rate):
            return nn.Dropout(rate)


def save_model(model: Classifier, folder: Path) -> None:
    """Write ``model.safetensors`` and ``architecture.json``, from which `load_model` builds the model again."""
    state = {name: value.detach().cpu().contiguous() for name, value in model.layers.state_dict().items()}
    safetensors.torch.save_file(state, folder / "model.safetensors")
    (folder / "architecture.json").write_text(json.dumps(model.specification.to_json(), indent=2) + "\n")


def load_model(folder: str | Path) -> Classifier:
    """Return the trained model of a run directory, ready to score.

    ``model.score(images)`` takes float32 (batch, ieta, iphi, channel) with values as in the source files.

    Raises
    ------
    RunError
        If the folder holds no exported PyTorch model.
    ConfigError
        If its specification cannot be built.
    """
    folder = Path(folder)
    try:
        specification = Specification.from_json(json.loads((folder / "architecture.json").read_text()))
        state = safetensors.torch.load_file(folder / "model.safetensors")
        model = Classifier(specification)
        model.layers.load_state_dict(state)
    except FileNotFoundError as error:
        raise RunError(f"{error.filename}: no such file; has the training run ended?") from None
    except (safetensors.SafetensorError, json.JSONDecodeError, RuntimeError) as error:
        raise RunError(f"{folder}: not an exported model ({error})") from None
    return model.eval()
