"""A data set of another kind from its files to the report, by the programs alone, in both frameworks.

Three classes, eight channels, 40 x 56 cells, weights, and events of two images each, in HDF5 and in Parquet; all of it
simulated by arithmetic.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from sklearn.metrics import roc_auc_score

from store.opening import open_dataset
from store.predictions import Predictions
from tests.three_classes import CLASSES, FIRST_EVENT, make_samples, write_description, write_hdf5, write_parquet

SAMPLES = 160  # per file
TRAINERS = ("train-torch", "train-keras")
NETWORK = ("--model", "cnn-small", "--epochs", "2", "--batch-size", "32", "--lr", "0.002")


def call(program: str, *words: object, folder: Path) -> str:
    """Run a program in a folder and return what it printed."""
    path = Path(sys.executable).with_name(program)
    done = subprocess.run([path, *map(str, words)], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the sources, the store, and a run of each trainer."""
    folder = tmp_path_factory.mktemp("three-classes")
    write_description(folder / "three.toml")
    (folder / "jets").mkdir()
    write_hdf5(folder / "jets" / "a.hdf5", make_samples(SAMPLES, 1))
    write_parquet(folder / "jets" / "b.parquet", make_samples(SAMPLES, 2))
    call("ingest", "jets", "--dataset", "three.toml", "--group", "event", folder=folder)
    for program in TRAINERS:
        call(program, "--store", "data/three-classes.zarr", "--run", f"runs/{program}", *NETWORK, folder=folder)
    return folder


@pytest.fixture(scope="module")
def dataset(folder: Path) -> xr.Dataset:
    return open_dataset(folder / "data" / "three-classes.zarr")


def test_the_store_holds_both_files_bit_for_bit(folder: Path, dataset: xr.Dataset) -> None:
    files = [make_samples(SAMPLES, seed) for seed in (1, 2)]
    assert dataset.sizes == {"sample": 2 * SAMPLES, "ieta": 40, "iphi": 56, "channel": 8}
    source, row = dataset.source_file.values, dataset.source_row.values
    for column in ("image", "label", "pt", "event", "weight"):
        expected = np.stack([getattr(samples, column) for samples in files])[source, row]
        assert dataset[column].dtype == expected.dtype
        assert np.array_equal(dataset[column].values, expected), column
    assert dataset.event.values.min() > FIRST_EVENT, "which float64 could not tell from its neighbours"
    assert set(dataset.class_name.values) == set(CLASSES)


def test_no_event_is_in_two_splits(dataset: xr.Dataset) -> None:
    events = [set(dataset.event.values[dataset.split.values == split]) for split in range(3)]
    assert all(events)
    assert sum(map(len, events)) == len(set.union(*events)) == SAMPLES


def test_both_frameworks_learn_alike_and_score_each_class(folder: Path) -> None:
    auc = []
    for program in TRAINERS:
        predictions = Predictions.load(folder / "runs" / program / "predictions" / "test.npz")
        assert predictions.score.shape == (len(predictions.label), 3)
        assert np.allclose(predictions.score.sum(axis=1), 1)
        assert predictions.weight is not None
        columns = {"multi_class": "ovr", "sample_weight": predictions.weight}
        auc.append(roc_auc_score(predictions.label, predictions.score, **columns))
    assert min(auc) > 0.65
    assert abs(auc[0] - auc[1]) < 0.02


def test_a_file_is_scored(folder: Path) -> None:
    write_parquet(folder / "new.parquet", make_samples(50, 3))
    call("evaluate", "score", "runs/train-torch", "new.parquet", "--output", "scores.csv", folder=folder)
    with (folder / "scores.csv").open() as file:
        assert file.readline().strip() == "row,score_qcd,score_top,score_w,label"
        table = np.loadtxt(file, delimiter=",")
    assert np.allclose(table[:, 1:4].sum(axis=1), 1, atol=1e-6)
    assert np.array_equal(table[:, 4], make_samples(50, 3).label)
    document = json.loads((folder / "scores.json").read_text())
    assert document["rows"] == 50
    assert document["weighted"]


def test_the_report_shows_all_runs(folder: Path) -> None:
    runs = [f"runs/{program}" for program in TRAINERS]
    call("evaluate", *runs, "--output", "report", folder=folder)
    metrics = json.loads((folder / "report" / "metrics.json").read_text())
    assert [run["name"] for run in metrics["runs"]] == [Path(run).name for run in runs]
    page = (folder / "report" / "index.html").read_text()
    assert all(name in page for name in CLASSES)


def test_the_store_agrees_with_its_sources(folder: Path) -> None:
    shown = call("ingest", "verify", "data/three-classes.zarr", "jets", folder=folder)
    assert f"{2 * SAMPLES} images equal to their sources" in shown
    info = json.loads(call("ingest", "info", "data/three-classes.zarr", "--json", folder=folder))
    assert info["classes"] == list(CLASSES)
