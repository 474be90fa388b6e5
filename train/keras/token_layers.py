"""Layers in Keras that make tokens or work on tokens; images are channel-last."""

from typing import Any

import keras

from train.model.layers import Shape
from train.model.token_layers import Patches


def embed_patches(patches: Patches, shape: Shape, image: Any, name: str) -> Any:
    """Return tokens (batch, token, width) for images (batch, ieta, iphi, channel).

    See `train.model.token_layers.Patches`.
    """
    (rows, columns), (below, right), grid = patches.patch_size(shape), patches.zero_padding(shape), patches.grid
    padding = ((0, below), (0, right))
    x = keras.layers.ZeroPadding2D(padding, data_format="channels_last", name=f"{name}_zeros")(image)
    x = keras.layers.Reshape((grid, rows, grid, columns, shape[-1]), name=f"{name}_cut")(x)
    project = keras.layers.EinsumDense(
        "bricjk,ijkw->brcw",
        output_shape=(grid, grid, patches.width),
        bias_axes="rcw",
        name=name,
    )
    return keras.layers.Reshape((grid * grid, patches.width), name=f"{name}_row")(project(x))


def embed_cells(shape: Shape, image: Any, name: str) -> Any:
    """Return tokens (batch, *shape) for images (batch, ieta, iphi, channel), see `train.model.token_layers.Tokens`."""
    token = keras.layers.Reshape(shape, name=f"{name}_row")(image)
    # No layer of Keras adds a weight to its input; this one multiplies it by ones.
    position = keras.layers.EinsumDense("bt,tw->btw", output_shape=shape, name=f"{name}_position")
    return keras.layers.Add(name=name)([token, position(keras.ops.ones_like(token[:1, :, 0]))])


def attend(query: Any, key: Any, value: Any) -> Any:
    """Return attention with scaled dot products, (batch, token, head, value), for inputs of the same shape.

    On a CPU, TensorFlow takes longer for `keras.ops.dot_product_attention`.
    """
    score = keras.ops.einsum("bthw,bshw->bhts", query * query.shape[-1] ** -0.5, key)
    return keras.ops.einsum("bhts,bshw->bthw", keras.ops.softmax(score), value)


def self_attention(heads: int, shape: Shape, token: Any, name: str) -> Any:
    """Return (batch, token, width) for tokens of the same shape, see `train.model.token_layers.Attention`."""
    tokens, width = shape
    query, key, value = (
        keras.layers.Reshape((tokens, heads, width // heads), name=f"{name}_{part}_heads")(
            keras.layers.Dense(width, name=f"{name}_{part}")(token)
        )
        for part in ("query", "key", "value")
    )
    mixed = keras.layers.Reshape((tokens, width), name=f"{name}_mixed")(attend(query, key, value))
    return keras.layers.Dense(width, name=f"{name}_output")(mixed)
