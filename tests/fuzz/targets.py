"""The targets of fuzzing: an input, how it is damaged, and the program or function that reads it."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.fuzz import readers, run_readers, runs, spools
from tests.fuzz.archives import archive_of
from tests.fuzz.damage import Damage, Mutation, bytes_of, bytes_without_checksum
from tests.fuzz.hdf5 import hdf5_structure
from tests.fuzz.hdf5_bytes import hdf5_bytes
from tests.fuzz.material import OTHER_SPOOL, SPOOLS
from tests.fuzz.parquet import PARQUET
from tests.fuzz.stores import STORE
from tests.fuzz.values import json_of, toml_of


@dataclass(frozen=True)
class Target:
    """A kind of input, and the program or function that reads it.

    Attributes
    ----------
    inputs
        Paths in the folder of undamaged inputs; a case damages one of them. The whole folder that the path begins with
        is copied.
    beside
        Further undamaged inputs that the reader needs.
    partner
        One of `beside` with which the damaged input must agree: where it does not, a refusal may name this one instead.
    mutations
        Kinds of damage, which take turns.
    read
        Called with the folder of the case and the damaged input; see `tests.fuzz.readers.Reader`.
    cases
        Number of cases that the full form tries.
    """

    inputs: tuple[str, ...]
    mutations: tuple[Mutation, ...]
    read: "readers.Reader"
    cases: int
    beside: tuple[str, ...] = ()
    partner: str = ""

    def input(self, number: int) -> str:
        """Return the path of the undamaged input that a case damages."""
        return self.inputs[number // len(self.mutations) % len(self.inputs)]

    def prepare(self, material: Path, folder: Path, number: int) -> Path:
        """Copy the undamaged input of a case, and what it needs, into a folder; return what is to be damaged."""
        name = self.input(number)
        for needed in (name, *self.beside):
            source, copy = material / Path(needed).parts[0], folder / Path(needed).parts[0]
            if source.is_dir():
                shutil.copytree(source, copy, dirs_exist_ok=True)
            else:
                shutil.copy2(source, copy)  # an ingest that is resumed looks at the times of its sources
        return folder / name

    def damage(self, name: str, number: int, victim: Path) -> Damage:
        """Damage the input of a case in place, always in the same way."""
        random = np.random.default_rng([*name.encode(), number])
        return self.mutations[number % len(self.mutations)](random, victim)


HDF5: tuple[Mutation, ...] = (hdf5_bytes, hdf5_structure)
HDF5_INPUTS = ("electrons.hdf5", "electrons.h5")
NPZ: tuple[Mutation, ...] = (bytes_of, archive_of, archive_of)

TARGETS = {
    "hdf5-ingest": Target(HDF5_INPUTS, HDF5, readers.ingest_showers, 2000, ("photons.hdf5",)),
    "hdf5-score": Target(HDF5_INPUTS, HDF5, readers.score, 2000, ("run",)),
    "parquet-ingest": Target(("jets.parquet",), PARQUET, readers.ingest_jets, 1500),
    "parquet-score": Target(("jets.parquet",), PARQUET, readers.score_jets, 2000, ("jet-run",)),
    "store-info": Target(("showers.zarr",), STORE, readers.info, 1000),
    "store-verify": Target(("showers.zarr",), STORE, readers.verify, 500, ("electrons.hdf5", "photons.hdf5")),
    "store-stream": Target(("showers.zarr",), STORE, readers.stream, 2500),
    "store-dataset": Target(("showers.zarr",), STORE, readers.dataset, 800),
    "store-train": Target(("showers.zarr",), STORE, run_readers.train, 800),
    "store-score": Target(("showers.zarr",), STORE, readers.score, 400, ("run",)),
    "store-occlude": Target(("showers.zarr",), STORE, run_readers.occlude, 400, ("run",)),
    "store-report": Target(("showers.zarr",), STORE, run_readers.report_on_store, 150, ("run",)),
    "run-report": Target(("run",), runs.RUN, run_readers.report, 600),
    "run-compare": Target(("run",), runs.RUN, run_readers.compare, 1000, ("trees",)),
    "run-score": Target(("run",), runs.RUN, run_readers.score_with, 400, ("electrons.hdf5",)),
    "run-occlude": Target(("run",), runs.RUN, run_readers.occlude_with, 300),
    "run-resume": Target(("begun",), runs.BEGUN, run_readers.resume_training, 500),
    "table-compare": Target(
        ("scores.csv", "scores.parquet"),
        (bytes_without_checksum, runs.table),
        run_readers.compare_tables,
        1000,
        ("other.csv",),
    ),
    "predictions": Target(("trees/predictions/test.npz",), NPZ, run_readers.compare, 1500, ("run",)),
    "checkpoint": Target(("checkpoint.npz",), NPZ, run_readers.checkpoint, 1200),
    "baseline": Target(("trees/trees.npz", "run/logistic.npz"), NPZ, run_readers.baseline, 1200),
    "architecture": Target(
        runs.MODELS, (json_of, json_of, bytes_without_checksum), run_readers.architecture, 1000, ("showers.zarr",)
    ),
    "settings": Target(
        ("settings.toml",),
        (toml_of, toml_of, bytes_without_checksum),
        run_readers.settings,
        1000,
        ("showers.zarr",),
        partner="showers.zarr",
    ),
    "spool": Target(SPOOLS, spools.SPOOL, readers.resume, 500, ("electrons.hdf5", "photons.hdf5", OTHER_SPOOL)),
}
