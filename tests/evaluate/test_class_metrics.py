"""Metrics of more than two classes."""

import math

import numpy as np
import pytest
import sklearn.metrics

from evaluate import class_metrics, metrics, ranking
from evaluate.class_measure import measure_classes, measure_details
from evaluate.observables import Observable
from evaluate.slices import slice_by
from store.errors import RunError
from tests.evaluate.class_runs import draw_probabilities

EFFICIENCIES = ("0.5", "0.7", "0.9", "0.95")


def draw(seed, count=300, classes=4, *, ties=False, weighted=True):
    """Labels, probabilities that may be tied, and weights of which some are 0."""
    random = np.random.default_rng(seed)
    label = random.integers(0, classes, count).astype(np.uint8)
    probability = draw_probabilities(label, random, classes)
    if ties:
        probability = np.round(probability * 4) + 1
        probability /= probability.sum(axis=1, keepdims=True)
    weight = random.exponential(size=count) * (random.random(count) < 0.9) if weighted else None
    return label, probability, weight


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_values_are_those_of_scikit_learn(weighted, ties):
    label, probability, weight = draw(1, ties=ties, weighted=weighted)
    measured, predicted = measure_classes(label, probability, weight), probability.argmax(axis=1)
    options = {"sample_weight": weight}
    expected = {
        "accuracy": sklearn.metrics.accuracy_score(label, predicted, **options),
        "log_loss": sklearn.metrics.log_loss(label, probability, **options),
        "brier_score": sklearn.metrics.brier_score_loss(label, probability, scale_by_half=False, **options),
        "auc": sklearn.metrics.roc_auc_score(label, probability, multi_class="ovr", average="macro", **options),
    }
    if not ties:  # scikit-learn sorts equal probabilities in the opposite order
        expected["top_2_accuracy"] = sklearn.metrics.top_k_accuracy_score(label, probability, k=2, **options)
    assert {name: getattr(measured, name).value for name in expected} == pytest.approx(expected)
    for average, name in ((None, "recall"), (None, "precision")):
        score = getattr(sklearn.metrics, f"{name}_score")(label, predicted, average=average, **options)
        assert [getattr(part, name).value for part in measured.by_class] == pytest.approx(score.tolist())
    used = np.ones(label.size, bool) if weight is None else weight > 0
    assert [part.samples for part in measured.by_class] == np.bincount(label[used]).tolist()


@pytest.mark.parametrize("weighted", [False, True])
def test_confusion_is_that_of_scikit_learn(weighted):
    label, probability, weight = draw(2, weighted=weighted)
    confusion, predicted = measure_details(label, probability, weight).confusion, probability.argmax(axis=1)
    expected = sklearn.metrics.confusion_matrix(label, predicted, sample_weight=weight)
    shares = sklearn.metrics.confusion_matrix(label, predicted, sample_weight=weight, normalize="true")
    np.testing.assert_allclose(confusion.weight, expected)
    np.testing.assert_allclose(confusion.share.value, shares)
    used = slice(None) if weight is None else weight > 0
    assert confusion.samples == sklearn.metrics.confusion_matrix(label[used], predicted[used]).tolist()
    ones = np.ones(label.size) if weight is None else weight
    estimate = metrics.fraction(predicted[label == 1] == 2, ones[label == 1])
    assert confusion.share.standard_error[1][2] == pytest.approx(estimate.standard_error)


def test_of_equal_probabilities_the_first_class_is_the_most_probable_one():
    tied, other = [0.4, 0.2, 0.4], [0.4, 0.4, 0.2]
    classified = class_metrics.checked([0, 1, 2, 2], [tied, tied, tied, other])
    assert class_metrics.accuracy(classified).value == 0.25
    assert class_metrics.top_2_accuracy(classified).value == 0.5


def test_calibration_is_of_the_largest_probability():
    label, probability, weight = draw(3, count=2000)
    confidence, right = probability.max(axis=1), probability.argmax(axis=1) == label
    error = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence >= low) & (confidence < low + 1 / 15)
        if weight[inside].any():
            error += abs(weight[inside] @ (right[inside] - confidence[inside]))
    assert measure_classes(label, probability, weight).expected_calibration_error == pytest.approx(error / weight.sum())
    curve = measure_details(label, probability, weight).confidence
    assert sum(curve.samples) == np.count_nonzero(weight)
    assert np.average(curve.accuracy, weights=curve.samples) == pytest.approx(right[weight > 0].mean(), abs=0.03)


