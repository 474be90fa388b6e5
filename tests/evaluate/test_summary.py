import copy
import math

import msgspec
import numpy as np
import pytest
import sklearn.metrics
from msgspec.structs import replace

import store
from evaluate.document import MetricsDocument, to_json
from evaluate.parts import Measurement
from evaluate.runs import load_runs
from evaluate.stores import find_stores
from evaluate.summary import summarise as summarise_with
from store.predictions import Predictions
from tests.evaluate.conftest import PUBLISHED, RANGES, STORE, identify


def summarise(runs):
    return summarise_with(find_stores(runs), runs)


def doubts(document):
    """The warnings, except for those about missing stores: most of these tests have no store."""
    return [warning for warning in document.warnings if "the store cannot be read" not in warning]


def test_numbers_are_those_computed_elsewhere(two_runs):
    document = summarise(two_runs)
    for run, results in zip(two_runs, document.runs, strict=True):
        for split, values in results.splits.items():
            label, score = run.predictions[split].label, run.predictions[split].score
            assert values.samples == np.diff(RANGES[split])[0]
            assert values.signal_samples == np.count_nonzero(label == 1)
            assert values.background_samples == np.count_nonzero(label == 0)
            assert values.auc.value == pytest.approx(sklearn.metrics.roc_auc_score(label, score))
            assert values.accuracy.value == pytest.approx(sklearn.metrics.accuracy_score(label, score >= 0.5))
            matrix = sklearn.metrics.confusion_matrix(label, score >= results.best_threshold)
            assert values.confusion.samples == matrix.tolist()
            shares = [cell.value for row in values.confusion.share for cell in row]
            assert shares == pytest.approx((matrix / matrix.sum(axis=1, keepdims=True)).ravel())
            assert values.log_loss.value == pytest.approx(sklearn.metrics.log_loss(label, score))
            assert values.brier_score.value == pytest.approx(sklearn.metrics.brier_score_loss(label, score))
            cut = np.sort(score[label == 1])[::-1][math.ceil(0.7 * np.count_nonzero(label == 1)) - 1]
            rejection = values.background_rejection["0.7"].value
            assert rejection == pytest.approx(1 / np.mean(score[label == 0] >= cut))
            assert set(values.background_rejection) == {"0.5", "0.7", "0.9", "0.95"}


def test_the_interval_is_around_the_value(two_runs):
    auc = summarise(two_runs).runs[0].splits.test.auc
    half_width = 1.959964 * auc.standard_error
    assert auc.interval == pytest.approx((auc.value - half_width, auc.value + half_width), rel=1e-6)


def test_the_gap_is_train_minus_test(two_runs):
    run = summarise(two_runs).runs[0]
    train, test = run.splits.train.auc, run.splits.test.auc
    gap = run.generalisation_gap.auc
    assert gap.value == pytest.approx(train.value - test.value)
    assert gap.standard_error == pytest.approx(math.hypot(train.standard_error, test.standard_error))
    train, test = run.splits.train.log_loss.value, run.splits.test.log_loss.value
    assert run.generalisation_gap.log_loss.value == pytest.approx(train - test)


def test_runs_on_the_same_samples_are_compared(two_runs):
    document = summarise(two_runs)
    (comparison,) = document.comparisons
    first, second = (run.splits.test.auc.value for run in document.runs)
    assert comparison.runs == ("cnn-torch", "cnn-keras")
    assert comparison.difference.value == pytest.approx(first - second)
    assert 0 < comparison.p_value < 1
    assert doubts(document) == []


def test_the_document_is_read_back_from_its_json(two_runs):
    document = summarise(two_runs)
    assert msgspec.json.decode(to_json(document), type=MetricsDocument) == document


def test_runs_on_other_stores_are_not_compared(make_run):
    runs = load_runs([make_run("a"), make_run("b", store=replace(STORE, digest="77" * 32)), make_run("c")])
    document = summarise(runs)
    assert [comparison.runs for comparison in document.comparisons] == [("a", "c")]
    assert doubts(document) == [
        "b cannot be compared with a, c: their stores differ (digests 777777777777 and 3f9c3f9c3f9c)"
    ]


def test_runs_on_other_samples_are_not_compared(make_run):
    paths = [make_run("a"), make_run("b")]
    test = Predictions.load(paths[1] / "predictions" / "test.npz")
    part = Predictions(sample=test.sample[1:], label=test.label[1:], score=test.score[1:])
    part.save(paths[1] / "predictions" / "test.npz")
    document = summarise(load_runs(paths))
    assert document.comparisons == []
    assert doubts(document) == [
        "b: predictions cover 199 of the 200 test samples",
        "b cannot be compared with a: their test samples differ (199 and 200 samples)",
    ]


def test_runs_with_other_labels_are_not_compared(make_run):
    paths = [make_run("a"), make_run("b")]
    test = Predictions.load(paths[1] / "predictions" / "test.npz")
    Predictions(sample=test.sample, label=1 - test.label, score=test.score).save(paths[1] / "predictions" / "test.npz")
    document = summarise(load_runs(paths))
    assert document.comparisons == []
    assert doubts(document) == ["b cannot be compared with a: their labels of the same test samples differ"]


def test_a_model_that_learned_nothing_is_called_out(make_run):
    path = make_run("a")
    test = Predictions.load(path / "predictions" / "test.npz")
    Predictions(sample=test.sample, label=test.label, score=np.full(200, 0.5)).save(path / "predictions" / "test.npz")
    document = summarise(load_runs([path]))
    assert document.runs[0].splits.test.auc == Measurement(value=0.5, standard_error=0, interval=(0.5, 0.5))
    assert doubts(document) == [
        "a: the test AUC has no standard error, because all scores are equal or the classes do not overlap"
    ]


