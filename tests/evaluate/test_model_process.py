"""Models in separate processes."""

import importlib.util
import os
import subprocess
import sys
from dataclasses import replace

import h5py
import msgspec
import numpy as np
import pytest

from evaluate.score import score
from store.datasets import DATASETS, ELECTRON_PHOTON, Variable
from store.errors import RunError
from store.model_process import PROJECT_FOLDER, open_model
from store.run_folder import SCORERS
from tests.evaluate.class_runs import write_class_run
from tests.evaluate.conftest import STORE, write_run
from tests.examples import showers, write_hdf5

COUNT = 700  # more images than a model is given at once
NO_VARIABLES = np.empty((3, 0), np.float32)


@pytest.fixture(scope="module")
def images():
    return showers(COUNT)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run whose model needs no framework."""
    monkeypatch.setitem(SCORERS, "torch", "tests.evaluate.line_model")
    path = write_run(tmp_path / "run")
    (path / "model.txt").write_text("good")
    return path


def ask(run, images):
    with open_model("torch", run) as model:
        return model(images, NO_VARIABLES)


@pytest.mark.parametrize(
    ("framework", "variants"),
    [
        ("torch", [(), ("pt", "m0")]),
        pytest.param("keras", [(), ("pt", "m0")], marks=pytest.mark.slow),  # the parity tests score Keras' models too
        ("trees", [(), ("pt",)]),
        ("logistic", [("pt", "m0")]),
    ],
)
def test_images_are_scored_by_every_kind_of_model(framework, variants, images, tmp_path, monkeypatch):
    if framework in ("torch", "keras") and not importlib.util.find_spec(framework):
        pytest.skip(f"{framework} is not installed")
    described = tuple(Variable(name=name, long_name=name, units="1") for name in ("pt", "m0"))
    monkeypatch.setitem(DATASETS, ELECTRON_PHOTON.name, replace(ELECTRON_PHOTON, variables=described))
    file, variables = write_hdf5(tmp_path / "new.hdf5", images, 0), np.random.default_rng(2).random((COUNT, 2))
    with h5py.File(file, "a") as out:
        out["pt"], out["m0"] = variables.T.astype(np.float32)
    runs = []
    for names in variants:
        run = write_run(tmp_path / f"{len(names)}-variables", framework, settings={"variables": names})
        np.save(run / "images.npy", images)
        if names:
            np.save(run / "variables.npy", variables[:, : len(names)].astype(np.float32))
        runs.append(run)
    if framework in ("torch", "keras"):
        three = replace(ELECTRON_PHOTON, name="three", classes=("a", "b", "c"))
        identity = msgspec.structs.replace(STORE, dataset="three")
        runs.insert(0, write_class_run(tmp_path / "three", framework, store=identity, spec=three))
        np.save(runs[0] / "images.npy", images)
    command = [sys.executable, "-m", "tests.evaluate.make_model", framework, *map(str, runs)]
    environment = os.environ | {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    made = subprocess.run(command, cwd=PROJECT_FOLDER, env=environment, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    # Starting a process is slow, so make_model has already checked the scores of the other runs.
    score([runs[-1]], file, tmp_path / "scores.csv")
    scores = np.loadtxt(tmp_path / "scores.csv", delimiter=",", skiprows=1)[:, 1]
    np.testing.assert_allclose(scores, np.load(runs[-1] / "expected.npy"), atol=1e-5)
    assert all(np.std(np.load(run / "expected.npy")) > 0.02 for run in runs)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("broken", "its model gave no scores: no model here$"),
        ("dies", "its model gave no scores: it ended with status 3; its last line was: a library says hello$"),
        (
            "is killed",
            r"it was killed by signal 9 \(Killed\); its last line was: about to die$",
        ),
        ("raises", "its model gave no scores: ValueError: no such layer$"),
        ("nan", "its model gave a score of nan; scores must be finite$"),
        ("three classes", "its model gives scores of 3 classes, but its data set has 2$"),
    ],
)
def test_a_model_that_fails_is_one_error_and_no_output(model, message, run, images, tmp_path):
    (run / "model.txt").write_text(model)
    with pytest.raises(RunError, match=f"run: .*{message}"):
        score([run], write_hdf5(tmp_path / "a.hdf5", images, 0), tmp_path / "out" / "scores.csv")
    assert not list((tmp_path / "out").iterdir())


def test_a_model_of_more_classes_gives_their_probabilities(run, images):
    (run / "model.txt").write_text("three classes")
    with open_model("torch", run, 3) as model:
        assert model(images[:3], NO_VARIABLES).tolist() == [[0.25, 0.5, 0.25]] * 3


def test_a_package_that_is_missing_is_named(run, images, monkeypatch):
    monkeypatch.setitem(SCORERS, "torch", "tests.evaluate.no_such_model")
    with pytest.raises(RunError, match=r"status 1; its last line was: .*No module named tests.evaluate.no_such_model"):
        ask(run, images[:3])


def test_a_framework_that_is_only_on_the_users_pythonpath_is_found(run, images, tmp_path, monkeypatch):
    """The user's packages also take precedence over those installed beside the project's."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "framework.py").write_text("VERSION = 7\n")
    (tmp_path / "mine" / "framework_model.py").write_text("import framework, tests.evaluate.line_model\n")
    monkeypatch.setitem(SCORERS, "torch", "framework_model")
    with pytest.raises(RunError, match="No module named framework_model"):
        ask(run, images[:3])
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "mine"))
    assert np.isfinite(ask(run, images[:3])).all()
    (tmp_path / "mine" / "numpy.py").write_text("raise RuntimeError('the numpy of the user')\n")
    with pytest.raises(RunError, match="the numpy of the user"):
        ask(run, images[:3])


@pytest.mark.parametrize("search_path", [None, "", os.pathsep, f"{os.pathsep}/nowhere"])
def test_folders_called_like_the_project_do_not_matter(run, images, tmp_path, monkeypatch, search_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "__init__.py").write_text("raise RuntimeError('wrong train')")
    monkeypatch.chdir(tmp_path)
    if search_path is None:
        monkeypatch.delenv("PYTHONPATH", raising=False)
    else:
        monkeypatch.setenv("PYTHONPATH", search_path)
    expected = 1 - np.exp(-images[:3, ..., 0].sum(axis=(1, 2), dtype=np.float64) / 50)
    np.testing.assert_array_equal(ask(run, images[:3]), expected)


def test_an_unknown_framework_is_refused(run):
    known = ", ".join(SCORERS)
    with pytest.raises(RunError, match=f"unknown framework 'jax'; known: {known}"), open_model("jax", run):
        pass
