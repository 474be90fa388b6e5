import itertools

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from evaluate.observables import Observable
from evaluate.slices import BINS
from evaluate.slices import slice_by as slice_at


def slice_by(*columns):
    return slice_at(*columns, best_threshold=0.5).bins


def observable(value):
    return Observable(name="x", long_name="x", units="1", value=np.asarray(value, np.float64))


def some(count, seed=0):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, count)
    return rng, label, rng.beta(1 + label, 2 - label)


def test_metrics_in_bins_are_those_of_the_samples_in_them():
    rng, label, score = some(2000)
    value = rng.normal(size=2000)
    bins = slice_by(observable(value), label, score)
    assert len(bins) == BINS
    for slice_bin in bins:
        inside = (value >= slice_bin.low) & (value < slice_bin.high if slice_bin is not bins[-1] else True)
        assert slice_bin.samples == inside.sum()
        assert slice_bin.samples == pytest.approx(250, abs=2)
        assert slice_bin.mean == pytest.approx(value[inside].mean())
        assert slice_bin.auc.value == pytest.approx(sklearn.metrics.roc_auc_score(label[inside], score[inside]))


@given(count=st.integers(2, 500), levels=st.integers(1, 400), seed=st.integers(0, 99))
def test_every_sample_is_in_one_bin(count, levels, seed):
    rng, label, score = some(count, seed)
    value = rng.integers(0, levels, count)
    bins = slice_by(observable(value), label, score)
    assert 1 <= len(bins) <= BINS
    inside = [(value >= slice_bin.low) & (value < slice_bin.high) for slice_bin in bins[:-1]]
    inside.append((value >= bins[-1].low) & (value <= bins[-1].high))
    assert [slice_bin.samples for slice_bin in bins] == [mask.sum() for mask in inside]
    missing = count - np.sum(inside)
    assert 0 <= missing <= BINS  # bins of a single sample are left out
    assert all(first.high <= second.low for first, second in itertools.pairwise(bins))


def test_a_constant_observable_is_one_bin():
    _, label, score = some(300)
    (only,) = slice_by(observable(np.full(300, 7)), label, score)
    assert (only.low, only.high, only.mean, only.samples) == (7, 7, 7, 300)


def test_values_that_are_not_finite_are_in_no_bin():
    _, label, score = some(300)
    value = np.arange(300.0)
    value[:10], value[10:20] = np.nan, np.inf
    assert sum(slice_bin.samples for slice_bin in slice_by(observable(value), label, score)) == 280
    assert slice_by(observable(np.full(300, np.nan)), label, score) == []


def test_a_bin_of_one_class_has_no_auc():
    label = np.repeat([0, 1], 400)
    score = np.linspace(0.2, 0.8, 800)
    bins = slice_by(observable(label), label, score)
    assert [slice_bin.auc for slice_bin in bins] == [None, None]
    assert [slice_bin.accuracy.value for slice_bin in bins] == [1, 1]
