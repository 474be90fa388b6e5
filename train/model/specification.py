"""The specification of a classifier: everything that PyTorch and Keras need to build it, except the weights."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from store.errors import ConfigError
from train.model.architecture import Architecture
from train.model.layers import Shape
from train.model.normalisation import Normalisation
from train.variables import VariableInputs

MAX_WEIGHT_BYTES = 1 << 32  # training takes several times as much memory
MAX_OUTPUT_VALUES = 1 << 26  # of a layer for one image; a batch has hundreds of images


def check_sizes(architecture: Architecture, image_shape: Shape) -> None:
    """Check that an architecture fits images of a shape, and that its weights and outputs are of a reasonable size.

    Raises
    ------
    ConfigError
        If a layer cannot take its input, or is too large; the message names the layer.
    """
    total = 0
    for node in architecture.nodes(image_shape):
        size = 4 * sum(math.prod(weight.shape) for weight in node.layer.weight_specs(node.input_shape).values())
        total += size
        if total > MAX_WEIGHT_BYTES:
            raise ConfigError(
                f"model {architecture.name!r} is too large: with the {size:,} bytes of {node.name}, its weights take "
                f"{total:,} bytes, at most {MAX_WEIGHT_BYTES:,} are allowed"
            )
        if math.prod(node.output_shape) > MAX_OUTPUT_VALUES:
            raise ConfigError(
                f"model {architecture.name!r} is too large: {node.name} returns {math.prod(node.output_shape):,} "
                f"values per image, at most {MAX_OUTPUT_VALUES:,} are allowed"
            )


@dataclass(frozen=True, kw_only=True)
class Specification:
    """An architecture for images of one shape, with the normalisation as its first layer.

    Attributes
    ----------
    architecture
        The layers behind the normalisation.
    normalisation
        The first layer; its scale and offset are constants, not parameters.
    image_shape
        Shape of an image, (ieta, iphi, channel).
    variables
        Per-sample variables that the model takes besides the image.

    Raises
    ------
    ConfigError
        If the architecture does not fit the images, the normalisation or the variables, or the normalisation and the
        images differ in their number of channels.
    """

    architecture: Architecture
    normalisation: Normalisation
    image_shape: Shape
    variables: VariableInputs = field(default_factory=VariableInputs)

    def __post_init__(self) -> None:
        object.__setattr__(self, "image_shape", tuple(self.image_shape))
        check_sizes(self.architecture, self.image_shape)
        channels = len(self.normalisation.scale)
        if channels != self.image_shape[-1]:
            raise ConfigError(f"the normalisation is for {channels} channels, the images are {self.image_shape}")
        expected, given = self.architecture.variable_count, len(self.variables.names)
        if expected != given:
            raise ConfigError(f"model {self.architecture.name!r} takes {expected} variables, got {given}")
        if self.architecture.takes_raw_images and self.normalisation.recipe != "none":
            raise ConfigError(
                f"model {self.architecture.name!r} takes images as they are in the file, not normalised by "
                f"{self.normalisation.recipe!r}; use --normalisation none"
            )

    @property
    def class_count(self) -> int:
        """Number of classes that the model tells apart: 2 if it returns one logit, otherwise that of its logits."""
        return self.architecture.class_count(self.image_shape)

    @property
    def weight_bytes(self) -> int:
        """Size of all weights in float32, in bytes."""
        return 4 * sum(map(math.prod, self.architecture.weight_shapes(self.image_shape).values()))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, from which `from_dict` makes an equal specification."""
        return {
            "architecture": self.architecture.to_dict(),
            "normalisation": asdict(self.normalisation),
            "image_shape": list(self.image_shape),
            "variables": asdict(self.variables),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Specification":
        """Return the specification that `to_dict` described.

        Raises
        ------
        ConfigError
            If the values do not describe a specification.
        """
        try:
            return cls(
                architecture=Architecture.from_dict(values["architecture"]),
                normalisation=Normalisation(**values["normalisation"]),
                image_shape=tuple(values["image_shape"]),
                variables=VariableInputs(**values.get("variables", {})),
            )
        except (KeyError, TypeError) as error:
            raise ConfigError(f"not the specification of a model: {error}") from None
