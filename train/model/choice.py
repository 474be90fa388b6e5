"""Which networks fit the images of a data set, and which of them is trained by default."""

from contextlib import suppress
from typing import TYPE_CHECKING

from store.datasets import DatasetSpec
from store.errors import ConfigError
from train.model.architecture import Architecture
from train.model.networks import ARCHITECTURES
from train.model.specification import check_sizes

if TYPE_CHECKING:
    from store.opening import Store

LARGE_IMAGE = 64 * 64
"""Number of cells above which the default network reduces the resolution in its first layers."""


def check_fit(architecture: Architecture, spec: DatasetSpec) -> None:
    """Check that a network takes the images of a data set.

    Raises
    ------
    ConfigError
        If a layer does not take its input or is too large, or the network computes features from energy and time but
        the channels are others.
    """
    check_sizes(architecture, spec.image_shape)
    channels = [channel.name for channel in spec.channels]
    if architecture.takes_raw_images and channels != ["energy", "time"]:
        raise ConfigError(
            f"model {architecture.name!r} needs the channels energy, time, the images have {', '.join(channels)}"
        )


def fitting_models(spec: DatasetSpec) -> list[str]:
    """Return the names of the built-in networks that take the images of a data set."""
    names = []
    for name, architecture in ARCHITECTURES.items():
        with suppress(ConfigError):
            check_fit(architecture, spec)
            names.append(name)
    return names


def suggest_models(spec: DatasetSpec) -> str:
    """Return the end of a message: which built-in networks take the images of a data set."""
    fitting = fitting_models(spec)
    return f"--model {' or '.join(fitting)} fits" if fitting else "no built-in model fits; --model takes a JSON file"


def default_model(spec: DatasetSpec) -> str:
    """Return the name of the network that is trained on a data set by default.

    It is the one that the description of the data set names. If it names none, it is

    - ``shower`` for images of 32 x 32 cells with the channels energy and time,
    - ``jet-cnn-deep`` for other images of more than 64 x 64 cells,
    - ``resnet15`` for all others,

    or, if the images do not fit that one, the first of ``resnet15``, ``vit`` and ``jet-cnn`` that they fit.

    Raises
    ------
    ConfigError
        If the description names no built-in network, or none fits the images.
    """
    if spec.model is not None:
        if spec.model not in ARCHITECTURES:
            raise ConfigError(
                f"[train] model of the data set is {spec.model!r}, which is unknown; {suggest_models(spec)}"
            )
        return spec.model
    ieta, iphi, _ = spec.image_shape
    suited = ["shower"] if (ieta, iphi) == (32, 32) else ["jet-cnn-deep"] if ieta * iphi > LARGE_IMAGE else []
    fitting = fitting_models(spec)
    for name in (*suited, "resnet15", "vit", "jet-cnn"):
        if name in fitting:
            return name
    raise ConfigError(f"images of {spec.image_shape}: {suggest_models(spec)}")


def choose_model(store: "Store") -> str:
    """Return the name of the network that is trained on a store by default, see `default_model`.

    Raises
    ------
    ConfigError
        If there is none; the message names the store.
    """
    try:
        return default_model(store.spec)
    except ConfigError as error:
        raise ConfigError(f"{store.path}: {error}") from None
