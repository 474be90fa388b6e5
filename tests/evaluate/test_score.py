import contextlib
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sklearn.metrics

import store
from evaluate.images import open_images
from evaluate.score import score
from evaluate.terminal import print_scores
from store.datasets import ELECTRON_PHOTON
from store.errors import ConfigError, RunError, SourceError
from store.run_folder import SCORERS
from tests.evaluate.conftest import write_run
from tests.examples import showers, write_hdf5

ROOT = Path(__file__).parents[2]
COUNT = 700


@pytest.fixture(scope="module")
def images():
    return showers(COUNT)


@pytest.fixture(scope="module")
def label():
    return np.random.default_rng(1).integers(0, 2, COUNT).astype(np.float32)


def expected(images, variables=None):
    """The scores of `line_model`, which takes images alone."""
    return 1 - np.exp(-images[..., 0].sum(axis=(1, 2), dtype=np.float64) / 50)


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A run whose model needs no framework; it answers from a process of its own, as models do."""
    monkeypatch.setitem(SCORERS, "torch", "tests.evaluate.line_model")
    path = write_run(tmp_path / "run")
    (path / "model.txt").write_text("good")
    return path


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The same without the process, which takes a second to start."""
    monkeypatch.setattr("evaluate.score.open_model", lambda *_: contextlib.nullcontext(expected))
    return write_run(tmp_path / "run")


@pytest.mark.parametrize(
    ("framework", "names"),
    [
        ("torch", ()),
        ("torch", ("pt", "m0")),
        ("keras", ()),
        ("keras", ("pt", "m0")),
        ("trees", ()),
        ("trees", ("pt",)),
        ("logistic", ("pt", "m0")),
    ],
)
def test_a_hidden_test_set_is_scored_by_every_kind_of_model(framework, names, images, label, tmp_path):
    run = write_run(tmp_path / "run", framework)
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"variables": names}))
    np.save(run / "images.npy", images)
    file, table = write_hdf5(tmp_path / "hidden.hdf5", images, label), np.random.default_rng(2).random((COUNT, 2))
    if names:
        np.save(run / "variables.npy", table[:, : len(names)].astype(np.float32))
        with h5py.File(file, "a") as out:
            for name, column in zip(names, table.T, strict=False):
                out[name] = column
    command = [sys.executable, "-m", "tests.evaluate.make_model", framework, str(run)]
    environment = os.environ | {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    made = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    score(run, file, tmp_path / "scores.csv")
    found, model = np.loadtxt(tmp_path / "scores.csv", delimiter=",", skiprows=1)[:, 1], np.load(run / "expected.npy")
    assert np.std(model) > 0.02
    np.testing.assert_allclose(found, model, atol=1e-5)


def test_scores_and_metrics_appear_side_by_side(run, images, label, tmp_path):
    file = write_hdf5(tmp_path / "hidden.hdf5", images, label)
    document = score(run, file, tmp_path / "out" / "scores.csv")
    rows = np.genfromtxt(tmp_path / "out" / "scores.csv", delimiter=",", names=True)
    assert rows.dtype.names == ("row", "score", "label")
    np.testing.assert_array_equal(rows["row"], np.arange(COUNT))
    np.testing.assert_array_equal(rows["label"], label)
    np.testing.assert_array_equal(rows["score"], expected(images))
    assert document["metrics"]["auc"]["value"] == pytest.approx(sklearn.metrics.roc_auc_score(label, rows["score"]))
    assert not document["weighted"]
    assert json.loads((tmp_path / "out" / "scores.json").read_text()) == document
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"scores.csv", "scores.json"}


@pytest.mark.parametrize("kind", ["hdf5", "parquet"])
def test_metrics_take_the_weights_in_the_file(kind, run, images, label, tmp_path):
    file, weight = tmp_path / f"hidden.{kind}", np.random.default_rng(2).exponential(size=60)
    if kind == "hdf5":
        write_hdf5(file, images[:60], label[:60])
        with h5py.File(file, "a") as out:
            out["weight"] = weight[:, None]
    else:
        write_parquet(file, images[:60], "bytes", y=label[:60], weight=weight)
    document = score(run, file, tmp_path / "scores.csv")
    area = sklearn.metrics.roc_auc_score(label[:60], expected(images[:60]), sample_weight=weight)
    assert document["weighted"]
    assert document["metrics"]["auc"]["value"] == pytest.approx(area)


