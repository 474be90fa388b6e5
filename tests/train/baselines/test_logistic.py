"""Logistic regression, and training both baselines on variables instead of shower shapes."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import typer

from evaluate.runs import load_runs
from evaluate.score import score
from store.errors import RunError
from store.opening import open_store
from tests.examples import run_program
from tests.jets import PARQUET
from tests.train.baselines.test_trees import three_classes
from train.baselines.cli import logistic_app as logistic
from train.baselines.cli import trees_app as trees
from train.baselines.logistic import Logistic, fit_logistic
from train.baselines.table import read_features
from train.metrics import compute_metrics

SPLITS = ("train", "validation", "test")


def test_leaves_a_run_that_the_evaluation_reads_and_scores_with(jets: Path, tmp_path: Path) -> None:
    done = run_program(logistic, None, "--store", jets, "--run", tmp_path / "run", "--variables", "pt,m0")
    assert done.status == 0, done.err
    assert "(Pythia simulation): pt, m0 of " in done.err
    assert "\nlogistic: 3 parameters\n" in done.err
    (read,) = load_runs([tmp_path / "run"])
    assert (read.framework, read.config["variables"], len(read.history["epoch"])) == ("logistic", ["pt", "m0"], 1)
    assert (read.history["seconds"] > 0).all()
    score([tmp_path / "run"], PARQUET, tmp_path / "scores.csv")
    scores = np.loadtxt(tmp_path / "scores.csv", delimiter=",", skiprows=1)[:, 1]
    rows = np.asarray(open_store(jets).group["source_row"])
    expected = np.concatenate([read.predictions[split].score for split in SPLITS])
    np.testing.assert_allclose(scores[rows], expected, rtol=1e-12)


def test_equals_scikit_learn_on_standardised_features(showers: Path) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    training, validation = (read_features(open_store(showers), split) for split in SPLITS[:2])
    classifier, (record,) = fit_logistic(training, validation)
    expected = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(training.feature, training.label)
    np.testing.assert_allclose(
        classifier.logit(validation.feature), expected.decision_function(validation.feature), rtol=1e-6
    )
    assert record.train_auc is not None
    assert record.validation_auc is not None
    assert record.train_auc > record.validation_auc > 0.5


def test_three_classes_equal_scikit_learn_on_standardised_features(tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    table = three_classes(200, 0)
    assert table.weight is not None
    classifier, (record,) = fit_logistic(table, table)
    standard = StandardScaler().fit(table.feature)
    model = LogisticRegression(max_iter=1000)
    model.fit(standard.transform(table.feature), table.label, np.maximum(table.weight, 0))
    expected = model.decision_function(standard.transform(table.feature))
    np.testing.assert_allclose(classifier.logit(table.feature), expected, rtol=1e-6, atol=1e-9)
    assert (classifier.parameter_count, record.validation_loss) == (
        9,
        pytest.approx(compute_metrics(table.label, expected, table.weight).loss, rel=1e-6),
    )
    classifier.save(tmp_path)
    np.testing.assert_array_equal(Logistic.load(tmp_path).logit(table.feature), classifier.logit(table.feature))


def test_trees_grow_on_variables(jets: Path, tmp_path: Path) -> None:
    done = run_program(trees, None, "--store", jets, "--run", tmp_path / "run", "--variables", "m0")
    assert done.status == 0, done.err
    assert "\nboosted-trees: " in done.err
    assert json.loads((tmp_path / "run" / "config.json").read_text())["variables"] == ["m0"]
    assert {path.name for path in (tmp_path / "run").glob("*.npz")} == {"trees.npz"}


@pytest.mark.parametrize("app", [trees, logistic])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--weight", "w"), ".*jets.zarr: weight asks for the column 'w'; known: label"),
        (("--variables", "pt,eta"), "unknown variable 'eta'; .*jets.zarr has pt, m0"),
        (("--variables", "pt,pt"), "variables='pt,pt' is neither none nor distinct names"),
    ],
)
def test_names_what_is_wrong(
    app: typer.Typer, words: tuple[str, ...], message: str, jets: Path, tmp_path: Path
) -> None:
    done = run_program(app, None, "--store", jets, "--run", tmp_path / "run", *words)
    assert done.status == 1
    assert re.fullmatch(f"error: {message}.*\n", done.err)
    assert not (tmp_path / "run").exists()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "logistic.npz").write_text("not an archive")
    with pytest.raises(RunError, match=r"logistic\.npz: not a logistic regression"):
        Logistic.load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight": np.zeros((2, 3))}, r"weight must be finite numbers of shape \(2,\)"),
        ({"bias": np.zeros(3)}, r"weight must be finite numbers of shape \(2, 3\)"),
        ({"weight": np.array([1.0, np.inf])}, "weight must be finite numbers"),
        ({"weight": np.array(["1.0"])}, "weight must be finite numbers"),
        ({"bias": np.zeros(2)}, "bias must be one number, or one for each of 3 to 255 classes"),
        ({"bias": np.array(1j)}, "bias must be finite numbers"),
    ],
)
def test_a_file_of_other_arrays_is_refused(tmp_path: Path, changes: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "logistic.npz", **{"weight": np.zeros(2), "bias": np.array(0.5)} | changes)
    with pytest.raises(RunError, match=rf"logistic\.npz: not a logistic regression \({message}"):
        Logistic.load(tmp_path)


def test_another_number_of_features_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "logistic.npz", weight=np.zeros(2), bias=np.array(0.5))
    with pytest.raises(RunError, match=r"logistic\.npz: was not trained on samples of 3 features"):
        Logistic.load(tmp_path).score(np.zeros((1, 32, 32, 2), np.float32), np.zeros((1, 3), np.float32))
