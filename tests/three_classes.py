"""Simulated images of three classes, made by arithmetic: 40 x 56 cells, eight channels, weights, events.

Each event has two images, so that a split must keep groups of images together. A class differs from the others in how
wide its deposits are and in which channels they are; the classes overlap.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from tests.examples import run_ingest

SHAPE = (40, 56, 8)
CLASSES = ("qcd", "top", "w")
FIRST_EVENT = 2**53  # event numbers above it differ by less than float64 can tell
DESCRIPTION = """
name = "three-classes"
title = "Three classes of deposits in 40 x 56 cells, simulated by arithmetic"

[image]
keys = ["cells"]
shape = [40, 56, 8]
channels = [
    { name = "tracks", unit = "GeV", scale = 10.0 }, { name = "photons" }, { name = "hadrons" }, { name = "muons" },
    { name = "layer1" }, { name = "layer2" }, { name = "layer3" }, { name = "layer4" },
]

[label]
key = "class"
classes = ["qcd", "top", "w"]

[[variables]]
name = "pt"
long_name = "transverse momentum"
unit = "GeV"

[[variables]]
name = "event"
long_name = "event number"

[weight]
key = "w"
"""


@dataclass(frozen=True)
class Samples:
    """What one file holds: float32 (n, 40, 56, 8), uint8 (n,), float32 (n,), int64 (n,), float32 (n,)."""

    image: npt.NDArray[np.float32]
    label: npt.NDArray[np.uint8]
    pt: npt.NDArray[np.float32]
    event: npt.NDArray[np.int64]
    weight: npt.NDArray[np.float32]


def make_samples(count: int, seed: int) -> Samples:
    """Return an even number of samples; files with different seeds have different events."""
    random = np.random.default_rng(seed)
    label = random.integers(0, 3, count).astype(np.uint8)
    pt = random.uniform(100, 500, count).astype(np.float32)
    hits = 60
    ieta, iphi = (
        np.clip(np.rint(middle + random.standard_normal((count, hits)) * (3 + 0.7 * label[:, None])), 0, size - 1)
        for middle, size in ((20, 40), (28, 56))
    )
    channel = (random.geometric(0.4 + 0.07 * label[:, None], (count, hits)) - 1) % 8
    image = np.zeros((count, *SHAPE), np.float32)
    energy = random.exponential(pt[:, None] / 5000, (count, hits))
    np.add.at(image, (np.arange(count)[:, None], ieta.astype(int), iphi.astype(int), channel), energy)
    event = FIRST_EVENT + 1_000_000 * seed + np.arange(count) // 2
    return Samples(image, label, pt, event, random.uniform(0.5, 1.5, count).astype(np.float32))


def write_hdf5(path: Path, samples: Samples) -> Path:
    """Write samples as HDF5, with labels as integers."""
    with h5py.File(path, "w") as file:
        file.create_dataset("cells", data=samples.image, chunks=(32, *SHAPE), compression="gzip", compression_opts=1)
        file["class"], file["pt"], file["event"], file["w"] = (
            samples.label.astype(np.int32),
            samples.pt,
            samples.event,
            samples.weight,
        )
    return path


def write_parquet(path: Path, samples: Samples) -> Path:
    """Write samples as Parquet: images as Arrow tensors, labels as names of the classes."""
    storage = pa.FixedSizeListArray.from_arrays(pa.array(samples.image.ravel()), int(np.prod(SHAPE)))
    columns: dict[str, Any] = {
        "cells": pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.float32(), SHAPE), storage),
        "class": pa.array([CLASSES[label] for label in samples.label]),
        "pt": samples.pt,
        "event": samples.event,
        "w": samples.weight,
    }
    pq.write_table(pa.table(columns), path, row_group_size=64)
    return path


def write_three_class_store(folder: Path) -> Path:
    """Write a store of 200 samples, split 120 / 40 / 40, and return its path."""
    source, store = write_hdf5(folder / "three.hdf5", make_samples(200, 1)), folder / "three-classes.zarr"
    description = write_description(folder / "three.toml")
    outcome = run_ingest(source, "--dataset", description, "--split", "0.6,0.2,0.2", "--output", store)
    assert outcome.status == 0, outcome.err
    return store


def write_description(path: Path) -> Path:
    """Write the description of the data set."""
    path.write_text(DESCRIPTION)
    return path
