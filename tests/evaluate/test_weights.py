"""Metrics of weighted samples."""

import math
import re

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import to_builtins

from evaluate import agreement, metrics, ranking
from evaluate.measure import measure, measure_curves
from evaluate.observables import Observable
from evaluate.runs import load_runs
from evaluate.slices import slice_by
from store.errors import RunError
from store.predictions import Predictions
from tests.evaluate.conftest import make_predictions

WHOLE = st.integers(0, 3).map(float)
WEIGHT = st.one_of(WHOLE, st.floats(1e-3, 10))


@st.composite
def weighted_scores(draw, weights=WEIGHT):
    """Labels, scores that are often tied, and weights; at least two samples of each class have a positive weight."""
    label = draw(st.permutations([0, 0, 1, 1, *draw(st.lists(st.integers(0, 1), max_size=20))]))
    value = st.one_of(st.integers(0, 6).map(lambda k: k / 6), st.floats(0, 1))
    score = draw(st.lists(value, min_size=len(label), max_size=len(label)))
    weight = draw(st.lists(weights, min_size=len(label), max_size=len(label)))
    columns = np.array(label, np.uint8), np.array(score), np.array(weight)
    for kind in (0, 1):
        columns[2][np.flatnonzero(columns[0] == kind)[:2]] += 1
    return columns


SCALES = {
    metrics.accuracy: lambda y, s, w: sklearn.metrics.accuracy_score(y, s >= 0.5, sample_weight=w),
    metrics.log_loss: lambda y, s, w: sklearn.metrics.log_loss(y, s, sample_weight=w),
    metrics.brier_score: lambda y, s, w: sklearn.metrics.brier_score_loss(y, s, sample_weight=w),
    metrics.recall: lambda y, s, w: sklearn.metrics.recall_score(y, s >= 0.5, sample_weight=w),
    ranking.auc: lambda y, s, w: sklearn.metrics.roc_auc_score(y, s, sample_weight=w),
}


@given(data=weighted_scores())
def test_values_are_those_of_scikit_learn(data):
    label, score, weight = data
    for function, expected in SCALES.items():
        assert function(*data).value == pytest.approx(expected(*data), rel=1e-9, abs=1e-12), function.__name__
    estimate = metrics.precision(*data)
    expected = sklearn.metrics.precision_score(label, score >= 0.5, sample_weight=weight, zero_division=np.nan)
    assert math.isnan(expected) if estimate is None else estimate.value == pytest.approx(expected)


@given(data=weighted_scores())
def test_curves_are_those_of_scikit_learn(data):
    label, score, weight = data
    curve = ranking.roc(*data)
    background, signal, cuts = sklearn.metrics.roc_curve(label, score, sample_weight=weight, drop_intermediate=False)
    np.testing.assert_array_equal(curve.threshold, cuts)
    np.testing.assert_allclose(curve.background, background, atol=1e-12)
    np.testing.assert_allclose(curve.signal, signal, atol=1e-12)
    average = sklearn.metrics.average_precision_score(label, score, sample_weight=weight)
    assert curve.average_precision == pytest.approx(average)


def components(label, score, weight):
    """DeLong's structural components by their definition, with the weights of both classes."""
    signal, background = label == 1, label == 0
    difference = np.subtract.outer(score[signal], score[background])
    wins = (difference > 0) + 0.5 * (difference == 0)
    return np.average(wins, axis=1, weights=weight[background]), np.average(wins, axis=0, weights=weight[signal])


@given(data=weighted_scores())
def test_delongs_error_is_that_of_the_weighted_components(data):
    label, _, weight = data
    variance = 0
    for kind, component in zip((1, 0), components(*data), strict=True):
        share = weight[label == kind] / weight[label == kind].sum()
        mean = share @ component
        variance += share**2 @ (component - mean) ** 2 / (1 - share @ share)
    assert ranking.auc(*data).standard_error ** 2 == pytest.approx(variance, abs=1e-12)
    counts = weight > 0
    for fast, kind, plain in zip(ranking.placements(*data), (1, 0), components(*data), strict=True):
        np.testing.assert_allclose(fast, plain[counts[label == kind]], atol=1e-12)