def test_without_labels_there_are_only_scores(run, images, tmp_path):
    file = tmp_path / "hidden.hdf5"
    with h5py.File(file, "w") as out:
        out["X"] = images
    document = score(run, file, tmp_path / "scores.csv")
    assert document["metrics"] is document["curves"] is None
    assert document["rows"] == COUNT
    assert (tmp_path / "scores.csv").read_text().splitlines()[0] == "row,score"


def test_labels_of_one_class_have_no_auc(run, images, tmp_path):
    document = score(run, write_hdf5(tmp_path / "one.hdf5", images, 1), tmp_path / "scores.csv")
    assert document["metrics"]["auc"] is None
    assert document["curves"] is None
    assert document["metrics"]["accuracy"]["value"] == np.mean(expected(images) >= 0.5)


def test_scores_go_to_parquet(run, images, label, tmp_path, monkeypatch):
    monkeypatch.setattr("evaluate.images.BLOCK_BYTES", 64 * 8192)
    score(run, write_hdf5(tmp_path / "hidden.hdf5", images, label), tmp_path / "scores.parquet")
    table = pq.read_table(tmp_path / "scores.parquet")
    assert table.column_names == ["row", "score", "label"]
    np.testing.assert_array_equal(table["row"].to_numpy(), np.arange(COUNT))
    np.testing.assert_array_equal(table["score"].to_numpy(), expected(images))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("broken", "its model gives no scores: no model here"),
        ("dies", "its model gives no scores: it ended with status 3"),
        ("raises", "its model gives no scores: ValueError: no such layer"),
        ("nan", "its model gives a score of nan"),
    ],
)
def test_a_model_that_fails_is_one_error_and_no_output(model, message, served, images, tmp_path):
    (served / "model.txt").write_text(model)
    with pytest.raises(RunError, match=f"run: {message}"):
        score(served, write_hdf5(tmp_path / "a.hdf5", images, 0), tmp_path / "out" / "scores.csv")
    assert not list((tmp_path / "out").iterdir())


def write_parquet(path, images, kind, **columns):
    if kind == "lists":
        values = pa.array(np.moveaxis(images, -1, 1).tolist(), pa.list_(pa.list_(pa.list_(pa.float32()))))
    else:
        values = pa.array([image.tobytes() for image in images], pa.binary(images[0].nbytes))
    pq.write_table(pa.table({"X": values, **columns}), path, row_group_size=7)
    return path


@pytest.mark.parametrize("kind", ["lists", "bytes"])
def test_parquet_holds_the_same_images(kind, images, label, tmp_path, monkeypatch):
    monkeypatch.setattr("evaluate.images.BLOCK_BYTES", 5 * 8192)
    file = write_parquet(tmp_path / "hidden.parquet", images[:18], kind, y=label[:18])
    opened = open_images(file, ELECTRON_PHOTON)
    blocks = list(opened.blocks())
    assert max(map(len, blocks)) <= 5
    np.testing.assert_array_equal(np.concatenate(blocks), images[:18])
    np.testing.assert_array_equal(opened.label, label[:18])


def test_a_store_is_read_in_its_own_order(real_store):
    opened = open_images(real_store, ELECTRON_PHOTON)
    dataset = store.open_dataset(real_store)
    np.testing.assert_array_equal(np.concatenate(list(opened.blocks())), dataset.image.values)
    np.testing.assert_array_equal(opened.label, dataset.label.values)


