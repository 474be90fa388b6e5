"""The models in Keras."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from train.architecture import Conv, Dense, Dropout, Flatten, MaxPool, Step
from train.normalisation import Normalisation
from train.specification import Specification
from train.weights import Weights, check


def build_model(specification: Specification) -> keras.Model:
    """Return a model from images (batch, ieta, iphi, channel), as they are in the file, to logits (batch, 1).

    It is made of Keras' own layers alone, so that a saved model loads in safe mode and without this project.
    """
    # The global setting decides how Rescaling lays out its constants, and a user's file may say otherwise.
    keras.config.set_image_data_format("channels_last")
    image = keras.Input(specification.image_shape, name="image", dtype="float32")
    x = normalise(image, specification.normalisation)
    for step in specification.architecture.steps(specification.image_shape):
        x = build_layer(step)(x)
    return keras.Model(image, x, name=specification.architecture.name.replace("-", "_"))


def normalise(image: Any, normalisation: Normalisation) -> Any:
    """Return images (batch, ieta, iphi, channel) normalised."""
    scale, offset = list(normalisation.scale), list(normalisation.offset)
    image = keras.layers.Rescaling(scale, offset, name="normalise")(image)
    if normalisation.recipe == "log":
        return keras.ops.sign(image) * keras.ops.log1p(keras.ops.absolute(image))
    return image


def build_layer(step: Step) -> keras.Layer:
    """Return one layer, with its activation."""
    match step.layer:
        case Conv(filters=filters, kernel=kernel, activation=activation):
            return keras.layers.Conv2D(
                filters, kernel, padding="same", activation=activation, data_format="channels_last", name=step.name
            )
        case MaxPool(size=size):
            return keras.layers.MaxPooling2D(size, data_format="channels_last", name=step.name)
        case Flatten():
            return keras.layers.Flatten(data_format="channels_last", name=step.name)
        case Dense(units=units, activation=activation):
            return keras.layers.Dense(units, activation=activation, name=step.name)
        case Dropout(rate=rate):
            return keras.layers.Dropout(rate, name=step.name)


def get_weights(model: keras.Model) -> Weights:
    """Return the weights in the neutral layout."""
    return {
        f"{layer.name}.{weight.name}": np.asarray(weight.numpy()) for layer in model.layers for weight in layer.weights
    }


def set_weights(model: keras.Model, values: Weights) -> None:
    """Take weights in the neutral layout.

    Raises
    ------
    StateError
        If they are of another architecture.
    """
    places = {f"{layer.name}.{weight.name}": weight for layer in model.layers for weight in layer.weights}
    check(values, {name: tuple(weight.shape) for name, weight in places.items()})
    for name, weight in places.items():
        weight.assign(values[name])


def save_model(model: keras.Model, folder: Path) -> None:
    """Write ``model.keras``: images as they are in the file in, the probability (batch, 1) of class 1 out.

    ``keras.models.load_model(folder / "model.keras").predict(images)`` needs nothing of this project.
    """
    score = keras.layers.Activation("sigmoid", name="score")(model.output)
    keras.Model(model.input, score, name=model.name).save(folder / "model.keras")