def flat(document, prefix=""):
    """The numbers in a part of a document, by their path in it."""
    document = to_builtins(document)
    if isinstance(document, dict | list | tuple):
        items = document.items() if isinstance(document, dict) else enumerate(document)
        return {path: number for name, value in items for path, number in flat(value, f"{prefix}/{name}").items()}
    return {prefix: math.nan if document is None else document}


@given(data=weighted_scores(WHOLE))
def test_a_whole_weight_has_the_value_of_as_many_samples(data):
    label, score, weight = data
    times = weight.astype(int)
    repeat = np.repeat(label, times), np.repeat(score, times)
    once, repeated = (flat([measure(*columns), measure_curves(*columns)]) for columns in (data, repeat))
    names = [name for name in once if not re.search("samples|standard_error|interval|histogram", name)]
    expected = {name: repeated[name] for name in names}
    assert {name: once[name] for name in names} == pytest.approx(expected, abs=1e-9, nan_ok=True)


WEIGHTS = np.array([3.82, 1.62, 0.25, 0.1, 4.88])
ALL_RIGHT = np.array([1, 0, 1, 0, 1], np.uint8), np.array([0.5, 0, 0.5, 0, 0.5]), WEIGHTS


@given(data=weighted_scores(), factor=st.integers(-10, 10).map(lambda power: 2.0**power))
@example(data=ALL_RIGHT, factor=1.0)  # the squares of all weights and of the right ones were summed differently
def test_only_ratios_of_weights_matter(data, factor):
    label, score, weight = data
    one, two = measure(*data), measure(label, score, factor * weight)
    assert flat(two) == pytest.approx(flat(one), rel=1e-6, abs=1e-9, nan_ok=True)
    assert measure(label, score, np.full(label.size, factor)) == measure(label, score)


@given(data=weighted_scores())
def test_a_sample_of_weight_zero_is_no_sample(data):
    label, score, weight = data
    padded = np.append(label, [0, 1]), np.append(score, [1.0, 0.0]), np.append(weight, [0.0, 0.0])
    assert measure(*padded) == measure(*data)
    assert measure_curves(*padded) == measure_curves(*data)


def draw(rng, size=400):
    """Samples with weights that are correlated with their scores, and a second column of scores."""
    label = np.repeat([0, 1], size)
    shared = rng.normal(size=2 * size) + label
    first, second = (shared + 0.7 * rng.normal(size=2 * size) for _ in range(2))
    return label, first, second, np.exp(0.8 * rng.normal(size=2 * size) + 0.3 * shared)


def test_errors_are_the_spread_over_repeated_samples():
    rng = np.random.default_rng(5)
    estimates_by_name = {"auc": [], "difference": [], "accuracy": [], "log_loss": [], "recall": []}
    for _ in range(400):
        label, first, second, weight = draw(rng)
        score = 1 / (1 + np.exp(-first))
        estimates_by_name["auc"].append(ranking.auc(label, first, weight))
        estimates_by_name["difference"].append(ranking.compare_auc(label, first, second, weight).difference)
        estimates_by_name["accuracy"].append(metrics.accuracy(label, score, weight, threshold=0.6))
        estimates_by_name["log_loss"].append(metrics.log_loss(label, score, weight))
        estimates_by_name["recall"].append(metrics.recall(label, score, weight, threshold=0.6))
    for name, estimates in estimates_by_name.items():
        spread = np.std([estimate.value for estimate in estimates], ddof=1)
        assert np.mean([estimate.standard_error for estimate in estimates]) == pytest.approx(spread, rel=0.12), name


