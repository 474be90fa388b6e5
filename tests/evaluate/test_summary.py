import copy
import json
import math

import numpy as np
import pytest
import sklearn.metrics

from evaluate.runs import load_runs
from evaluate.summary import SCHEMA, summarise
from store.predictions import Predictions
from tests.evaluate.conftest import RANGES, STORE


def test_numbers_are_those_computed_elsewhere(two_runs):
    document = summarise(two_runs)
    assert document["schema"] == SCHEMA == "calostream-metrics/1"
    for run, found in zip(two_runs, document["runs"], strict=True):
        for split, values in found["splits"].items():
            label, score = run.predictions[split].label, run.predictions[split].score
            assert values["samples"] == np.diff(RANGES[split])[0]
            assert values["signal_samples"] == np.count_nonzero(label == 1)
            assert values["background_samples"] == np.count_nonzero(label == 0)
            assert values["auc"]["value"] == pytest.approx(sklearn.metrics.roc_auc_score(label, score))
            assert values["accuracy"]["value"] == pytest.approx(sklearn.metrics.accuracy_score(label, score >= 0.5))
            assert values["log_loss"]["value"] == pytest.approx(sklearn.metrics.log_loss(label, score))
            assert values["brier_score"]["value"] == pytest.approx(sklearn.metrics.brier_score_loss(label, score))
            cut = np.sort(score[label == 1])[::-1][math.ceil(0.7 * np.count_nonzero(label == 1)) - 1]
            assert values["background_rejection"]["0.7"] == pytest.approx(1 / np.mean(score[label == 0] >= cut))
            assert set(values["background_rejection"]) == {"0.5", "0.7", "0.9", "0.95"}


def test_the_interval_is_around_the_value(two_runs):
    auc = summarise(two_runs)["runs"][0]["splits"]["test"]["auc"]
    reach = 1.959964 * auc["standard_error"]
    assert auc["interval"] == pytest.approx([auc["value"] - reach, auc["value"] + reach], rel=1e-6)


def test_the_gap_is_train_minus_test(two_runs):
    run = summarise(two_runs)["runs"][0]
    train, test = (run["splits"][split]["auc"] for split in ("train", "test"))
    assert run["generalisation_gap"]["value"] == pytest.approx(train["value"] - test["value"])
    error = math.hypot(train["standard_error"], test["standard_error"])
    assert run["generalisation_gap"]["standard_error"] == pytest.approx(error)


def test_runs_on_the_same_samples_are_compared(two_runs):
    document = summarise(two_runs)
    (comparison,) = document["comparisons"]
    first, second = (run["splits"]["test"]["auc"]["value"] for run in document["runs"])
    assert comparison["runs"] == ["cnn-torch", "cnn-keras"]
    assert comparison["difference"]["value"] == pytest.approx(first - second)
    assert 0 < comparison["p_value"] < 1
    assert document["warnings"] == []


def test_the_document_is_json(two_runs):
    document = summarise(two_runs)
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_runs_on_other_stores_are_not_compared(make_run):
    runs = load_runs([make_run("a"), make_run("b", store=STORE | {"digest": "77" * 32}), make_run("c")])
    document = summarise(runs)
    assert [comparison["runs"] for comparison in document["comparisons"]] == [["a", "c"]]
    assert document["warnings"] == [
        "b cannot be compared with a, c: their stores differ (digests 777777777777 and 3f9c3f9c3f9c)"
    ]


def test_runs_on_other_samples_are_not_compared(make_run):
    paths = [make_run("a"), make_run("b")]
    test = Predictions.load(paths[1] / "predictions" / "test.npz")
    part = Predictions(sample=test.sample[1:], label=test.label[1:], score=test.score[1:])
    part.save(paths[1] / "predictions" / "test.npz")
    document = summarise(load_runs(paths))
    assert document["comparisons"] == []
    assert document["warnings"] == [
        "b: predictions cover 199 of the 200 test samples",
        "b cannot be compared with a: their test samples differ (199 and 200 of them)",
    ]


def test_runs_with_other_labels_are_not_compared(make_run):
    paths = [make_run("a"), make_run("b")]
    test = Predictions.load(paths[1] / "predictions" / "test.npz")
    Predictions(sample=test.sample, label=1 - test.label, score=test.score).save(paths[1] / "predictions" / "test.npz")
    document = summarise(load_runs(paths))
    assert document["comparisons"] == []
    assert document["warnings"] == ["b cannot be compared with a: their labels differ on the same test samples"]


def test_a_model_that_learned_nothing_is_called_out(make_run):
    path = make_run("a")
    test = Predictions.load(path / "predictions" / "test.npz")
    Predictions(sample=test.sample, label=test.label, score=np.full(200, 0.5)).save(path / "predictions" / "test.npz")
    document = summarise(load_runs([path]))
    assert document["runs"][0]["splits"]["test"]["auc"] == {"value": 0.5, "standard_error": 0, "interval": [0.5, 0.5]}
    assert document["warnings"] == [
        "a: the test AUC has no error, because all scores are equal or the classes do not overlap"
    ]


def test_a_rejection_without_background_is_null(make_run):
    path = make_run("a")
    test = Predictions.load(path / "predictions" / "test.npz")
    score = np.where(test.label == 1, np.linspace(0.3, 0.9, 200), 0.4)
    Predictions(sample=test.sample, label=test.label, score=score).save(path / "predictions" / "test.npz")
    rejection = summarise(load_runs([path]))["runs"][0]["splits"]["test"]["background_rejection"]
    assert rejection["0.5"] is None
    assert rejection["0.95"] == 1


def test_runs_are_left_as_they_were(two_runs):
    before = [copy.deepcopy(dict(run.store)) for run in two_runs]
    summarise(two_runs)
    assert [dict(run.store) for run in two_runs] == before
