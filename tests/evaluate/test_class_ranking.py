"""AUCs of more than two classes, and the comparison of two classifiers."""

import itertools
import tracemalloc

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from evaluate import ranking
from evaluate.class_measure import measure_classes, measure_details
from evaluate.class_metrics import checked, compare_accuracy
from evaluate.class_ranking import compare_macro_auc, macro_auc, pairwise_auc
from tests.evaluate.class_runs import draw_probabilities


def draw(seed, count=240, classes=4, *, weighted=True):
    """Labels, the probabilities of two classifiers that agree in part, and weights."""
    random = np.random.default_rng(seed)
    label = random.integers(0, classes, count)
    shared = draw_probabilities(label, random, classes)
    both = [shared + draw_probabilities(label, random, classes) for _ in range(2)]
    weight = random.exponential(size=count) if weighted else None
    return label, both[0] / 2, both[1] / 2, weight


def jackknife(function, label, *columns):
    """Return the error of a number by leaving out each sample once."""
    rows = np.arange(label.size)
    values = [function(*(column[rows != row] for column in (label, *columns))) for row in rows]
    return np.sqrt((label.size - 1) / label.size * np.sum((np.array(values) - np.mean(values)) ** 2))


@pytest.mark.parametrize("weighted", [False, True])
def test_aucs_of_classes_are_those_of_two_classes(weighted):
    label, probability, _, weight = draw(1, weighted=weighted)
    macro = macro_auc(checked(label, probability, weight))
    for number, estimate in enumerate(macro.by_class):
        expected = ranking.auc(label == number, probability[:, number], weight)
        assert (estimate.value, estimate.standard_error) == pytest.approx((expected.value, expected.standard_error))
    assert macro.mean.value == pytest.approx(np.mean([estimate.value for estimate in macro.by_class]))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("function", [macro_auc, pairwise_auc])
def test_the_error_of_the_mean_is_that_of_a_jackknife(function, weighted):
    label, probability, _, weight = draw(2, weighted=weighted)
    columns = (label, probability) if weight is None else (label, probability, weight)
    error = jackknife(lambda *rows: function(checked(*rows)).mean.value, *columns)
    aucs = function(checked(*columns))
    assert aucs.mean.standard_error == pytest.approx(error, rel=0.04)
    parts = aucs.by_class if function is macro_auc else [*aucs.by_pair.values()]
    quadrature = np.sqrt(sum(estimate.standard_error**2 for estimate in parts)) / len(parts)
    assert abs(quadrature / error - 1) > 0.1  # the AUCs share their samples


def test_the_error_of_a_difference_is_that_of_a_jackknife():
    label, first, second, weight = draw(3)

    def difference(label, first, second, weight):
        one, two = (macro_auc(checked(label, score, weight)) for score in (first, second))
        return one.mean.value - two.mean.value

    pair = checked(label, first, weight), checked(label, second, weight)
    comparison = compare_macro_auc(*map(macro_auc, pair))
    assert comparison.difference.value == pytest.approx(difference(label, first, second, weight))
    assert comparison.difference.standard_error == pytest.approx(
        jackknife(difference, label, first, second, weight), rel=0.04
    )
    z = comparison.difference.value / comparison.difference.standard_error
    assert comparison.p_value == pytest.approx(2 * scipy.stats.norm.sf(abs(z)))
    swapped = compare_macro_auc(*map(macro_auc, reversed(pair)))
    assert (swapped.difference.value, swapped.p_value) == (-comparison.difference.value, comparison.p_value)


def test_a_classifier_does_not_differ_from_itself():
    label, probability, _, weight = draw(4)
    one = checked(label, probability, weight)
    comparison = compare_macro_auc(macro_auc(one), macro_auc(one))
    assert (comparison.difference.value, comparison.difference.standard_error, comparison.p_value) == (0, 0, 1)
    assert compare_accuracy(one, one).value == compare_accuracy(one, one).standard_error == 0


def test_the_difference_of_accuracies_is_paired():
    label, first, second, _ = draw(5, weighted=False)
    difference = compare_accuracy(checked(label, first), checked(label, second))
    right = [(score.argmax(axis=1) == label).astype(float) for score in (first, second)]
    assert difference.value == pytest.approx(np.mean(right[0]) - np.mean(right[1]))
    assert difference.value / difference.standard_error == pytest.approx(scipy.stats.ttest_rel(*right).statistic)


@pytest.mark.parametrize("weighted", [False, True])
def test_pairs_are_separated_by_the_probabilities_of_the_two_classes(weighted):
    label, probability, _, weight = draw(6, weighted=weighted)
    pairwise = pairwise_auc(checked(label, probability, weight))
    pairs = {pair: auc.value for pair, auc in pairwise.by_pair.items()}
    assert pairwise.mean.value == pytest.approx(np.mean([*pairs.values()]))
    assert list(pairs) == list(itertools.combinations(range(4), 2))
    table = measure_details(label, probability, weight).pairwise_auc.value
    for (i, j), value in pairs.items():
        rows = np.isin(label, (i, j))
        score = probability[rows, i] / (probability[rows, i] + probability[rows, j])
        weights = None if weight is None else weight[rows]
        expected = sklearn.metrics.roc_auc_score(label[rows] == i, score, sample_weight=weights)
        swapped = sklearn.metrics.roc_auc_score(label[rows] == j, 1 - score, sample_weight=weights)
        assert (value, value) == pytest.approx((expected, swapped))
        assert table[i][j] == table[j][i] == value
        expected = ranking.auc(label[rows] == i, score, weights)
        assert pairwise.by_pair[i, j].standard_error == pytest.approx(expected.standard_error)


def test_a_pair_without_probability_is_undecided():
    label = np.array([0, 0, 1, 1, 2, 2])
    probability = np.array([[0.0, 0.0, 1.0]] * 4 + [[0.5, 0.5, 0.0]] * 2)
    auc = {pair: auc.value for pair, auc in pairwise_auc(checked(label, probability)).by_pair.items()}
    assert auc == {(0, 1): 0.5, (0, 2): 0.0, (1, 2): 0.0}


def test_memory_is_bounded():
    """Memory for all metrics of many samples beside the probabilities; it does not grow with the number of classes."""
    count, classes = 50_000, 10
    random = np.random.default_rng(0)
    label = random.integers(0, classes, count).astype(np.uint8)
    probability, weight = draw_probabilities(label, random, classes), random.exponential(size=count)
    tracemalloc.start()
    measure_classes(label, probability, weight)
    measure_details(label, probability, weight)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 180 * count
