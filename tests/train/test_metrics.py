import math

import numpy as np
import pytest

from train.metrics import compute_metrics, sigmoid


def test_against_the_definitions() -> None:
    random = np.random.default_rng(0)
    label = random.integers(0, 2, 200, np.uint8)
    logit = np.round(random.normal(size=200) + label, 1)  # with ties
    metrics = compute_metrics(label, logit)
    score = 1 / (1 + np.exp(-logit))
    assert metrics.loss == pytest.approx(-np.mean(np.log(np.where(label == 1, score, 1 - score))), rel=1e-12)
    assert metrics.accuracy == np.mean((score > 0.5) == label)
    pairs = logit[label == 1][:, None] - logit[label == 0]
    assert metrics.auc == pytest.approx(np.mean((pairs > 0) + 0.5 * (pairs == 0)), rel=1e-12)


def test_weights_count_as_repeated_samples() -> None:
    random = np.random.default_rng(0)
    label = random.integers(0, 2, 200, np.uint8)
    logit = np.round(random.normal(size=200) + label, 1)  # with ties
    weight = random.integers(0, 4, 200)
    weighted, repeated = (
        compute_metrics(label, logit, weight / 7),
        compute_metrics(*np.repeat([label, logit], weight, 1)),
    )
    for name in ("loss", "accuracy", "auc"):
        assert getattr(weighted, name) == pytest.approx(getattr(repeated, name), rel=1e-12)


def test_negative_weights_take_samples_away() -> None:
    label, logit = np.array([1, 0, 1, 0, 1], np.uint8), np.array([2.0, 1.0, 0.5, -1.0, 0.7])
    cancelled = np.append(label, 1).astype(np.uint8), np.append(logit, 0.7), np.array([1, 1, 1, 1, 1, -1])
    left = compute_metrics(label[:4], logit[:4])
    with_pair = compute_metrics(*cancelled)
    assert (with_pair.loss, with_pair.auc) == (pytest.approx(left.loss), pytest.approx(left.auc))


def test_large_logits_do_not_overflow() -> None:
    logit = np.array([1e5, -1e5, 1e5])
    assert compute_metrics(np.array([1, 0, 0], np.uint8), logit).loss == pytest.approx(1e5 / 3)
    assert sigmoid(logit).tolist() == [1.0, 0.0, 1.0]


def test_no_auc_of_one_class() -> None:
    metrics = compute_metrics(np.ones(3, np.uint8), np.zeros(3))
    assert metrics.auc is None
    assert metrics.loss == pytest.approx(math.log(2))
