"""The built-in architectures, and the building blocks that they are made of."""

import json
from dataclasses import replace
from pathlib import Path

from store.errors import ConfigError
from train.model.architecture import Architecture
from train.model.graph import Residual
from train.model.layers import Activation, BatchNorm, Conv, Dense, Padding
from train.model.stateless_layers import Crop, Dropout, Flatten, GlobalPool, MaxPool, ShowerFeatures
from train.model.token_layers import Attention, LayerNorm, Patches, Tokens


def conv_norm(
    filters: int,
    kernel: tuple[int, int] = (3, 3),
    *,
    stride: int = 1,
    padding: Padding = "same",
    activation: Activation = "relu",
) -> tuple[Conv, BatchNorm]:
    """Return a convolution without bias, and a batch normalisation with the activation."""
    conv = Conv(filters=filters, kernel=kernel, stride=stride, padding=padding, bias=False, activation="linear")
    return conv, BatchNorm(activation=activation)


def basic_block(filters: int, stride: int = 1, *, kernel: tuple[int, int] = (3, 3), project: bool = False) -> Residual:
    """Return the basic block of a ResNet (https://arxiv.org/abs/1512.03385, figure 5 left).

    The body is two convolutions with batch normalisation; the shortcut is a 1 x 1 convolution if `project` is set, else
    the identity.
    """
    return Residual(
        body=(
            *conv_norm(filters, kernel, stride=stride),
            *conv_norm(filters, kernel, activation="linear"),
        ),
        shortcut=conv_norm(filters, (1, 1), stride=stride, activation="linear") if project else (),
        activation="relu",
    )


def encoder_block(
    width: int, heads: int, *, hidden: int | None = None, activation: Activation = "gelu"
) -> tuple[Residual, Residual]:
    """Return a transformer encoder block (https://arxiv.org/abs/2010.11929, figure 1 right).

    Layer normalisation and self-attention, then layer normalisation and an MLP on each token; each of the two halves is
    added to its input. The hidden layer of the MLP has `hidden` units, by default four times the width.
    """
    mlp = Dense(units=hidden or 4 * width, activation=activation), Dense(units=width, activation="linear")
    return Residual(body=(LayerNorm(), Attention(heads=heads))), Residual(body=(LayerNorm(), *mlp))


CNN = Architecture(
    name="cnn",
    source="reference network of the challenge (868,993 parameters on 32 x 32 x 2)",
    layers=(
        *(Conv(filters=32), Conv(filters=32), MaxPool()),
        *(Conv(filters=64), Conv(filters=64), MaxPool()),
        *(Conv(filters=128), Conv(filters=128), MaxPool()),
        Flatten(),
        *(Dense(units=256), Dropout(rate=0.4)),
        *(Dense(units=128), Dropout(rate=0.4)),
        *(Dense(units=128), Dropout(rate=0.25)),
        *(Dense(units=64), Dropout(rate=0.3)),
        Dense(units=1, activation="linear"),
    ),
    initialiser="truncated-normal",
)

CNN_SMALL = Architecture(
    name="cnn-small",
    source="CNN of a GSoC 2023 entry; weights start as Keras' defaults would, but from a normal distribution",
    layers=(
        *(Conv(filters=filters, padding="valid") for filters in (32, 64)),
        MaxPool(),
        *(Conv(filters=64, padding="valid") for _ in range(3)),
        MaxPool(),
        Flatten(),
        *(Dense(units=64), Dense(units=64), Dense(units=1, activation="linear")),
    ),
    initialiser="glorot",
)

RESNET15 = Architecture(
    name="resnet15",
    source="ResNet-15 of a GSoC 2024 entry; weights as in https://arxiv.org/abs/1502.01852",
    layers=(
        *conv_norm(16),
        *(basic_block(16), basic_block(16)),
        *(basic_block(32, 2, project=True), basic_block(32)),
        *(basic_block(64, 2, project=True), basic_block(64)),
        GlobalPool(),
        Dense(units=1, activation="linear"),
    ),
    initialiser="he",
)

VIT = Architecture(
    name="vit",
    source="vision transformer (https://arxiv.org/abs/2010.11929), as large as the reference network, no dropout",
    layers=(
        Patches(width=128),
        *(layer for _ in range(4) for layer in encoder_block(width=128, heads=4)),
        *(LayerNorm(), GlobalPool()),
        Dense(units=1, activation="linear"),
    ),
    initialiser="glorot",
)