def test_a_rejection_without_background_is_null(make_run):
    path = make_run("a")
    test = Predictions.load(path / "predictions" / "test.npz")
    score = np.where(test.label == 1, np.linspace(0.3, 0.9, 200), 0.4)
    Predictions(sample=test.sample, label=test.label, score=score).save(path / "predictions" / "test.npz")
    rejection = summarise(load_runs([path])).runs[0].splits.test.background_rejection
    assert rejection["0.5"] is None
    assert rejection["0.95"].value == 1


def test_runs_are_left_as_they_were(two_runs):
    before = [copy.deepcopy(dict(run.config)) for run in two_runs]
    summarise(two_runs)
    assert [dict(run.config) for run in two_runs] == before


def test_the_second_accuracy_is_at_the_best_threshold_of_validation(two_runs):
    document = summarise(two_runs)
    for run, results in zip(two_runs, document.runs, strict=True):
        validation, test = run.predictions["validation"], run.predictions["test"]
        accuracies = [np.mean((validation.score >= cut) == validation.label) for cut in validation.score]
        best = max(validation.score[np.array(accuracies) == max(accuracies)])
        assert results.best_threshold == best
        accuracy = results.splits.test.accuracy_at_best_threshold.value
        assert accuracy == pytest.approx(np.mean((test.score >= best) == test.label))


def test_curves_and_history_are_numbers_too(two_runs):
    run = summarise(two_runs).runs[0]
    curves = run.splits.test.curves
    assert curves.roc.signal_efficiency[-1] == curves.roc.background_efficiency[-1] == 1
    assert sum(curves.score_histogram.signal) == run.splits.test.signal_samples
    assert sum(curves.calibration.samples) == 200
    assert run.history["validation_loss"] == two_runs[0].history["validation_loss"].tolist()


def test_published_results_stand_beside_the_runs_of_their_data_set(make_run):
    challenge = replace(PUBLISHED, digest="1" * 64)
    document = summarise(load_runs([make_run("a"), make_run("b", store=challenge)]))
    simulated, real = document.published[STORE.digest], document.published["1" * 64]
    assert {row.difference for row in simulated} == {"other data"}
    assert [row.auc for row in real if row.comparable] == ["0.8104"]


@pytest.mark.parametrize("change", ["part", "weights"])
def test_published_results_do_not_stand_beside_part_of_the_test_or_weights(make_run, change):
    run = make_run("a", store=PUBLISHED)
    test = Predictions.load(run / "predictions" / "test.npz")
    if change == "part":
        test = Predictions(sample=test.sample[1:], label=test.label[1:], score=test.score[1:])
    else:
        test = Predictions(sample=test.sample, label=test.label, score=test.score, weight=np.ones(test.score.size))
    test.save(run / "predictions" / "test.npz")
    (rows,) = summarise(load_runs([run])).published.values()
    assert not any(row.comparable for row in rows)
    assert "part of the test split, or weighted" in [row.difference for row in rows]


def test_a_store_that_is_gone_or_holds_other_data_is_a_warning(make_run, real_store):
    gone, other = make_run("a"), make_run("b", store=replace(STORE, path=str(real_store), digest="1" * 64))
    warnings = summarise(load_runs([gone, other])).warnings
    assert any(warning.startswith("a: the store cannot be read") for warning in warnings)
    assert any(warning.startswith("b: ") and "now holds other data" in warning for warning in warnings)


def test_runs_are_measured_by_what_the_store_knows_of_samples(make_run, real_store):
    run = make_run("a", store=identify(real_store))
    test = Predictions.load(run / "predictions" / "test.npz")
    part = Predictions(sample=test.sample[50:], label=test.label[50:], score=test.score[50:])
    part.save(run / "predictions" / "test.npz")
    document = summarise(load_runs([run]))
    energy, hits = document.runs[0].slices
    assert (energy.variable, hits.variable) == ("total_energy", "hits")
    (only,) = energy.bins
    image = store.open_dataset(real_store, "test").image.values[50:, ..., 0]
    assert energy.units == "GeV"
    assert only.mean == pytest.approx(50 * image.sum(axis=(1, 2), dtype=np.float64).mean())
    assert only.auc.value == document.runs[0].splits.test.auc.value


def test_fewer_training_images_on_purpose_are_one_note_and_no_warning(make_run):
    few = {"train_samples": 300}
    paths = [make_run("a", settings=few), make_run("b", seed=1, settings=few), make_run("c", seed=2)]
    for path in paths:
        file = path / "predictions" / "train.npz"
        train = Predictions.load(file)
        Predictions(sample=train.sample[:300], label=train.label[:300], score=train.score[:300]).save(file)
    document = summarise(load_runs(paths))
    assert document.notes == ["Trained on fewer images than the store has (--train-samples): a, b: 300 of 700."]
    assert doubts(document) == ["c: predictions cover 300 of the 700 train samples"]


def test_validation_minus_test_stands_beside_train_minus_test(two_runs):
    for run in summarise(two_runs).runs:
        splits = run.splits
        assert run.validation_gap.auc.value == pytest.approx(splits.validation.auc.value - splits.test.auc.value)
        errors = splits.validation.log_loss.standard_error, splits.test.log_loss.standard_error
        assert run.validation_gap.log_loss.standard_error == pytest.approx(math.hypot(*errors))
