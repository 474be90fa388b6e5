import math
import tracemalloc

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from evaluate import ranking
from evaluate.measure import measure, measure_curves
from store.errors import RunError


@st.composite
def labelled_scores(draw, columns=1):
    """Labels with both classes, and columns of scores of any size that are often tied."""
    ones, zeros = draw(st.integers(2, 25)), draw(st.integers(2, 25))
    label = draw(st.permutations([1] * ones + [0] * zeros))
    value = st.one_of(st.integers(-3, 3).map(float), st.floats(-1e6, 1e6))
    scores = [draw(st.lists(value, min_size=len(label), max_size=len(label))) for _ in range(columns)]
    return np.array(label, np.uint8), *map(np.array, scores)


def components(label, score):
    """DeLong's structural components by their definition, every signal sample against every background sample."""
    difference = np.subtract.outer(score[label == 1], score[label == 0])
    wins = (difference > 0) + 0.5 * (difference == 0)
    return wins.mean(axis=1), wins.mean(axis=0)


def covariance(label, first, second):
    """Covariance matrix of two AUCs, equation by equation of the paper."""
    signal, background = zip(components(label, first), components(label, second), strict=True)
    return np.cov(signal) / signal[0].size + np.cov(background) / background[0].size


@given(data=labelled_scores())
def test_auc_is_that_of_scikit_learn(data):
    assert ranking.auc(*data).value == pytest.approx(sklearn.metrics.roc_auc_score(*data), abs=1e-12)


@given(data=labelled_scores())
def test_placements_are_the_structural_components(data):
    for fast, plain in zip(ranking.placements(*data), components(*data), strict=True):
        np.testing.assert_allclose(fast, plain, atol=1e-12)


@given(data=labelled_scores(columns=2))
def test_standard_errors_are_delongs(data):
    label, first, second = data
    matrix = covariance(label, first, second)
    assert ranking.auc(label, first).standard_error == pytest.approx(math.sqrt(matrix[0, 0]), abs=1e-9)
    variance = matrix[0, 0] + matrix[1, 1] - 2 * matrix[0, 1]
    error = ranking.compare_auc(label, first, second).difference.standard_error
    assert error**2 == pytest.approx(variance, abs=1e-12)


@pytest.mark.parametrize("distinct", [None, 8])
def test_standard_error_agrees_with_a_bootstrap(distinct):
    rng = np.random.default_rng(7)
    label = np.repeat([0, 1], [300, 200])
    score = rng.normal(size=500) + 1.2 * label
    if distinct:
        score = np.round(score * distinct / 6)
    values = []
    for _ in range(1500):
        rows = np.concatenate([rng.choice(300, 300), 300 + rng.choice(200, 200)])
        values.append(ranking.auc(label[rows], score[rows]).value)
    assert ranking.auc(label, score).standard_error == pytest.approx(np.std(values), rel=0.1)


def test_paired_error_uses_what_the_scores_share():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 2000)
    shared = rng.normal(size=2000) + label
    first, second = (shared + 0.3 * rng.normal(size=2000) for _ in range(2))
    paired = ranking.compare_auc(label, first, second).difference
    unpaired = ranking.auc(label, first) - ranking.auc(label, second)
    assert paired.value == pytest.approx(unpaired.value)
    assert paired.standard_error < 0.5 * unpaired.standard_error


def test_p_value_is_two_sided_normal():
    rng = np.random.default_rng(1)
    label = rng.integers(0, 2, 500)
    first, second = label + rng.normal(size=500), label + 1.3 * rng.normal(size=500)
    comparison = ranking.compare_auc(label, first, second)
    z = comparison.difference.value / comparison.difference.standard_error
    assert comparison.p_value == pytest.approx(2 * scipy.stats.norm.sf(abs(z)))
    assert ranking.compare_auc(label, second, first).p_value == comparison.p_value


@given(data=labelled_scores())
def test_a_score_does_not_differ_from_itself_on_another_scale(data):
    label, score = data
    comparison = ranking.compare_auc(label, score, scipy.stats.rankdata(score, method="dense"))
    assert comparison.difference.value == 0
    assert comparison.difference.standard_error == 0
    assert comparison.p_value == 1


def test_constant_scores_have_an_auc_of_one_half_and_no_error():
    estimate = ranking.auc([0, 1, 0, 1], [0.3] * 4)
    assert (estimate.value, estimate.standard_error) == (0.5, 0)


