"""What a trained classifier is besides its weights: all that both frameworks need to build it."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from store.errors import ConfigError
from train.model.architecture import Architecture
from train.model.layers import Shape
from train.model.normalisation import Normalisation
from train.variables import Variables


@dataclass(frozen=True, kw_only=True)
class Specification:
    """A model for images of one shape, with its normalisation as the first layer.

    Attributes
    ----------
    architecture
        The layers.
    normalisation
        Constants of the first layer; they are not parameters.
    image_shape
        (ieta, iphi, channel).
    variables
        What the model takes besides the image.

    Raises
    ------
    ConfigError
        If the architecture or the normalisation does not fit the images, or the architecture not the variables.
    """

    architecture: Architecture
    normalisation: Normalisation
    image_shape: Shape
    variables: Variables = field(default_factory=Variables)

    def __post_init__(self) -> None:
        object.__setattr__(self, "image_shape", tuple(self.image_shape))
        self.architecture.parameter_count(self.image_shape)
        channels = len(self.normalisation.scale)
        if channels != self.image_shape[-1]:
            raise ConfigError(f"the normalisation is for {channels} channels, the images are {self.image_shape}")
        if self.architecture.variables != len(self.variables.names):
            raise ConfigError(
                f"the architecture joins {self.architecture.variables} variables, there are {len(self.variables.names)}"
            )
        if self.architecture.raw and self.normalisation.recipe != "none":
            raise ConfigError(
                f"model {self.architecture.name!r} takes images as they are in the file, not normalised by "
                f"{self.normalisation.recipe!r}; use --normalisation none"
            )

    @property
    def weight_bytes(self) -> int:
        """Size of all weights in float32."""
        return 4 * sum(map(math.prod, self.architecture.weight_shapes(self.image_shape).values()))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that `from_dict` turns back into an equal specification."""
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
            If the values are not those of a specification.
        """
        try:
            return cls(
                architecture=Architecture.from_dict(values["architecture"]),
                normalisation=Normalisation(**values["normalisation"]),
                image_shape=tuple(values["image_shape"]),
                variables=Variables(**values.get("variables", {})),
            )
        except (KeyError, TypeError) as error:
            raise ConfigError(f"not the specification of a model: {error}") from None
