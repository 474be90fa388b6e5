"""Scores of files from several runs: the mean of their logits, each model in a process of its own."""

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import replace

import h5py
import jsonschema
import msgspec
import numpy as np
import pytest

from evaluate import class_metrics
from evaluate.class_ranking import compare_macro_auc, macro_auc
from evaluate.cli import app
from evaluate.document import ScoresDocument, json_schema
from evaluate.ensemble import mean_score
from evaluate.ranking import auc, compare_auc
from evaluate.score import score
from store.datasets import ELECTRON_PHOTON, Variable
from store.errors import ConfigError, RunError
from store.model_process import PROJECT_FOLDER
from store.run_folder import SCORERS
from tests.evaluate.class_runs import SPEC, write_class_run
from tests.evaluate.conftest import write_run
from tests.evaluate.test_score import expected
from tests.examples import run_program, showers, write_hdf5

COUNT = 300


@pytest.fixture(scope="module")
def images():
    return showers(COUNT)


@pytest.fixture(scope="module")
def label(images):
    noise = np.random.default_rng(1).normal(size=COUNT, scale=0.2)
    return (expected(images) + noise > np.median(expected(images))).astype(np.float32)


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Two runs of different frameworks, whose models need none; their scores differ."""
    made = []
    for framework, behaviour in (("torch", "good"), ("keras", "time")):
        monkeypatch.setitem(SCORERS, framework, "tests.evaluate.line_model")
        made.append(write_run(tmp_path / framework, framework))
        (made[-1] / "model.txt").write_text(behaviour)
    return made


def alone(images):
    """Scores of each of the models."""
    return [expected(images), 1 / (1 + np.exp(-5 * images[..., 1].sum(axis=(1, 2), dtype=np.float64)))]


def test_several_runs_score_with_the_mean_of_their_logits(runs, images, label, tmp_path, monkeypatch):
    monkeypatch.setattr("evaluate.images.BLOCK_BYTES", 100 * 8192)
    file, output = write_hdf5(tmp_path / "hidden.hdf5", images, label), tmp_path / "scores.csv"
    outcome = run_program(app, "report", "score", *runs, file, "--output", output)
    assert outcome.status == 0, outcome.err
    table = np.genfromtxt(output, delimiter=",", names=True)
    assert table.dtype.names == ("row", "score", "label")
    mean = mean_score(alone(images))
    np.testing.assert_allclose(table["score"], mean, rtol=1e-9)
    document = msgspec.json.decode(output.with_suffix(".json").read_bytes(), type=ScoresDocument)
    jsonschema.validate(json.loads(output.with_suffix(".json").read_text()), json_schema(ScoresDocument))
    assert document.run is msgspec.UNSET
    assert document.metrics.auc.value == pytest.approx(auc(label, mean).value)
    for run, of_run, scores in zip(runs, document.runs, alone(images), strict=True):
        assert of_run.run == str(run)
        assert of_run.metrics.auc.value == pytest.approx(auc(label, scores).value)
        test = compare_auc(label, mean, scores)
        assert of_run.difference.value == pytest.approx(test.difference.value)
        assert of_run.difference.standard_error == pytest.approx(test.difference.standard_error)
        assert of_run.p_value == pytest.approx(test.p_value, abs=1e-12)
    lines = outcome.out.splitlines()
    assert [line.split("  ")[0] for line in lines[1:4]] == [*map(str, runs), "mean of 2 runs"]
    assert [line.rpartition(": ")[0] for line in lines[4:6]] == [f"AUC, mean of 2 runs - {run}" for run in runs]


def test_means_of_classes_have_a_column_per_class(images, tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    answers = random.dirichlet(np.ones(3), (2, 60))
    models = iter([lambda *_, scores=scores: scores for scores in answers])
    monkeypatch.setattr("evaluate.score_models.open_model", lambda *_: contextlib.nullcontext(next(models)))
    runs = [write_class_run(tmp_path / name) for name in "ab"]
    truth = np.arange(60) % 3
    file = write_hdf5(tmp_path / "new.hdf5", random.random((60, *SPEC.image_shape), np.float32), truth)
    with h5py.File(file, "a") as opened:
        opened.move("X", SPEC.image_keys[0])
        opened.move("y", SPEC.label_key)
    document = score(runs, file, tmp_path / "scores.csv")
    table = np.loadtxt(tmp_path / "scores.csv", delimiter=",", skiprows=1)
    mean = mean_score(list(answers))
    np.testing.assert_allclose(table[:, 1:4], mean, rtol=1e-9)
    classified = [class_metrics.checked(truth, scores) for scores in (mean, answers[1])]
    test = compare_macro_auc(*map(macro_auc, classified))
    assert document.runs[1].difference.value == pytest.approx(test.difference.value)
    assert document.runs[1].metrics.accuracy.value == np.mean(answers[1].argmax(axis=1) == truth)


def test_each_model_takes_its_own_variables(images, tmp_path, monkeypatch):
    taken = []

    def answer(images, variables):
        taken.append(variables)
        return np.full(len(images), 0.25)

    monkeypatch.setattr("evaluate.score_models.open_model", lambda *_: contextlib.nullcontext(answer))
    names = (["pt", "m0"], [], ["m0"])
    spec = replace(ELECTRON_PHOTON, variables=tuple(Variable(name=n, long_name=n, units="1") for n in ("m0", "pt")))
    runs = [write_run(tmp_path / f"run-{n}", settings={"variables": v}, spec=spec) for n, v in enumerate(names)]
    file = write_hdf5(tmp_path / "new.hdf5", images, 0)
    with h5py.File(file, "a") as opened:
        opened["pt"], opened["m0"] = np.full(COUNT, 3, np.float32), np.full(COUNT, 7, np.float32)
    score(runs, file, tmp_path / "scores.csv")
    assert [block[0].tolist() for block in taken] == [[3, 7], [], [7]]


def test_without_labels_the_runs_have_no_metrics(runs, images, tmp_path):
    with h5py.File(tmp_path / "new.hdf5", "w") as opened:
        opened["X"] = images[:20]
    document = score(runs, tmp_path / "new.hdf5", tmp_path / "scores.csv")
    assert [of_run.metrics for of_run in document.runs] == [None, None]
    assert [of_run.difference for of_run in document.runs] == [None, None]


def test_runs_that_have_no_mean_are_one_line(runs, images, tmp_path):
    file = write_hdf5(tmp_path / "new.hdf5", images[:20], 0)
    three = write_class_run(tmp_path / "three")
    with pytest.raises(ConfigError, match=r"torch has 2 classes .*three has 3 classes .*only runs of the same data"):
        score([runs[0], three], file, tmp_path / "scores.csv")
    with pytest.raises(ConfigError, match="the run is given more than once"):
        score([runs[0], runs[0]], file, tmp_path / "scores.csv")
    with pytest.raises(ConfigError, match="keras: is a run directory; name the file to score after the runs"):
        score(runs[:1], runs[1], tmp_path / "scores.csv")
    (runs[1] / "model.txt").write_text("broken")
    with pytest.raises(RunError, match="keras: its model gave no scores: no model here"):
        score(runs, file, tmp_path / "scores.csv")
    assert not (tmp_path / "scores.csv").exists()


@pytest.mark.slow
def test_models_of_both_frameworks_have_a_mean(images, label, tmp_path):
    made = []
    for framework in ("torch", "keras"):
        made.append(write_run(tmp_path / framework, framework))
        np.save(made[-1] / "images.npy", images)
        command = [sys.executable, "-m", "tests.evaluate.make_model", framework, str(made[-1])]
        environment = os.environ | {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
        subprocess.run(command, cwd=PROJECT_FOLDER, env=environment, check=True)
    score(made, write_hdf5(tmp_path / "new.hdf5", images, label), tmp_path / "scores.csv")
    scores = np.loadtxt(tmp_path / "scores.csv", delimiter=",", skiprows=1)[:, 1]
    np.testing.assert_allclose(scores, mean_score([np.load(run / "expected.npy") for run in made]), atol=1e-5)
