"""The mean of the logits of several runs as one more row."""

import json

import msgspec
import numpy as np
import pytest
import scipy.special

from evaluate import ranking
from evaluate.cli import app
from evaluate.document import MetricsDocument, to_json
from evaluate.ensemble import find_ensembles, mean_score
from evaluate.runs import load_runs
from evaluate.stores import find_stores
from evaluate.summary import summarise
from store.predictions import Predictions
from tests.evaluate.class_runs import write_class_run
from tests.evaluate.conftest import STORE
from tests.examples import run_program


def measure(*paths):
    runs = load_runs(paths)
    ensembles, warnings = find_ensembles(runs)
    return ensembles, summarise(find_stores(runs), runs, ensembles, warnings)


def keep(path, split, rows):
    """Leave only some rows in the predictions of a run for a split."""
    file = path / "predictions" / f"{split}.npz"
    part = Predictions.load(file)
    Predictions(sample=part.sample[rows], label=part.label[rows], score=part.score[rows]).save(file)


def test_the_score_of_a_mean_is_the_sigmoid_of_the_mean_logit():
    logit = np.random.default_rng(0).normal(size=(3, 50), scale=4)
    mean = mean_score(list(scipy.special.expit(logit)))
    np.testing.assert_allclose(mean, scipy.special.expit(logit.mean(axis=0)), rtol=1e-9)


def test_logits_of_classes_count_up_to_a_constant_per_sample():
    logit = np.random.default_rng(0).normal(size=(3, 50, 4), scale=3)
    expected = scipy.special.softmax(logit.mean(axis=0), axis=1)
    shifted = logit + np.random.default_rng(1).normal(size=(3, 50, 1))
    for given in (logit, shifted):
        mean = mean_score(list(scipy.special.softmax(given, axis=2)))
        np.testing.assert_allclose(mean, expected, rtol=1e-9)
    two = scipy.special.softmax(logit[..., :2], axis=2)
    np.testing.assert_allclose(mean_score(list(two))[:, 1], mean_score(list(two[..., 1])), rtol=1e-9)


def test_certain_scores_have_finite_logits():
    assert mean_score([np.array([0.0, 1.0, 0.0]), np.array([1.0, 1.0, 0.5])]) == pytest.approx([0.5, 1, 0], abs=1e-7)
    mean = mean_score([np.array([[1.0, 0.0, 0.0]]), np.array([[0.0, 1.0, 0.0]])])
    assert mean[0] == pytest.approx([0.5, 0.5, 0], abs=1e-7)


def test_the_mean_of_networks_of_both_frameworks_is_one_more_row(make_run):
    paths = [make_run("a", "torch", seed=1), make_run("b", "keras", seed=2), make_run("c", "trees", seed=3)]
    (ensemble,), document = measure(*paths)
    (row,) = document.ensembles
    assert (row.name, row.runs) == ("mean of 2 runs", ["a", "b"])
    assert (row.framework, row.model, row.parameters) == ("torch, keras", "cnn", 2 * 868_993)
    logits = [scipy.special.logit(run.predictions["test"].score) for run in ensemble.runs]
    label = ensemble.runs[0].predictions["test"].label
    expected = ranking.auc(label, np.mean(logits, axis=0))
    assert row.splits.test.auc.value == pytest.approx(expected.value)
    assert row.splits.test.auc.standard_error == pytest.approx(expected.standard_error)
    assert row.best_threshold == ranking.roc(*ensemble.predictions["validation"].scored).best_threshold
    with_mean = [comparison for comparison in document.comparisons if "mean of 2 runs" in comparison.runs]
    assert [comparison.runs[1] for comparison in with_mean] == ["a", "b", "c"]
    expected = ranking.compare_auc(label, np.mean(logits, axis=0), logits[1]).difference
    assert with_mean[1].difference.value == pytest.approx(expected.value)
    assert with_mean[1].difference.standard_error == pytest.approx(expected.standard_error)
    assert document.classifiers == [*document.runs, row]
    assert msgspec.json.decode(to_json(document), type=MetricsDocument) == document


def test_one_network_has_no_mean(make_run):
    assert measure(make_run("a"), make_run("b", "trees"), make_run("c", "logistic"))[1].ensembles == []


