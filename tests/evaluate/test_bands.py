import numpy as np
import pytest

from evaluate import ranking
from evaluate.bands import BACKGROUND_EFFICIENCIES, SIGNAL_EFFICIENCIES, measure_bands
from store.predictions import Predictions

SIZE = 4000


def predictions(noise, seed=0, first=0, weight=None):
    random = np.random.default_rng(seed)
    label = random.integers(0, 2, SIZE).astype(np.uint8)
    logit = label + random.normal(size=SIZE) + noise * np.random.default_rng([seed, 1]).normal(size=SIZE)
    sample = np.arange(first, first + SIZE)
    return Predictions(sample=sample, label=label, score=1 / (1 + np.exp(-logit)), weight=weight)


@pytest.mark.parametrize("weighted", [False, True])
def test_curves_are_those_of_the_tables(weighted):
    weight = np.random.default_rng(3).exponential(size=SIZE) if weighted else None
    one = predictions(0.0, weight=weight)
    (bands,) = measure_bands([one])
    curve = ranking.roc(*one.scored)
    np.testing.assert_allclose(bands.signal.value, np.interp(BACKGROUND_EFFICIENCIES, curve.background, curve.signal))
    expected = [estimate.value for estimate in ranking.background_rejection(curve, (0.5, 0.7, 0.9, 0.95))]
    rows = np.searchsorted(SIGNAL_EFFICIENCIES, (0.4999, 0.6999, 0.8999, 0.9499))
    np.testing.assert_allclose(bands.rejection.value[rows], expected, rtol=0.01)


def test_equal_scores_are_one_step():
    score = np.repeat([0.2, 0.8], SIZE // 2)
    label = (np.arange(SIZE) % 4 == 0).astype(np.uint8)
    (bands,) = measure_bands([Predictions(sample=np.arange(SIZE), label=label, score=score)])
    np.testing.assert_allclose(bands.signal.value, BACKGROUND_EFFICIENCIES, atol=1e-12)


def test_a_band_is_as_wide_as_the_spread_over_test_sets():
    tests = [predictions(0.0, seed) for seed in range(60)]
    rocs = [ranking.roc(*one.scored) for one in tests]
    spread = np.std([np.interp(BACKGROUND_EFFICIENCIES, roc.background, roc.signal) for roc in rocs], axis=0)
    (bands,) = measure_bands([tests[0]])
    width = (bands.signal.high - bands.signal.low) / 2
    middle = slice(40, 160)
    assert np.mean(width[middle] / spread[middle]) == pytest.approx(1, abs=0.25)


def test_the_error_of_a_ratio_is_that_of_paired_samples():
    one, other = predictions(0.0), predictions(0.2)
    _, paired = measure_bands([one, other])
    _, separate = measure_bands([one, predictions(0.2, seed=1, first=SIZE)])
    assert paired.signal_ratio is not None
    assert separate.signal_ratio is None
    np.testing.assert_allclose(
        paired.signal_ratio.value[50:], paired.signal.value[50:] / measure_bands([one])[0].signal.value[50:]
    )
    own = np.log(paired.rejection.high / paired.rejection.value)[100]
    of_ratio = np.log(paired.rejection_ratio.high / paired.rejection_ratio.value)[100]
    assert 0 < of_ratio < 0.6 * own


def test_no_background_that_passes_is_no_rejection():
    label = np.repeat([0, 1], SIZE // 2).astype(np.uint8)
    score = np.append(np.linspace(0, 0.9, SIZE // 2), np.linspace(0.1, 1, SIZE // 2))
    (bands,) = measure_bands([Predictions(sample=np.arange(SIZE), label=label, score=score)])
    assert np.isnan(bands.rejection.value[0])
    assert bands.rejection.value[-1] >= 1


def test_two_samples_of_a_class_are_enough():
    label = np.array([0, 0, 1, 1], np.uint8)
    bands = measure_bands([Predictions(sample=np.arange(4), label=label, score=np.array([0.1, 0.6, 0.4, 0.9]))])
    assert np.isfinite(bands[0].signal.high).all()