def test_separated_classes_have_an_auc_of_one_and_no_error():
    estimate = ranking.auc([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4])
    assert (estimate.value, estimate.standard_error) == (1, 0)


def test_perfect_against_useless_is_a_sure_difference():
    comparison = ranking.compare_auc([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], [0.5] * 4)
    assert comparison.difference.value == 0.5
    assert comparison.p_value == 0


@given(data=labelled_scores())
def test_roc_is_that_of_scikit_learn(data):
    curve = ranking.roc(*data)
    background, signal, threshold = sklearn.metrics.roc_curve(*data, drop_intermediate=False)
    np.testing.assert_allclose(curve.background, background)
    np.testing.assert_allclose(curve.signal, signal)
    np.testing.assert_array_equal(curve.threshold, threshold)


@given(data=labelled_scores(), efficiency=st.floats(0.01, 1))
def test_rejection_is_that_of_the_tightest_cut_that_keeps_the_signal(data, efficiency):
    label, score = data
    cuts = [cut for cut in np.unique(score) if np.mean(score[label == 1] >= cut) >= efficiency]
    passed = np.mean(score[label == 0] >= max(cuts))
    (rejection,) = ranking.background_rejection(ranking.roc(label, score), [efficiency])
    assert rejection.value == (pytest.approx(1 / passed) if passed else math.inf)


def test_rejection_by_hand():
    label = [1] * 10 + [0] * 10
    score = [*range(10, 20), *range(10)]
    score[10:12] = [17, 12.5]  # two background samples pass cuts that keep 3 and 7 of 10 signal samples
    curve = ranking.roc(label, score)
    rejections = ranking.background_rejection(curve, [0.2, 0.3, 0.7, 0.9])
    assert [rejection.value for rejection in rejections] == [math.inf, 10, 10, 5]


def test_the_error_of_a_rejection_is_its_spread_at_a_given_cut():
    rng = np.random.default_rng(0)
    estimates = []
    for _ in range(400):
        background = rng.random(2000)
        label, score = np.repeat([1, 0], [10, 2000]), np.concatenate([np.full(10, 0.9), background])
        estimates += ranking.background_rejection(ranking.roc(label, score), [1.0])
    spread = np.std([rejection.value for rejection in estimates])
    assert np.mean([rejection.standard_error for rejection in estimates]) == pytest.approx(spread, rel=0.1)


@given(data=labelled_scores())
def test_precision_and_average_precision_are_those_of_scikit_learn(data):
    label, score = data
    curve = ranking.roc(label, score)
    precision, recall, _ = sklearn.metrics.precision_recall_curve(label, score)
    np.testing.assert_allclose(curve.precision, precision[::-1])
    np.testing.assert_allclose(curve.signal, recall[::-1])
    assert curve.average_precision == pytest.approx(sklearn.metrics.average_precision_score(label, score))


@given(data=labelled_scores())
def test_no_cut_is_better_than_the_best_threshold(data):
    label, score = data
    best = ranking.roc(label, score).best_threshold
    cuts = [*np.unique(score), math.inf]
    accuracies = {cut: np.mean((score >= cut) == label) for cut in cuts}
    assert math.isfinite(best)
    assert np.mean((score >= best) == label) == max(accuracies.values())
    assert all(cut <= best or cut == math.inf for cut in cuts if accuracies[cut] == max(accuracies.values()))


@pytest.mark.parametrize(
    ("count", "weight"), [(3_000_000, None), (1_000_000, 1 + np.arange(1_000_000) % 5)], ids=["unweighted", "weighted"]
)
def test_memory_is_bounded(count, weight):
    """Memory for all metrics of millions of samples, most of which have distinct scores."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, count, dtype=np.uint8)
    score = ((rng.random(label.size) + label) / 2).round(7)
    tracemalloc.start()
    measure(label, score, weight)
    measure_curves(label, score, weight)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 128 * label.size


@pytest.mark.parametrize("function", [ranking.auc, ranking.roc, ranking.placements])
@pytest.mark.parametrize(
    ("label", "score"),
    [
        ([1, 1, 1], [1, 2, 3]),
        ([0, 0, 0, 1], [1, 2, 3, 4]),
        ([0, 0, 1, 1], [1, 2, 3, math.nan]),
        ([0, 0, 1, 3], [1, 2, 3, 4]),
    ],
)
def test_unusable_columns_are_refused(function, label, score):
    with pytest.raises(RunError):
        function(label, score)
