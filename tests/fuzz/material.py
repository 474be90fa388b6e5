"""The undamaged inputs: 60 showers and 8 jets, made once by the project's own programs."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.examples import run_ingest, run_program, showers
from tests.fuzz.hdf5 import CHUNK
from tests.fuzz.parquet import OPTIONS, image_column
from tests.fuzz.run_readers import trainer
from tests.fuzz.runs import MODELS
from tests.fuzz.values import to_toml

ROWS, JETS = 30, 8  # showers of each class; jets in each file
READY = "ready"
SHOWERS = ("electrons.hdf5", "photons.hdf5")
SPOOLS = tuple(f"spool-{number}" for number in range(6))
"""Files left by an ingest that was interrupted early (0) to late (5)."""
OTHER_SPOOL = "spool-of-another"
"""Files left by an ingest with another seed and split."""


class Interrupted(OSError):
    """Interrupts an ingest, so that its spool is left behind."""


def write_material(folder: Path) -> None:
    """Write everything into a folder, unless it is there already."""
    if (folder / READY).exists():
        return
    write_sources(folder)
    check(run_ingest(*(folder / name for name in SHOWERS), "--output", folder / "showers.zarr"))
    write_runs(folder)
    write_spools(folder)
    write_models(folder)
    (folder / READY).touch()


def check(outcome: Any) -> None:
    assert outcome.status == 0, outcome.err
    assert "warning" not in outcome.err, outcome.err  # a warning that names the file counts as noticing the damage


def write_sources(folder: Path) -> None:
    """Write showers to HDF5, in the older format and in the newer one, and jets to Parquet."""
    for number, name in enumerate(("photons", "electrons")):
        images = showers(ROWS, number)
        images[:, 16, 16, 0] = 4  # the largest energy, or every file would be warned of
        labels = np.full(ROWS, number, np.float32)
        for suffix, version in (("hdf5", "earliest"), ("h5", "latest")):
            with h5py.File(folder / f"{name}.{suffix}", "w", libver=version) as file:
                file.create_dataset(
                    "X", data=images, chunks=(CHUNK, 32, 32, 2), compression="gzip", shuffle=version == "latest"
                )
                file.create_dataset("y", data=labels, chunks=(CHUNK,), fletcher32=True)
                file.attrs["simulation"] = "Geant4 simulation"
    random = np.random.default_rng(0)
    jets = np.zeros((JETS, 3, 125, 125), np.float32)
    jets[random.random(jets.shape) < 0.01] = 1.5
    jets[..., 62, 62] = random.exponential(1, (JETS, 3))
    jets[:, 2] *= 0.05  # the HCAL has small values
    table = {
        "X_jets": image_column(jets),
        "pt": random.uniform(70, 300, JETS),
        "m0": random.uniform(5, 60, JETS),
        "y": np.arange(JETS) % 2.0,
    }
    pq.write_table(pa.table(table, metadata={"simulation": "Pythia simulation"}), folder / "jets.parquet", **OPTIONS)


def write_runs(folder: Path) -> None:
    """Write runs on the showers, tables of scores and an occlusion map; and a run that takes variables of jets."""
    from evaluate.cli import app
    from train.baselines.cli import logistic_app, trees_app

    run = folder / "run"
    check(run_program(logistic_app, None, "--store", folder / "showers.zarr", "--run", run))
    check(run_program(trees_app, None, "--store", folder / "showers.zarr", "--run", folder / "trees"))
    for suffix in ("csv", "parquet"):
        check(
            run_program(
                app,
                "report",
                "score",
                run,
                folder / "electrons.hdf5",
                "--output",
                folder / f"scores.{suffix}",
                "--overwrite",
            )
        )
    shutil.copy(folder / "scores.csv", folder / "other.csv")
    check(run_program(app, "report", "occlude", run, "--samples", 4))
    words = ("--store", folder / "showers.zarr", "--run", folder / "begun", "--epochs", 1, "--model", "cnn-small")
    check(run_program(trainer(), None, *words))
    shutil.copytree(run, folder / "jet-run")
    for name, change in (("config", _take_variables), ("environment", _be_of_jets)):
        path = folder / "jet-run" / f"{name}.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))


def _take_variables(config: dict[str, Any]) -> None:
    config["variables"] = ["pt", "m0"]


def _be_of_jets(environment: dict[str, Any]) -> None:
    environment["store"]["dataset"] = "quark-gluon"
    environment["store"].pop("description", None)  # that of the showers


def write_spools(folder: Path) -> None:
    """Write what ingests leave that are interrupted while they rename a file, early to late."""
    words = (*(folder / name for name in SHOWERS), "--output")
    renames = {"left": sys.maxsize, "seen": 0}

    def interrupt(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "os.rename":
            renames["left"] -= 1
            renames["seen"] += 1
            if renames["left"] < 0:
                raise OSError("interrupted")

    sys.addaudithook(interrupt)
    check(run_ingest(*words, folder / "whole.zarr"))
    last = renames["seen"] - 1
    for name, end in zip(SPOOLS, np.linspace(1, last, len(SPOOLS)).astype(int), strict=True):
        _run_until(int(end), renames, *words, folder / name / "store.zarr")
    _run_until(last, renames, *words, folder / OTHER_SPOOL / "store.zarr", "--seed", 1, "--split", "0.6,0.2,0.2")


def _run_until(end: int, renames: dict[str, int], *words: object) -> None:
    """Run an ingest that is interrupted after `end` renames."""
    renames["left"] = end
    outcome = run_ingest(*words)
    renames["left"] = sys.maxsize
    assert outcome.status == 1, outcome.err


def write_models(folder: Path) -> None:
    """Write an architecture, settings and a checkpoint."""
    from train.checkpoint import Checkpoint
    from train.config import TrainConfig
    from train.model.networks import find_architecture
    from train.schedule import ScheduleState, StoppingState

    for name in MODELS:
        (folder / name).write_text(json.dumps(find_architecture(Path(name).stem).to_dict()))
    values = TrainConfig(run=Path("run")).to_dict()
    settings = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    (folder / "settings.toml").write_text(
        to_toml({**settings, "store": str(folder / "showers.zarr"), "model": "cnn-small"})
    )
    random = np.random.default_rng(0)
    Checkpoint(
        epoch=3,
        schedule=ScheduleState(rate=1e-3),
        stopping=StoppingState(best=0.5, best_epoch=2),
        stream={"store": "made up", "epoch": 3, "batch": 1},
        arrays={"weights": random.normal(size=(20, 30)), "random": random.integers(0, 256, 100).astype(np.uint8)},
        outputs={"sample": np.arange(20), "label": np.arange(20, dtype=np.uint8) % 2, "logit": random.normal(size=20)},
    ).save(folder / "checkpoint.npz")
