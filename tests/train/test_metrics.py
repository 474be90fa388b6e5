import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from train.metrics import compute_metrics, probability, sigmoid


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


def three_classes() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    label = random.integers(0, 3, 200, np.uint8)
    return label, np.round(random.normal(size=(200, 3)) + np.eye(3)[label], 1)  # with ties


def test_more_classes_against_the_definitions() -> None:
    label, logit = three_classes()
    metrics, score = compute_metrics(label, logit), probability(logit)
    np.testing.assert_allclose(score, np.exp(logit) / np.exp(logit).sum(1)[:, None], rtol=1e-12)
    assert metrics.loss == pytest.approx(-np.mean(np.log(score[np.arange(200), label])), rel=1e-12)
    assert metrics.accuracy == np.mean(logit.argmax(1) == label)
    assert metrics.auc == pytest.approx(roc_auc_score(label, score, multi_class="ovr", average="macro"), rel=1e-12)


def test_weights_count_as_repeated_samples_of_more_classes() -> None:
    label, logit = three_classes()
    weight = np.random.default_rng(1).integers(0, 4, 200)
    weighted = compute_metrics(label, logit, weight / 7)
    repeated = compute_metrics(np.repeat(label, weight), np.repeat(logit, weight, 0))
    for name in ("loss", "accuracy", "auc"):
        assert getattr(weighted, name) == pytest.approx(getattr(repeated, name), rel=1e-12)


def test_large_logits_of_more_classes_do_not_overflow() -> None:
    logit = np.array([[1e5, -1e5, 0.0], [-1e5, 0.0, 1e5], [1e5, 1e5, 1e5]])
    assert compute_metrics(np.array([0, 0, 1], np.uint8), logit).loss == pytest.approx((2e5 + np.log(3)) / 3, rel=1e-12)
    assert probability(logit).tolist() == [[1, 0, 0], [0, 0, 1], [pytest.approx(1 / 3)] * 3]


def test_no_auc_without_samples_of_a_class() -> None:
    label, logit = three_classes()
    assert compute_metrics(label[label < 2], logit[label < 2]).auc is None
    assert compute_metrics(label, logit, (label < 2).astype(np.float64)).auc is None
