"""Train in PyTorch with something that calostream does not offer, to see whether it would pay.

Run: ``python docs/results/variants.py VARIANT OPTIONS``, with the options of ``train-torch``. The variants are label
smoothing (https://arxiv.org/abs/1512.00567), mixup (https://arxiv.org/abs/1710.09412), a random energy scale per image,
stochastic depth (https://arxiv.org/abs/1603.09382) and squeeze and excitation (https://arxiv.org/abs/1709.01507).
"""

import sys
from collections.abc import Callable

import torch
from torch import Tensor, nn

import train.pytorch.backend
import train.pytorch.model
from train.model.weights import Weights, to_torch
from train.pytorch import cli
from train.pytorch.layers import AddBranches
from train.pytorch.model import Classifier
from train.pytorch.step import TrainingStep


class ChangedStep(TrainingStep):
    """A step with images and targets that a variant has changed."""

    change: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

    def __call__(self, image: Tensor, label: Tensor) -> Tensor:
        changed, target = type(self).change(image, label.float())
        ones = torch.ones(len(label))
        return super().__call__(changed, label, ones, target)


def smooth(image: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Move 5 % of the probability to both classes alike."""
    return image, target * 0.95 + 0.025


def mix(image: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Add two images, with shares from a beta distribution of 0.2, and their targets alike."""
    share = torch.distributions.Beta(0.2, 0.2).sample()
    other = torch.randperm(len(image))
    return torch.lerp(image[other], image, share), torch.lerp(target[other], target, share)


def scale_energy(image: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Multiply the energies of an image by a normal random number around 1, of a standard deviation of 2 %."""
    factor = torch.ones(len(image), 1, 1, image.shape[-1])
    factor[..., 0] += 0.02 * torch.randn(len(image), 1, 1)
    return image * factor, target


class DroppedBranch(AddBranches):
    """A residual whose body is left out for a random tenth of the samples while training."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        kept = (torch.rand(len(x), *[1] * (x.ndim - 1)) >= 0.1) / 0.9
        return self.body(x) * kept.to(x.dtype) + self.shortcut(x)


class ExcitedBranch(AddBranches):
    """A residual whose body is multiplied by a factor per channel, which depends on the mean of each channel."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__(body, shortcut)
        width = max(len(parameter) for parameter in body.parameters() if parameter.ndim == 1)
        self.excite = nn.Sequential(nn.Linear(width, width // 4), nn.ReLU(), nn.Linear(width // 4, width), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        body = self.body(x)
        return body * self.excite(body.mean((2, 3)))[:, :, None, None] + self.shortcut(x)


def set_weights(model: Classifier, values: Weights) -> None:
    """Set the weights that are given; at the beginning, those of `ExcitedBranch.excite` are not among them."""
    state = {name: torch.tensor(value) for name, value in to_torch(values).items()}
    model.layers.load_state_dict(state, strict=False)


VARIANTS = {
    "label-smoothing": smooth,
    "mixup": mix,
    "energy-scale": scale_energy,
    "drop-path": DroppedBranch,
    "squeeze-excitation": ExcitedBranch,
}


def main(variant: str) -> None:
    """Train with a variant in place of what it changes."""
    chosen = VARIANTS[variant]
    if isinstance(chosen, type):
        train.pytorch.model.AddBranches = chosen
        Classifier.set_weights = set_weights
    else:
        ChangedStep.change = staticmethod(chosen)
        train.pytorch.backend.TrainingStep = ChangedStep
    cli.main()


if __name__ == "__main__":
    main(sys.argv.pop(1))
