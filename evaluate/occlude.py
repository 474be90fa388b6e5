"""Computes the occlusion map of a run, by hiding patches of test images from its model."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

import store
from evaluate.occlusion import Occlusion
from evaluate.runs import BASELINES, load_run
from evaluate.score_models import variables_of
from evaluate.stores import check_digest
from store.arrays import Float32Array, Float64Array, UInt8Array
from store.errors import ConfigError
from store.integrity import naming
from store.locations import locate
from store.model_process import open_model
from store.run_folder import RunFolder

PATCHES = 16  # along each side of an image


def occlude(path: Path, samples: int = 128) -> Occlusion:
    """Hide patches of the first test images from a run's model, and write how its scores change to the run directory.

    The samples of a split are in random order, so the first ones are a random subset.

    Parameters
    ----------
    path
        Run directory whose store has not been moved.
    samples
        Number of images; each is scored 257 times.

    Raises
    ------
    ConfigError
        If `samples` is below 1, or the model takes no images.
    RunError
        If the run cannot be used, or its model fails.
    StoreError
        If the store is missing or holds other data.
    """
    if samples < 1:
        raise ConfigError(f"samples={samples} must be at least 1")
    run = load_run(path, path.resolve().name)
    names = variables_of(RunFolder(path=path), run.config, run.spec)
    if run.framework in BASELINES and names:
        raise ConfigError(f"{path}: its model takes only {', '.join(names)} and no images")
    check_digest(run.store)
    with naming(locate(run.store.path)):
        dataset = store.open_dataset(run.store.path, "test")[["image", "label", *names]]
        dataset = dataset.isel(sample=slice(samples)).load()
    images, label = dataset["image"].to_numpy(), dataset["label"].to_numpy()
    variables = np.empty((len(images), 0), np.float32)
    if names:
        variables = np.column_stack([dataset[name].to_numpy() for name in names])
    classes = len(run.spec.classes)
    with open_model(run.framework, path, classes) as score_block:
        score = score_block(images, variables)
        whole = _own(score, label)
        change = np.stack([np.abs(_own(score_block(hidden, variables), label) - whole) for hidden in _hide(images)])
    start = run.store.split_ranges["test"][0]
    occlusion = Occlusion(
        sample=np.arange(start, start + len(images)),
        score=score,
        change=_average_by_class(change, label, classes).reshape(classes, *_patches(images)),
    )
    occlusion.save(path)
    return occlusion


def _own(score: Float64Array, label: UInt8Array) -> Float64Array:
    """Return the score of each sample, (n,); with more than two classes, the probability of its true class."""
    return score if score.ndim == 1 else score[np.arange(label.size), label]


def _average_by_class(change: Float64Array, label: UInt8Array, classes: int) -> Float64Array:
    """Return the mean of (patch, sample) over the samples of each class, (class, patch); NaN without samples."""
    means = np.full((classes, len(change)), np.nan)
    for value in np.unique(label):
        means[value] = change[:, label == value].mean(axis=1)
    return means


def _patches(images: Float32Array) -> tuple[int, int]:
    """Return the number of patches along ieta and iphi."""
    rows, columns = images.shape[1:3]
    return min(PATCHES, rows), min(PATCHES, columns)


def _hide(images: Float32Array) -> Iterator[Float32Array]:
    """Yield copies of the images, each with one patch set to zero, row by row."""
    rows, columns = (
        np.array_split(np.arange(side), count) for side, count in zip(images.shape[1:3], _patches(images), strict=True)
    )
    for row in rows:
        for column in columns:
            hidden = images.copy()
            hidden[:, row[0] : row[-1] + 1, column[0] : column[-1] + 1] = 0
            yield hidden