# A convolution, then a residual around another one.
SHOWER_STEM = (*conv_norm(24), Residual(body=conv_norm(24, activation="linear"), activation="relu"))
ACROSS_ROWS = conv_norm(64, (9, 1), padding="valid")
SHOWER_END = (Flatten(), Dropout(rate=0.5), Dense(units=64), Dense(units=1, activation="linear"))

# More than four rows from the seed there is little but noise, but along phi bremsstrahlung spreads the energy to the
# edges of the image. A convolution over all nine rows therefore reduces the image to a line of cells along phi at full
# resolution. Deep layers on that line cost little, and the position of a cluster along phi is kept up to the end.
SHOWER = Architecture(
    name="shower",
    source="ours: the central rows, then a residual network along phi",
    layers=(
        *(ShowerFeatures(), Crop(rows=9, columns=31)),
        *(*SHOWER_STEM, *ACROSS_ROWS),
        *(basic_block(64, kernel=(1, 3)) for _ in range(3)),
        *(*conv_norm(32, (1, 1)), *SHOWER_END),
    ),
    initialiser="he",
)

SHOWER_TIME = replace(
    SHOWER,
    name="shower-time",
    source="ours: shower, with the time as a fifth feature",
    layers=(ShowerFeatures(time=True), *SHOWER.layers[1:]),
)

# Patches would cut the core of a shower into different tokens. Here, a token is one column of cells along phi, and
# convolutions have seen its neighbours: with encoder blocks in place of all residual blocks, the network learns more
# slowly and ends worse.
SHOWER_TRANSFORMER = Architecture(
    name="shower-transformer",
    source="ours: shower, with a transformer encoder block along phi in place of its last residual block",
    layers=(
        *(ShowerFeatures(), Crop(rows=9, columns=31)),
        *(*SHOWER_STEM, *ACROSS_ROWS),
        *(basic_block(64, kernel=(1, 3)) for _ in range(2)),
        *(Tokens(), *encoder_block(64, heads=2, hidden=128, activation="relu")),
        *(LayerNorm(), Dense(units=32, activation="linear"), BatchNorm(activation="relu")),
        *SHOWER_END,
    ),
    initialiser="glorot",
)

JET_CNN = Architecture(
    name="jet-cnn",
    source="CNN for jets of a GSoC 2023 entry: a single filter, dropout 0.5; its other layers were not published",
    layers=(
        *(Conv(filters=1), MaxPool(), Flatten()),
        *(Dense(units=64), Dropout(rate=0.5), Dense(units=1, activation="linear")),
    ),
    initialiser="glorot",
)

# At full resolution, the reference network would take fifteen times as long on jets as on showers. The hits of a jet
# are far apart, so little is lost when the first layers reduce the resolution.
JET_CNN_DEEP = Architecture(
    name="jet-cnn-deep",
    source="ours: the reference network of the challenge behind a layer that takes 125 x 125 to 31 x 31",
    layers=(Conv(filters=32, stride=2), MaxPool(), *CNN.layers),
    initialiser="he",
)

JET_TRANSFORMER = Architecture(
    name="jet-transformer",
    source="ours: convolutions that take 125 x 125 to 8 x 8, then a transformer of one token per cell",
    layers=(
        *(*conv_norm(32, stride=2), MaxPool()),
        *(*conv_norm(64), MaxPool()),
        *conv_norm(64, stride=2),
        Tokens(),
        *(layer for _ in range(3) for layer in encoder_block(64, heads=4, hidden=128, activation="relu")),
        *(LayerNorm(), GlobalPool(), Dropout(rate=0.5), Dense(units=1, activation="linear")),
    ),
    initialiser="glorot",
)

ARCHITECTURES = {
    architecture.name: architecture
    for architecture in (
        *(CNN, CNN_SMALL, RESNET15, VIT),
        *(SHOWER, SHOWER_TIME, SHOWER_TRANSFORMER),
        *(JET_CNN, JET_CNN_DEEP, JET_TRANSFORMER),
    )
}


def find_architecture(model: str) -> Architecture:
    """Return a built-in architecture by its name, or read an architecture from a JSON file.

    Parameters
    ----------
    model
        A key of `ARCHITECTURES`, or the path of a file ending in ``.json`` that holds what `Architecture.to_dict`
        returns.

    Raises
    ------
    ConfigError
        If the name is unknown, or the file cannot be read or does not describe an architecture.
    """
    if not model.endswith(".json"):
        if model not in ARCHITECTURES:
            raise ConfigError(f"unknown model {model!r}; known: {', '.join(ARCHITECTURES)}, and files ending in .json")
        return ARCHITECTURES[model]
    try:
        return Architecture.from_dict(json.loads(Path(model).read_bytes()))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{model}: not the description of an architecture ({error})") from None
