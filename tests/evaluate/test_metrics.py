import math

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from evaluate import metrics
from evaluate.metrics import Estimate
from store.errors import RunError


@st.composite
def labelled_scores(draw):
    """Labels with both classes, and scores that are often tied."""
    ones, zeros = draw(st.integers(2, 25)), draw(st.integers(2, 25))
    label = draw(st.permutations([1] * ones + [0] * zeros))
    value = st.one_of(st.integers(0, 6).map(lambda k: k / 6), st.floats(0, 1))
    score = draw(st.lists(value, min_size=len(label), max_size=len(label)))
    return np.array(label, np.uint8), np.array(score)


SCALES = {
    "accuracy": lambda label, score: sklearn.metrics.accuracy_score(label, score >= 0.5),
    "log_loss": lambda label, score: sklearn.metrics.log_loss(label, score),
    "brier_score": lambda label, score: sklearn.metrics.brier_score_loss(label, score),
}


FUNCTIONS = [metrics.accuracy, metrics.log_loss, metrics.brier_score, metrics.precision, metrics.recall]


@pytest.mark.parametrize("name", SCALES)
@given(data=labelled_scores())
def test_values_are_those_of_scikit_learn(name, data):
    assert getattr(metrics, name)(*data).value == pytest.approx(SCALES[name](*data), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", SCALES)
def test_standard_errors_are_the_spread_over_repeated_samples(name):
    rng = np.random.default_rng(3)
    estimates = []
    for _ in range(400):
        label = rng.integers(0, 2, 500)
        estimates.append(getattr(metrics, name)(label, rng.beta(1 + label, 2 - label)))
    spread = np.std([estimate.value for estimate in estimates], ddof=1)
    assert np.mean([estimate.standard_error for estimate in estimates]) == pytest.approx(spread, rel=0.12)


def test_scores_on_the_threshold_count_as_signal():
    assert metrics.accuracy([1, 1, 0, 0], [0.5, 0.7, 0.5, 0.1]).value == 0.75


def test_calibration_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    score = rng.beta(0.5, 0.5, 5000)
    label = rng.random(5000) < score**2
    bins = metrics.calibration(label, score)
    frequency, mean = calibration_curve(label, score, n_bins=15)
    np.testing.assert_allclose(bins.frequency, frequency)
    np.testing.assert_allclose(bins.score, mean)


@given(data=labelled_scores())
def test_calibration_keeps_every_sample(data):
    label, score = data
    bins = metrics.calibration(label, score)
    assert bins.count.sum() == label.size
    assert np.average(bins.frequency, weights=bins.count) == pytest.approx(label.mean())
    assert np.average(bins.score, weights=bins.count) == pytest.approx(score.mean())


def test_expected_calibration_error_of_an_overconfident_model():
    bins = metrics.calibration([1, 0, 1, 0, 0, 0], [0.9, 0.9, 0.9, 0.9, 0.2, 0.2])
    assert bins.expected_error == pytest.approx(4 / 6 * 0.4 + 2 / 6 * 0.2)


def test_interval_holds_95_percent_and_stops_at_the_bounds():
    low, high = Estimate(value=0.8, standard_error=0.1).interval((0, 1))
    assert low == pytest.approx(0.8 - 1.959964 * 0.1, abs=1e-6)
    assert high == pytest.approx(0.995996, abs=1e-6)
    assert Estimate(value=0.99, standard_error=0.1).interval((0, 1))[1] == 1


def test_difference_of_independent_estimates_adds_errors_in_quadrature():
    gap = Estimate(value=0.9, standard_error=0.03) - Estimate(value=0.8, standard_error=0.04)
    assert gap.value == pytest.approx(0.1)
    assert gap.standard_error == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("label", "score", "message"),
    [
        ([], [], "at least two samples are needed, got 0"),
        ([1], [0.5], "at least two samples are needed, got 1"),
        ([0, 0, 1, 2], [0.1, 0.2, 0.3, 0.4], r"labels must be 0 or 1, got 2 in row 3 \(1 in all\)"),
        ([0, 0, 1, math.nan], [0.1, 0.2, 0.3, 0.4], "labels must be 0 or 1, got nan"),
        ([0, 0, 1, 1], [0.1, math.nan, math.nan, 0.4], r"scores must be finite, got nan in row 1 \(2 in all\)"),
        ([0, 0, 1, 1], [0.1, 0.2, math.inf, 0.4], "scores must be finite, got inf in row 2"),
        ([0, 0, 1, 1], [0.1, 0.2, 0.3], r"equal length, got \(4,\) and \(3,\)"),
    ],
)
@pytest.mark.parametrize("function", [*FUNCTIONS, metrics.calibration])
def test_unusable_columns_are_refused(function, label, score, message):
    with pytest.raises(RunError, match=message):
        function(label, score)


@given(data=labelled_scores(), threshold=st.floats(0, 1))
def test_precision_and_recall_are_those_of_scikit_learn(data, threshold):
    label, score = data
    estimates = [function(label, score, threshold=threshold) for function in (metrics.precision, metrics.recall)]
    scores = [sklearn.metrics.precision_score, sklearn.metrics.recall_score]
    for estimate, reference in zip(estimates, scores, strict=True):
        expected = reference(label, score >= threshold, zero_division=np.nan)
        assert math.isnan(expected) if estimate is None else estimate.value == pytest.approx(expected)


def test_one_class_is_measured_as_far_as_it_goes():
    label, score = [1, 1, 1], [0.9, 0.4, 0.8]
    assert metrics.accuracy(label, score).value == pytest.approx(2 / 3)
    assert metrics.recall(label, score).value == pytest.approx(2 / 3)
    assert metrics.precision(label, score).value == 1
    assert metrics.recall([0, 0], [0.1, 0.9]) is None
    assert metrics.precision([0, 0], [0.1, 0.2]) is None
    assert metrics.brier_score(label, score).value == pytest.approx((0.01 + 0.36 + 0.04) / 3)


def test_constant_scores_are_measured():
    assert metrics.accuracy([0, 1, 1], [0.5] * 3).value == pytest.approx(2 / 3)
    assert metrics.log_loss([0, 1, 1], [0.5] * 3).value == pytest.approx(math.log(2))
    assert metrics.log_loss([0, 1, 1], [0.5] * 3).standard_error == pytest.approx(0, abs=1e-12)
    assert metrics.calibration([0, 1, 1], [0.5] * 3).expected_error == pytest.approx(1 / 6)


@pytest.mark.parametrize("function", [metrics.log_loss, metrics.brier_score, metrics.calibration])
@pytest.mark.parametrize("score", [-0.1, 1.1])
def test_scores_that_are_no_probabilities_are_refused(function, score):
    with pytest.raises(RunError, match=r"probabilities in \[0, 1\]"):
        function([0, 0, 1, 1], [0.1, 0.2, 0.3, score])