@pytest.mark.parametrize("change", [{"batch_size": 64}, {"train_samples": 300}, {"model": "vit"}])
def test_networks_without_repetitions_have_one_mean(make_run, change):
    document = measure(make_run("a"), make_run("b", settings=change), make_run("c", "trees"))[1]
    assert [(row.name, row.runs) for row in document.ensembles] == [("mean of 2 runs", ["a", "b"])]


def test_repetitions_among_ablations_have_a_mean(make_run):
    other = {"batch_size": 64}
    paths = [make_run("a"), make_run("b", settings=other), make_run("c", "keras", settings={"precision": "float32"})]
    document = measure(*paths, make_run("d", seed=3, settings=other))[1]
    assert [(row.name, row.runs) for row in document.ensembles] == [
        ("mean of 2 runs", ["a", "c"]),
        ("mean of 2 runs (2)", ["b", "d"]),
    ]


def test_each_store_has_a_mean_of_its_own(make_run):
    other = msgspec.structs.replace(STORE, digest="77" * 32)
    paths = [make_run("a"), make_run("b", store=other), make_run("mean of 2 runs", seed=1)]
    document = measure(*paths, make_run("d", seed=1, store=other))[1]
    assert [(row.name, row.runs) for row in document.ensembles] == [
        ("mean of 2 runs (2)", ["a", "mean of 2 runs"]),
        ("mean of 2 runs (3)", ["b", "d"]),
    ]
    pairs = [comparison.runs for comparison in document.comparisons]
    assert ("mean of 2 runs (3)", "d") in pairs
    assert ("mean of 2 runs (3)", "a") not in pairs


def test_a_mean_takes_the_training_samples_that_all_runs_have(make_run):
    paths = [make_run("a"), make_run("b", seed=1)]
    keep(paths[0], "train", slice(0, 300))
    keep(paths[1], "train", slice(100, None))
    (ensemble,), document = measure(*paths)
    train = ensemble.predictions["train"]
    assert (train.sample[0], train.sample[-1], train.sample.size) == (100, 299, 200)
    parts = [run.predictions["train"] for run in ensemble.runs]
    np.testing.assert_array_equal(train.label, parts[0].label[100:])
    np.testing.assert_array_equal(train.score, mean_score([parts[0].score[100:], parts[1].score[:200]]))
    assert document.ensembles[0].splits.train.samples == 200


def test_runs_that_share_too_few_samples_have_no_mean_and_the_report_says_why(make_run):
    paths = [make_run("a"), make_run("b", seed=1)]
    keep(paths[0], "train", slice(0, 300))
    keep(paths[1], "train", slice(300, None))
    ensembles, document = measure(*paths)
    assert ensembles == document.ensembles == []
    (warning,) = [text for text in document.warnings if "no mean" in text]
    assert warning.startswith("a, b: there is no mean of these runs: of the 0 train samples that all of them have, ")


def test_weights_are_those_of_the_runs(tmp_path):
    paths = [write_class_run(tmp_path / name, seed=seed, weighted=True) for seed, name in enumerate("ab")]
    (ensemble,), document = measure(*paths)
    np.testing.assert_array_equal(ensemble.predictions["test"].weight, ensemble.runs[0].predictions["test"].weight)
    (row,) = document.ensembles
    assert row.splits.test.auc.value > max(run.splits.test.auc.value for run in document.runs)
    comparison = document.comparisons[-1]
    assert comparison.runs == ("mean of 2 runs", "b")
    assert comparison.accuracy.value == pytest.approx(
        row.splits.test.accuracy.value - document.runs[1].splits.test.accuracy.value
    )


def test_the_page_and_the_terminal_have_the_row(make_run, undrawn, tmp_path):
    runs = [make_run("a", seed=1), make_run("b", "keras", seed=2)]
    outcome = run_program(app, "report", *runs, "--output", tmp_path / "report")
    assert outcome.status == 0, outcome.err
    (row,) = [line for line in outcome.out.splitlines() if line.startswith("mean of 2 runs")]
    assert row.split()[4:7] == ["torch,", "keras", "cnn"]
    assert "test AUC, mean of 2 runs - b: " in outcome.out
    written = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert [ensemble["runs"] for ensemble in written["ensembles"]] == [["a", "b"]]
    page = (tmp_path / "report" / "index.html").read_text()
    assert "mean of the logits of a, b, as a probability" in page
    assert "1,737,986 parameters" in page