def test_delongs_error_agrees_with_a_bootstrap():
    rng = np.random.default_rng(7)
    label, first, second, weight = draw(rng)
    spread = []
    for _ in range(600):
        rows = np.concatenate([start + rng.integers(0, 400, 400) for start in (0, 400)])
        test = ranking.compare_auc(label[rows], first[rows], second[rows], weight[rows])
        spread.append((ranking.auc(label[rows], first[rows], weight[rows]).value, test.difference.value))
    errors = ranking.auc(label, first, weight), ranking.compare_auc(label, first, second, weight).difference
    np.testing.assert_allclose([estimate.standard_error for estimate in errors], np.std(spread, axis=0), rtol=0.12)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([1, -1, 1, 1], r"weights must be finite and not negative, got -1\.0 in row 1 \(1 in all\)"),
        ([1, 1, math.nan, math.inf], r"not negative, got nan in row 2 \(2 in all\)"),
        ([1, 1e-320, 1, 1], r"weights must be 0, or 1e-100 to 1e\+100, got 1e-320 in row 1 \(1 in all\)"),
        ([1, 1, 1, 1e200], r"weights must be 0, or 1e-100 to 1e\+100, got 1e\+200 in row 3"),
        ([0, 0, 0, 0], "weights are zero in all 4 rows"),
        ([1, 1, 1], r"a column of the same length as the scores, got \(3,\) and \(4,\)"),
        ([0, 0, 0, 1], "at least two samples are needed, got 1"),
    ],
)
@pytest.mark.parametrize("function", [metrics.accuracy, metrics.calibration, ranking.auc, measure])
def test_unusable_weights_are_refused(function, weight, message):
    with pytest.raises(RunError, match=message):
        function([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], weight)


def test_a_class_of_weight_zero_has_no_auc():
    columns = [0, 0, 1, 1], [0.1, 0.6, 0.3, 0.9], [0, 0, 1, 3]
    assert measure(*columns).auc is None
    assert measure(*columns).accuracy.value == 0.75
    with pytest.raises(RunError, match="are needed, got 0 of class 0 and 2 of class 1"):
        ranking.auc(*columns)


def test_weights_may_differ_by_two_hundred_orders_of_magnitude():
    measured = measure([1, 1, 0, 0], [0.9, 0.8, 0.85, 0.1], [1, 1, 1e-100, 1e100])
    assert measured.background_rejection["0.9"].value == pytest.approx(1e200)
    assert math.isfinite(measured.background_rejection["0.9"].standard_error)


def test_bins_of_an_observable_take_weights():
    rng = np.random.default_rng(0)
    label, score, weight = rng.integers(0, 2, 900), rng.random(900), rng.choice([0.0, 1.0, 4.0], 900)
    value = rng.random(900)
    bins = slice_by(
        Observable(name="v", long_name="v", units="1", value=value), label, score, weight, best_threshold=0.5
    ).bins
    assert sum(slice_bin.samples for slice_bin in bins) == np.count_nonzero(weight)
    low = (value < bins[0].high) & (weight > 0)
    expected = sklearn.metrics.roc_auc_score(label[low], score[low], sample_weight=weight[low])
    assert bins[0].auc.value == pytest.approx(expected)


def weigh(run, split, weight):
    path = run / "predictions" / f"{split}.npz"
    predictions = Predictions.load(path)
    Predictions(sample=predictions.sample, label=predictions.label, score=predictions.score, weight=weight).save(path)


def test_predictions_bring_their_weights(make_run):
    run, other = make_run("a", seed=1), make_run("b", seed=2)
    weight = np.random.default_rng(0).exponential(size=200)
    weigh(run, "test", weight)
    (loaded,) = load_runs([run])
    np.testing.assert_array_equal(loaded.predictions["test"].weight, weight)
    with pytest.raises(RunError, match="give the same samples different weights"):
        agreement.compare(run, other)
    weigh(other, "test", weight)
    document = agreement.compare(run, other)
    first, second = make_predictions("test", 1), make_predictions("test", 2)
    test = ranking.compare_auc(first.label, first.score, second.score, weight)
    assert document.auc.p_value == test.p_value
    assert document.mean_difference.value == pytest.approx(np.average(first.score - second.score, weights=weight))
    assert any("the samples are weighted" in warning for warning in document.warnings)


def test_predictions_with_unusable_weights_are_named(make_run):
    run = make_run("a")
    weigh(run, "test", np.full(200, -1.0))
    with pytest.raises(RunError, match=r"test\.npz: weights must be finite and not negative, got -1\.0 in row 0"):
        load_runs([run])
