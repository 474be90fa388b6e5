"""Looking where a model looks: hiding patches of test images from it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

import store
from evaluate.images import Block
from evaluate.occlusion import Occlusion
from evaluate.runs import load_run
from evaluate.score import open_model, variables_of
from store.errors import ConfigError, StoreError

PATCHES = 16  # along each side of the image


def occlude(path: Path, samples: int = 128) -> Occlusion:
    """Hide patches of the first test images from a run's model, and write what that does beside the predictions.

    The order of samples in a split is random, so the first ones are a fair draw.

    Parameters
    ----------
    path
        Run directory, with its store where it was.
    samples
        How many images; each is scored 257 times.

    Raises
    ------
    ConfigError
        If `samples` is below 1, or the model looks at no image.
    RunError
        If the run cannot be used, or its model fails.
    StoreError
        If the store is gone or holds other data.
    """
    if samples < 1:
        raise ConfigError(f"samples={samples} is below 1")
    run = load_run(path, path.resolve().name)
    if run.framework in ("trees", "logistic") and variables_of(run.config):
        raise ConfigError(f"{path}: its model takes {', '.join(variables_of(run.config))} and looks at no image")
    opened = store.open_store(run.store["path"])
    if opened.digest != run.store["digest"]:
        raise StoreError(f"{opened.path} now holds other data (digest {opened.digest[:12]}) than the run saw")
    dataset = store.open_dataset(opened.path, "test").isel(sample=slice(samples))
    images, label = dataset["image"].to_numpy(), dataset["label"].to_numpy()
    variables = np.empty((len(images), 0), np.float32)
    if names := variables_of(run.config):
        variables = np.column_stack([dataset[name].to_numpy() for name in names])
    with open_model(run.framework, path) as ask:
        score = ask(images, variables)
        hidden = np.stack([np.abs(ask(part, variables) - score) for part in _hide(images)])
    shape = [min(PATCHES, side) for side in images.shape[1:3]]
    change = [
        hidden[:, label == value].mean(axis=1) if (label == value).any() else np.full(len(hidden), np.nan)
        for value in range(2)
    ]
    start = opened.split_range("test")[0]
    found = Occlusion(sample=np.arange(start, start + len(images)), score=score, change=np.reshape(change, (2, *shape)))
    found.save(path)
    return found


def _hide(images: Block) -> Iterator[Block]:
    """Yield the images with one patch after the other set to zero, row by row."""
    rows, columns = (np.array_split(np.arange(side), min(PATCHES, side)) for side in images.shape[1:3])
    for row in rows:
        for column in columns:
            part = images.copy()
            part[:, row[0] : row[-1] + 1, column[0] : column[-1] + 1] = 0
            yield part
