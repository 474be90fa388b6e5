"""Run directories with more than two classes, written by the code that the trainers use."""

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from evaluate.results import StoreIdentity
from store.arrays import Float64Array
from store.datasets import DatasetSpec
from store.predictions import Predictions
from store.run_folder import RunFolder
from tests.evaluate.conftest import RANGES, STORE, write_run
from tests.three_classes import DESCRIPTION

SPEC = DatasetSpec.from_dict(tomllib.loads(DESCRIPTION))
THREE = msgspec.structs.replace(STORE, digest="3c" * 32, title=SPEC.title, dataset=SPEC.name, simulated="")


def with_classes(count: int) -> DatasetSpec:
    """Return the description with another number of classes."""
    return replace(SPEC, classes=tuple(f"class {number}" for number in range(count)))


def draw_probabilities(label: Any, random: np.random.Generator, classes: int) -> Float64Array:
    """Return probabilities, (n, class), of a classifier that is better than a guess."""
    logit = random.normal(size=(len(label), classes))
    logit[np.arange(len(label)), label] += 1.2
    power = np.exp(logit)
    return power / power.sum(axis=1, keepdims=True)


def make_class_predictions(
    limits: tuple[int, int], seed: int, classes: int = 3, *, weighted: bool = False
) -> Predictions:
    """Return predictions for a range of samples; labels and weights are the same for every seed."""
    start, stop = limits
    truth, noise = np.random.default_rng(start), np.random.default_rng([seed, start])
    label = truth.integers(0, classes, stop - start)
    weight = truth.uniform(0.5, 1.5, stop - start)
    return Predictions(
        sample=np.arange(start, stop),
        label=label.astype(np.uint8),
        score=draw_probabilities(label, noise, classes),
        weight=weight if weighted else None,
    )


def write_class_run(
    path: Path,
    framework: str = "torch",
    seed: int = 0,
    store: StoreIdentity = THREE,
    spec: DatasetSpec = SPEC,
    *,
    weighted: bool = False,
) -> Path:
    """Write a run on a store with three classes, or with those of another description."""
    write_run(path, framework, seed=seed, store=store, spec=spec)
    for split, limits in RANGES.items():
        predictions = make_class_predictions(limits, seed, len(spec.classes), weighted=weighted)
        predictions.save(RunFolder(path=path).predictions(split))
    return path
