"""Run directories, written by the code that the trainers use."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
from msgspec.structs import asdict, replace

import store
from evaluate.results import StoreIdentity
from evaluate.runs import Run, load_runs
from store.datasets import DatasetSpec, find_dataset
from store.epoch_record import EpochRecord
from store.predictions import Predictions
from store.run_folder import RunFolder

RANGES = {"train": (0, 700), "validation": (700, 800), "test": (800, 1000)}
STORE = StoreIdentity(
    path="data/gone.zarr",
    digest="3f9c" * 16,
    title="Electron and photon showers",
    dataset="electron-photon",
    simulated="Geant4 simulation",
    sources=[],
    split_scheme="0.7,0.1,0.2",
    split_ranges=RANGES,
    seed=0,
)
PUBLISHED = replace(
    STORE,
    digest="77" * 32,
    simulated="",
    sources=[{"name": f"{name}.hdf5", "rows": 249_000} for name in ("electrons", "photons")],
    split_scheme="challenge",
)
"""A store made from the published files, with the split of the published results."""

MakeRun = Callable[..., Path]


def identify(path: Path) -> StoreIdentity:
    """Return `STORE`, but at the path of a real store and with its digest."""
    return replace(STORE, path=str(path), digest=store.open_store(path).digest)


def make_predictions(split: str, seed: int) -> Predictions:
    """Labels depend on the store alone, and are the same for every run; scores depend on the run's seed too."""
    start, stop = RANGES[split]
    truth, noise = np.random.default_rng(start), np.random.default_rng([seed, start])
    label = truth.integers(0, 2, stop - start)
    logit = 2.0 * (label - 0.5) + truth.normal(size=label.size) + 0.5 * noise.normal(size=label.size)
    return Predictions(sample=np.arange(start, stop), label=label.astype(np.uint8), score=1 / (1 + np.exp(-logit)))


def write_run(
    path: Path,
    framework: str = "torch",
    seed: int = 0,
    store: StoreIdentity = STORE,
    epochs: int = 3,
    settings: dict[str, Any] | None = None,
    spec: DatasetSpec | None = None,
) -> Path:
    folder = RunFolder(path=path)
    folder.create()
    config = {"model": "cnn", "seed": seed, "batch_size": 512, **(settings or {})}
    folder.write_config(config, framework=framework, parameters=868_993)
    described = {"attributes": asdict(store), "spec": spec or find_dataset(store.dataset)}
    folder.write_environment(SimpleNamespace(path=store.path, digest=store.digest, **described), "cpu")
    folder.write_history(
        [
            EpochRecord(
                epoch=epoch,
                train_loss=0.7 / epoch,
                train_accuracy=0.6,
                train_auc=0.8,
                validation_loss=0.7 / epoch,
                validation_accuracy=0.6,
                validation_auc=0.8,
                learning_rate=1e-3,
                seconds=1.0 + seed,
            )
            for epoch in range(1, epochs + 1)
        ]
    )
    for split in RANGES:
        make_predictions(split, seed).save(folder.predictions(split))
    return path


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    return lambda name, *values, **named: write_run(tmp_path / "runs" / name, *values, **named)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the drawing of figures, which takes most of the time of a report."""
    monkeypatch.setattr("evaluate.report._write_figure", lambda *_: "")


@pytest.fixture
def two_runs(make_run: MakeRun) -> list[Run]:
    return load_runs([make_run("cnn-torch", "torch", seed=1), make_run("cnn-keras", "keras", seed=2)])


@pytest.fixture(scope="session")
def real_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 1,000 images, made by the project's own ingest."""
    from ingest.convert import Ingest, ingest
    from ingest.executors import ThreadExecutor
    from ingest.split import Split
    from store.datasets import ELECTRON_PHOTON

    folder = tmp_path_factory.mktemp("real")
    rng = np.random.default_rng(0)
    for label, name in enumerate(ELECTRON_PHOTON.classes):
        image = np.where(rng.random((500, 32, 32, 2)) < 0.05, rng.normal(size=(500, 32, 32, 2)), 0).astype(np.float32)
        image[..., 0] = np.abs(image[..., 0])
        with h5py.File(folder / f"{name}.hdf5", "w") as file:
            file["X"], file["y"] = image, np.full(500, label, np.float32)
    job = Ingest(
        sources=tuple(sorted(folder.glob("*.hdf5"))),
        spec=ELECTRON_PHOTON,
        output=folder / "real.zarr",
        split=Split.parse("0.7,0.1,0.2"),
        seed=0,
        memory=2**28,
        overwrite=False,
    )
    return ingest(job, ThreadExecutor(count=1))


@pytest.fixture(scope="session")
def store_report(tmp_path_factory: pytest.TempPathFactory, real_store: Path) -> Path:
    """A report on two runs whose store can be read."""
    from evaluate.report import write_report

    folder = tmp_path_factory.mktemp("store-report")
    identity = identify(real_store)
    runs = [write_run(folder / name, name, seed=seed, store=identity) for seed, name in enumerate(("torch", "keras"))]
    write_report(runs, folder / "report")
    return folder / "report"


@pytest.fixture(scope="session")
def class_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 1,000 images of three classes, 5 x 9 cells in one channel without a unit, with event numbers."""
    from tests.examples import run_ingest
    from tests.three_classes import CLASSES, FIRST_EVENT

    folder, random = tmp_path_factory.mktemp("classes"), np.random.default_rng(0)
    label = random.integers(0, 3, 1000)
    image = random.exponential(1 + label[:, None, None, None], (1000, 5, 9, 1)) * (random.random((1000, 5, 9, 1)) < 0.3)
    with h5py.File(folder / "classes.hdf5", "w") as file:
        file["X"], file["y"], file["event"] = image.astype(np.float32), label, FIRST_EVENT + np.arange(1000)
    (folder / "classes.toml").write_text(
        'name = "three-classes"\ntitle = "Made up"\n'
        '[image]\nkeys = ["X"]\nshape = [5, 9, 1]\nchannels = [{ name = "charge" }]\n'
        f'[label]\nkey = "y"\nclasses = {list(CLASSES)}\n[[variables]]\nname = "event"\n'
    )
    outcome = run_ingest(
        folder / "classes.hdf5", "--dataset", folder / "classes.toml", "--output", folder / "classes.zarr"
    )
    assert outcome.status == 0, outcome.err
    return folder / "classes.zarr"


@pytest.fixture(scope="session")
def class_report(tmp_path_factory: pytest.TempPathFactory, class_store: Path) -> Path:
    """A report on two runs with three classes whose store can be read; its figures are SVG files alone."""
    from evaluate.report import write_report
    from tests.evaluate.class_runs import THREE, write_class_run
    from tests.evaluate.hostile import svg_alone

    folder, opened = tmp_path_factory.mktemp("class-report"), store.open_store(class_store)
    identity = replace(THREE, path=str(class_store), digest=opened.digest)
    runs = [
        write_class_run(folder / name, name, seed, store=identity, spec=opened.spec)
        for seed, name in enumerate(("torch", "keras"))
    ]
    with svg_alone():
        write_report(runs, folder / "report")
    return folder / "report"