@pytest.mark.parametrize("options", [{}, {"chunks": (300, 32, 32, 2), "compression": "lzf"}])
def test_hdf5_is_read_in_blocks(options, images, tmp_path, monkeypatch):
    monkeypatch.setattr("evaluate.images.BLOCK_BYTES", 64 * 8192)
    file = write_hdf5(tmp_path / "hidden.hdf5", images.astype(np.float64), 0, **options)
    blocks = list(open_images(file, ELECTRON_PHOTON).blocks())
    assert [len(block) for block in blocks] == [64] * 10 + [60]
    np.testing.assert_array_equal(np.concatenate(blocks), images)
    assert blocks[0].dtype == np.float32


def write_broken(path, case, images):
    images = images[:10].copy()
    if case == "text":
        path.write_text("hello")
    elif case == "labels":
        write_hdf5(path, images, np.array([0, 1] * 4 + [2, 0], np.float32))
    elif case == "complex labels":
        write_hdf5(path, images, np.zeros(10, np.complex64))
    elif case == "group":
        write_hdf5(path, images, 0)
        with h5py.File(path, "a") as file:
            del file["y"]
            file.create_group("y")
    elif case == "large":
        images = images.astype(np.float64)
        images[7, 3, 4, 1] = 1e300
        write_hdf5(path, images, 0)
    elif case == "inexact":
        images = images.astype(np.float64)
        images[7, 3, 4, 1] = 0.1
        write_hdf5(path, images, 0)
    elif case == "short labels":
        write_hdf5(path, images, np.zeros(4, np.float32))
    elif case == "shape":
        write_hdf5(path, images[:, :31], 0)
    elif case == "integers":
        write_hdf5(path, images.astype(np.int32), 0)
    elif case == "empty":
        write_hdf5(path, images[:0], 0)
    elif case == "nan":
        images[7, 3, 4, 1] = np.nan
        write_hdf5(path, images, 0)
    elif case == "weights":
        write_hdf5(path, images, 0)
        with h5py.File(path, "a") as file:
            file["weight"] = np.where(np.arange(10) == 3, -2.0, 1.0)
    elif case == "other key":
        with h5py.File(path, "w") as file:
            file["images"] = images
    return path


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("missing", "no such file"),
        ("text", "not a readable HDF5 file"),
        ("labels", r"y\[8\] = 2.0; labels must be 0 \(photon\), 1 \(electron\)"),
        ("weights", r"weight\[3\] = -2\.0; weights must be finite and not negative"),
        ("complex labels", "y has dtype complex64, expected numbers"),
        ("group", "no dataset 'y'; the file has 'X', 'y'"),
        ("large", r"X\[7, 3, 4, 1\] = 1e\+300 is not finite"),
        ("inexact", r"X\[7, 3, 4, 1\] = 0\.1 is not exact in float32"),
        ("short labels", r"X has 10 rows but y has shape \(4,\)"),
        ("shape", r"X has shape \(10, 31, 32, 2\), expected rows of \(32, 32, 2\)"),
        ("integers", "X has dtype int32, expected a float type"),
        ("empty", "X has no rows"),
        ("nan", r"X\[7, 3, 4, 1\] = nan is not finite"),
        ("other key", "no dataset 'X'; the file has 'images'"),
    ],
)
def test_bad_images_are_one_error_and_no_output(case, message, run, images, tmp_path):
    file = write_broken(tmp_path / "hidden.hdf5", case, images)
    with pytest.raises(SourceError, match=f"hidden.hdf5: {message}"):
        score(run, file, tmp_path / "out" / "scores.csv")
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path, images: path.write_text("PAR1 hello"), "not a readable Parquet file"),
        (lambda path, images: write_parquet(path, images[:, :31], "bytes"), "X has 7936 bytes per row, expected 8192"),
        (
            lambda path, images: write_parquet(path, images[:, :31], "lists"),
            r"X\[0, 0\] has length 31, expected nested lists \(2, 32, 32\)",
        ),
        (
            lambda path, images: pq.write_table(pa.table({"X": pa.array([[[[1.0]]], [[[1.0], [2.0]]]])}), path),
            r"X\[0\] has length 1, expected nested lists",
        ),
        (lambda path, images: pq.write_table(pa.table({"X": [1.0, 2.0]}), path), "X has type double, expected"),
        (
            lambda path, images: pq.write_table(pa.table({"X": pa.array([None, None], pa.binary(8192))}), path),
            r"X\[0\] is missing",
        ),
    ],
)
def test_bad_parquet_is_one_error(make, message, images, tmp_path):
    file = tmp_path / "hidden.parquet"
    make(file, images[:3])
    with pytest.raises(SourceError, match=f"hidden.parquet: .*{message}"):
        list(open_images(file, ELECTRON_PHOTON).blocks())


