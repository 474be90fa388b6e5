import contextlib
import json

import h5py
import jsonschema
import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
import sklearn.metrics

from evaluate.cli import app
from evaluate.document import ScoresDocument, json_schema
from evaluate.score import score
from evaluate.terminal import print_scores
from store.errors import ConfigError, RunError, SourceError
from tests.evaluate.conftest import write_run
from tests.evaluate.test_images import write_parquet
from tests.examples import run_program, showers, write_hdf5
from tests.faulty_server import faulty_server

COUNT = 700


@pytest.fixture(scope="module")
def images():
    return showers(COUNT)


@pytest.fixture(scope="module")
def label():
    return np.random.default_rng(1).integers(0, 2, COUNT).astype(np.float32)


def expected(images, variables=None):
    """Scores of a model that takes only images."""
    return 1 - np.exp(-images[..., 0].sum(axis=(1, 2), dtype=np.float64) / 50)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run whose model answers in this process."""
    monkeypatch.setattr("evaluate.score_models.open_model", lambda *_: contextlib.nullcontext(expected))
    return write_run(tmp_path / "run")


def test_scores_and_metrics_appear_side_by_side(run, images, label, tmp_path):
    file = write_hdf5(tmp_path / "hidden.hdf5", images, label)
    document = score([run], file, tmp_path / "out" / "scores.csv")
    rows = np.genfromtxt(tmp_path / "out" / "scores.csv", delimiter=",", names=True)
    assert rows.dtype.names == ("row", "score", "label")
    np.testing.assert_array_equal(rows["row"], np.arange(COUNT))
    np.testing.assert_array_equal(rows["label"], label)
    np.testing.assert_array_equal(rows["score"], expected(images))
    assert document.metrics.auc.value == pytest.approx(sklearn.metrics.roc_auc_score(label, rows["score"]))
    assert not document.weighted
    assert msgspec.json.decode((tmp_path / "out" / "scores.json").read_bytes(), type=ScoresDocument) == document
    jsonschema.validate(json.loads((tmp_path / "out" / "scores.json").read_text()), json_schema(ScoresDocument))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"scores.csv", "scores.json"}


def test_a_file_at_a_url_is_scored_as_the_file_itself(run, images, label, tmp_path, monkeypatch):
    monkeypatch.setenv("CALOSTREAM_CACHE", str(tmp_path / "cache"))
    file = write_hdf5(tmp_path / "hidden.hdf5", images, label)
    score([run], file, tmp_path / "here.csv")
    with faulty_server(tmp_path) as server:
        url = f"{server.address}/hidden.hdf5"
        outcome = run_program(app, "report", "score", run, f"{url}?signature=secret", "--output", tmp_path / "url.csv")
    assert outcome.status == 0, outcome.err
    assert server.sent["/hidden.hdf5"] >= file.stat().st_size
    assert (tmp_path / "url.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()
    document = msgspec.json.decode((tmp_path / "url.json").read_bytes(), type=ScoresDocument)
    assert document.file == url
    assert document.run == str(run)


@pytest.mark.parametrize("kind", ["hdf5", "parquet"])
def test_metrics_take_the_weights_in_the_file(kind, run, images, label, tmp_path):
    file, weight = tmp_path / f"hidden.{kind}", np.random.default_rng(2).exponential(size=60)
    if kind == "hdf5":
        write_hdf5(file, images[:60], label[:60])
        with h5py.File(file, "a") as out:
            out["weight"] = weight[:, None]
    else:
        write_parquet(file, images[:60], "bytes", y=label[:60], weight=weight)
    document = score([run], file, tmp_path / "scores.csv")
    area = sklearn.metrics.roc_auc_score(label[:60], expected(images[:60]), sample_weight=weight)
    assert document.weighted
    assert document.metrics.auc.value == pytest.approx(area)


def test_without_labels_there_are_only_scores(run, images, tmp_path):
    file = tmp_path / "hidden.hdf5"
    with h5py.File(file, "w") as out:
        out["X"] = images
    document = score([run], file, tmp_path / "scores.csv")
    assert document.metrics is document.curves is None
    assert document.rows == COUNT
    assert (tmp_path / "scores.csv").read_text().splitlines()[0] == "row,score"


def test_labels_of_one_class_have_no_auc(run, images, tmp_path):
    document = score([run], write_hdf5(tmp_path / "one.hdf5", images, 1), tmp_path / "scores.csv")
    assert document.metrics.auc is None
    assert document.curves is None
    assert document.metrics.accuracy.value == np.mean(expected(images) >= 0.5)


def test_scores_go_to_parquet(run, images, label, tmp_path, monkeypatch):
    monkeypatch.setattr("evaluate.images.BLOCK_BYTES", 64 * 8192)
    score([run], write_hdf5(tmp_path / "hidden.hdf5", images, label), tmp_path / "scores.parquet")
    table = pq.read_table(tmp_path / "scores.parquet")
    assert table.column_names == ["row", "score", "label"]
    np.testing.assert_array_equal(table["row"].to_numpy(), np.arange(COUNT))
    np.testing.assert_array_equal(table["score"].to_numpy(), expected(images))


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
        images = images.astype(np.int32)
        images[7, 3, 4, 1] = 2**24 + 1
        write_hdf5(path, images, 0)
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
        ("group", "no dataset 'y'; 'y' is a group"),
        ("large", r"X\[7, 3, 4, 1\] = 1e\+300 is not finite"),
        ("inexact", r"X\[7, 3, 4, 1\] = 0\.1 is not exact in float32"),
        ("short labels", r"X has 10 rows but y has shape \(4,\)"),
        ("shape", r"X has shape \(10, 31, 32, 2\), expected rows of \(32, 32, 2\)"),
        ("integers", r"X\[7, 3, 4, 1\] = 16777217 is not exact in float32"),
        ("empty", "X has no rows"),
        ("nan", r"X\[7, 3, 4, 1\] = nan is not finite"),
        ("other key", "no dataset 'X'; the file has 'images'"),
    ],
)
def test_bad_images_are_one_error_and_no_output(case, message, run, images, tmp_path):
    file = write_broken(tmp_path / "hidden.hdf5", case, images)
    with pytest.raises(SourceError, match=f"hidden.hdf5: {message}"):
        score([run], file, tmp_path / "out" / "scores.csv")
    assert not list((tmp_path / "out").glob("*"))


def test_a_file_that_cannot_be_read_to_its_end_is_named_with_the_rows(run, images, tmp_path, monkeypatch):
    monkeypatch.setattr("evaluate.images.BLOCK_BYTES", 100 * 8192)
    file = write_hdf5(tmp_path / "hidden.hdf5", images, 0, chunks=(100, 32, 32, 2), fletcher32=True)
    with h5py.File(file) as opened:
        chunk = opened["X"].id.get_chunk_info_by_coord((300, 0, 0, 0))
    data = bytearray(file.read_bytes())
    data[chunk.byte_offset] ^= 1
    file.write_bytes(data)
    with pytest.raises(SourceError, match=rf"^{file}: rows 300 to 399 cannot be read"):
        score([run], file, tmp_path / "out" / "scores.csv")
    assert not list((tmp_path / "out").iterdir())


def test_an_older_result_survives_a_failure(run, images, tmp_path):
    output = tmp_path / "scores.csv"
    score([run], write_hdf5(tmp_path / "good.hdf5", images, 0), output)
    before = output.read_bytes()
    with pytest.raises(SourceError):
        score([run], write_broken(tmp_path / "bad.hdf5", "nan", images), output, overwrite=True)
    assert output.read_bytes() == before


@pytest.mark.parametrize("kept", ["scores.csv", "scores.json"])
def test_an_older_result_is_replaced_only_on_demand(run, images, tmp_path, kept):
    file, output = write_hdf5(tmp_path / "new.hdf5", images, 0), tmp_path / "scores.csv"
    score([run], file, output)
    before = output.read_bytes()
    for path in {output, output.with_suffix(".json")} - {tmp_path / kept}:
        path.unlink()
    message = rf"^{tmp_path / kept}: already exists; --overwrite replaces it, --output writes to another file$"
    with pytest.raises(ConfigError, match=message):
        score([run], file, output)
    assert [path.name for path in tmp_path.glob("scores.*")] == [kept]
    score([run], file, output, overwrite=True)
    assert output.read_bytes() == before


def test_a_run_that_cannot_score_says_so(images, tmp_path):
    file = write_hdf5(tmp_path / "hidden.hdf5", images, 0)
    bare = write_run(tmp_path / "bare", "trees")
    with pytest.raises(RunError, match=r"bare/\w+\.npz: no such file; has the training run ended\?"):
        score([bare], file, tmp_path / "scores.csv")
    with pytest.raises(RunError, match="unknown framework 'jax'; known: torch, keras, trees, logistic"):
        score([write_run(tmp_path / "other", "jax")], file, tmp_path / "scores.csv")
    with pytest.raises(ConfigError, match=r"scores are written as \.csv or \.parquet, not '\.txt'"):
        score([bare], file, tmp_path / "scores.txt")


def test_nothing_that_is_read_is_written_over(run, images, tmp_path):
    file = write_parquet(tmp_path / "hidden.parquet", images[:10], "bytes")
    before = {path: path.read_bytes() for path in (file, *run.rglob("*.json"))}
    (tmp_path / "folder.csv").mkdir()
    for output in (file, run / "config.csv", run / "new.csv", tmp_path / "folder.csv"):
        with pytest.raises(ConfigError, match=r"is a folder|would write over"):
            score([run], file, output)
    (tmp_path / "settings.json").write_text('{"mine": 1}')
    with pytest.raises(ConfigError, match=r"settings\.json: exists and is not a calostream-scores document"):
        score([run], file, tmp_path / "settings.csv")
    assert {path: path.read_bytes() for path in before} == before
    assert not list((tmp_path / "folder.csv").iterdir())


@pytest.mark.parametrize(("rows", "labelled"), [(1, True), (5, False)])
def test_the_terminal_says_why_there_are_no_metrics(run, images, tmp_path, capsys, rows, labelled):
    file = tmp_path / "hidden.hdf5"
    with h5py.File(file, "w") as out:
        out["X"] = images[:rows]
        if labelled:
            out["y"] = np.zeros(rows, np.float32)
    print_scores(score([run], file, tmp_path / "scores.csv"), tmp_path / "scores.csv")
    shown = capsys.readouterr().out
    assert ("no metrics: fewer than two labelled images" if labelled else "no metrics: no labels in the file") in shown
    assert "trained on: Geant4 simulation" in shown