def test_log_loss_of_a_certain_mistake_is_finite():
    classified = class_metrics.checked([0, 1], [[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    assert class_metrics.log_loss(classified).value == pytest.approx(-math.log(np.finfo(float).eps) / 2)


def test_a_sample_of_weight_zero_is_no_sample_and_a_whole_weight_is_as_many_samples():
    label, probability, _ = draw(4, count=120)
    times = np.random.default_rng(0).integers(0, 4, label.size)
    weighted = measure_classes(label, probability, times)
    assert weighted == measure_classes(*(column[times > 0] for column in (label, probability, times)))
    repeated = measure_classes(np.repeat(label, times), np.repeat(probability, times, axis=0))
    for name in ("auc", "accuracy", "log_loss", "brier_score", "top_2_accuracy"):
        assert getattr(weighted, name).value == pytest.approx(getattr(repeated, name).value)
    assert weighted.expected_calibration_error == pytest.approx(repeated.expected_calibration_error)
    assert measure_classes(label, probability, np.full(label.size, 3.0)) == measure_classes(label, probability)


def test_errors_are_the_spread_over_repeated_samples():
    names = ("auc", "accuracy", "log_loss", "brier_score", "top_2_accuracy")
    measured = [measure_classes(*draw(seed, count=400, classes=3)) for seed in range(200)]
    for name in names:
        estimates = [getattr(one, name) for one in measured]
        spread = np.std([estimate.value for estimate in estimates], ddof=1)
        assert np.mean([estimate.standard_error for estimate in estimates]) == pytest.approx(spread, rel=0.15), name


def test_what_a_missing_class_leaves_undefined_is_null():
    label, probability, _ = draw(5, classes=3)
    few = label != 2
    few[np.flatnonzero(label == 2)[0]] = True
    measured, details = (measure(label[few], probability[few]) for measure in (measure_classes, measure_details))
    assert measured.auc is None
    assert [part.auc is None for part in measured.by_class] == [False, False, True]
    assert details.curves[2] is details.mean_pairwise_auc is None
    assert [value is None for value in details.pairwise_auc.value[0]] == [True, False, True]
    assert details.rejection["0.5"].value[2] == [None] * 3
    none = measure_classes(label[label != 2], probability[label != 2] * [1, 1, 0] / (1 - probability[label != 2, 2:]))
    assert none.by_class[2].recall is none.by_class[2].precision is None
    assert measure_details(label[label != 2], probability[label != 2]).confusion.share.value[2] == [None] * 3


def test_rejections_are_those_of_cuts_on_the_probability_of_the_class():
    label, probability, weight = draw(6)
    table = measure_details(label, probability, weight).rejection
    assert tuple(table) == EFFICIENCIES
    for efficiency in EFFICIENCIES:
        for signal in range(4):
            own = probability[:, signal]
            passes = [cut for cut in own if share(own >= cut, label == signal, weight) >= float(efficiency)]
            for other in range(4):
                passed = share(own >= max(passes), label == other, weight)
                expected = 1 / passed if passed and other != signal else None
                assert table[efficiency].value[signal][other] == (expected and pytest.approx(expected))


def share(hit, of, weight):
    """Return the weighted fraction of some samples that is hit."""
    return weight[hit & of].sum() / weight[of].sum()


def test_curves_are_those_of_each_class_against_the_rest():
    label, probability, weight = draw(7)
    curves = measure_details(label, probability, weight).curves
    roc = ranking.roc(label == 2, probability[:, 2], weight)
    assert curves[2].score_histogram.signal == pytest.approx(
        np.histogram(probability[label == 2, 2], 40, (0, 1), weights=weight[label == 2])[0].tolist()
    )
    assert set(curves[2].roc.signal_efficiency) <= set(roc.signal)


def test_bins_of_an_observable_take_probabilities():
    label, probability, weight = draw(8, count=900)
    value = np.random.default_rng(0).random(900)
    bins = slice_by(Observable(name="v", long_name="v", units="1", value=value), label, probability, weight).bins
    low = (value < bins[0].high) & (weight > 0)
    expected = sklearn.metrics.accuracy_score(label[low], probability[low].argmax(axis=1), sample_weight=weight[low])
    assert bins[0].accuracy.value == pytest.approx(expected)
    assert bins[0].auc.value == measure_classes(label[low], probability[low], weight[low]).auc.value
    assert sum(part.samples for part in bins) == np.count_nonzero(weight)


@pytest.mark.parametrize(
    ("label", "probability", "weight", "message"),
    [
        ([0, 3], [[0.2, 0.3, 0.5]] * 2, None, r"labels must be classes, 0 to 2, got 3 in row 1 \(1 in all\)"),
        ([0, 0.5], [[0.2, 0.3, 0.5]] * 2, None, r"labels must be classes, 0 to 2, got 0\.5 in row 1"),
        ([0, 1], [[0.2, 0.3, 0.5], [0.2, 0.3, 0.4]], None, r"must add up to 1, got 0\.9\d* in row 1 \(1 in all\)"),
        ([0, 1], [[-0.5, 1, 0.5], [0.2, 0.3, 0.5]], None, r"must be in \[0, 1\], got -0\.5 in row 0"),
        ([0, 1], [[0.2, 0.3, 0.5], [np.nan, 0, 1]], None, r"must be in \[0, 1\], got nan in row 1"),
        ([0, 1], [[0.5, 0.5], [0.5, 0.5]], None, r"at least three columns of probabilities .* \(2,\) and \(2, 2\)"),
        ([0, 1, 1], [[0.2, 0.3, 0.5]] * 2, None, r"of the same length, got \(3,\) and \(2, 3\)"),
        ([0, 1], [[0.2, 0.3, 0.5]] * 2, [1, -1], r"weights must be finite and not negative, got -1\.0 in row 1"),
        ([0, 1], [[0.2, 0.3, 0.5]] * 2, [1, 0], "at least two samples are needed, got 1"),
    ],
)
def test_unusable_columns_are_refused(label, probability, weight, message):
    with pytest.raises(RunError, match=message):
        measure_classes(label, probability, weight)