def test_an_older_result_survives_a_failure(run, images, tmp_path):
    output = tmp_path / "scores.csv"
    score(run, write_hdf5(tmp_path / "good.hdf5", images, 0), output)
    before = output.read_bytes()
    with pytest.raises(SourceError):
        score(run, write_broken(tmp_path / "bad.hdf5", "nan", images), output)
    assert output.read_bytes() == before


def test_a_run_that_cannot_score_says_so(images, tmp_path):
    file = write_hdf5(tmp_path / "hidden.hdf5", images, 0)
    bare = write_run(tmp_path / "bare")
    with pytest.raises(RunError, match=r"architecture\.json: no such file; has the training run ended\?"):
        score(bare, file, tmp_path / "scores.csv")
    with pytest.raises(RunError, match="unknown framework 'jax'; known: torch, keras, trees, logistic"):
        score(write_run(tmp_path / "other", "jax"), file, tmp_path / "scores.csv")
    with pytest.raises(ConfigError, match=r"has the suffix '\.txt'; scores go into \.csv or \.parquet"):
        score(bare, file, tmp_path / "scores.txt")


def test_folders_called_like_the_project_are_in_nobodys_way(served, images, tmp_path, monkeypatch):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "__init__.py").write_text("raise RuntimeError('wrong train')")
    monkeypatch.chdir(tmp_path)
    score(served, write_hdf5(tmp_path / "a.hdf5", images, 0), tmp_path / "scores.csv")
    found = np.loadtxt(tmp_path / "scores.csv", delimiter=",", skiprows=1)[:, 1]
    np.testing.assert_array_equal(found, expected(images))


def test_memory_is_bounded_whatever_the_size_of_the_file(tmp_path):
    """1.6 GB of images."""
    file = tmp_path / "hidden.hdf5"
    with h5py.File(file, "w") as out:
        out.create_dataset("X", (200_000, 32, 32, 2), "f4", chunks=(2000, 32, 32, 2), compression="lzf")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(len(block) for block in open_images(file, ELECTRON_PHOTON).blocks()) == 200_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000


def test_nothing_that_is_read_is_written_over(run, images, tmp_path):
    file = write_parquet(tmp_path / "hidden.parquet", images[:10], "bytes")
    before = {path: path.read_bytes() for path in (file, *run.rglob("*.json"))}
    (tmp_path / "folder.csv").mkdir()
    for output in (file, run / "config.csv", run / "new.csv", tmp_path / "folder.csv"):
        with pytest.raises(ConfigError, match=r"is a folder|would write over"):
            score(run, file, output)
    (tmp_path / "settings.json").write_text('{"mine": 1}')
    with pytest.raises(ConfigError, match=r"settings\.json: is there already and is no calostream-scores"):
        score(run, file, tmp_path / "settings.csv")
    assert {path: path.read_bytes() for path in before} == before
    assert not list((tmp_path / "folder.csv").iterdir())


@pytest.mark.parametrize(("rows", "labelled"), [(1, True), (5, False)])
def test_the_terminal_says_why_there_are_no_metrics(run, images, tmp_path, capsys, rows, labelled):
    file = tmp_path / "hidden.hdf5"
    with h5py.File(file, "w") as out:
        out["X"] = images[:rows]
        if labelled:
            out["y"] = np.zeros(rows, np.float32)
    print_scores(score(run, file, tmp_path / "scores.csv"), tmp_path / "scores.csv")
    shown = capsys.readouterr().out
    assert ("fewer than two labelled" if labelled else "no labels in the file") in shown
    assert "trained on: Geant4 simulation" in shown
