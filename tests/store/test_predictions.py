import re

import numpy as np
import pytest

from store.errors import RunError
from store.predictions import Predictions


def some(**changes):
    columns = {
        "sample": np.array([5, 2, 9]),
        "label": np.array([1, 0, 1], np.uint8),
        "score": np.array([0.25, 1 / 3, 1.0]),
    }
    return Predictions(**{**columns, **changes})


def test_what_was_saved_is_loaded_in_the_order_of_samples(tmp_path):
    path = tmp_path / "test.npz"
    some().save(path)
    loaded = Predictions.load(path)
    assert loaded.sample.tolist() == [2, 5, 9]
    assert loaded.label.tolist() == [0, 1, 1]
    assert loaded.score.tolist() == [1 / 3, 0.25, 1.0]
    assert (loaded.sample.dtype, loaded.label.dtype, loaded.score.dtype) == (np.int64, np.uint8, np.float64)


def of_three_classes(**changes):
    score = np.array([[0.25, 0.5, 0.25], [1 / 3, 1 / 3, 1 / 3], [0, 0, 1.0]])
    return some(**{"label": np.array([1, 2, 0], np.uint8), "score": score, **changes})


def test_scores_of_more_classes_are_saved_and_loaded(tmp_path):
    path = tmp_path / "test.npz"
    of_three_classes().save(path)
    loaded = Predictions.load(path)
    assert loaded.label.tolist() == [2, 1, 0]
    assert loaded.score.tolist() == [[1 / 3, 1 / 3, 1 / 3], [0.25, 0.5, 0.25], [0, 0, 1]]
    assert (loaded.class_count, some().class_count) == (3, 2)


def test_probabilities_of_float16_are_taken():
    weights = np.random.default_rng(0).exponential(size=(3, 200))
    of_three_classes(score=(weights / weights.sum(1, keepdims=True)).astype(np.float16).astype(np.float64))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"score": np.full((3, 2), 0.5)}, r"score has shape \(3, 2\); with two classes it must be \(n,\)"),
        ({"score": np.full((3, 3), 0.5)}, r"score\[0\] adds up to 1.5, .* must be at least 0 and add up to 1 within"),
        ({"score": np.array([[0, 0, 1], [0, 0, 1], [-0.5, 0.5, 1]])}, r"score\[2\] .* its lowest value is -0.5"),
        ({"score": np.array([[0, 0, 1], [0, np.nan, 1], [0, 0, 1]])}, r"score\[1\] adds up to nan"),
        ({"score": np.array([[-np.inf, 0, np.inf]] * 3)}, r"score\[0\] adds up to nan"),
        ({"label": np.array([0, 1, 3], np.uint8)}, r"label\[2\] = 3, but score has the columns of classes 0 to 2"),
    ],
)
def test_what_are_no_probabilities_of_the_classes_is_refused(changes, message):
    with pytest.raises(RunError, match=message):
        of_three_classes(**changes)


def test_nothing_but_the_file_is_left(tmp_path):
    some().save(tmp_path / "test.npz")
    some(score=np.zeros(3)).save(tmp_path / "test.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["test.npz"]
    assert Predictions.load(tmp_path / "test.npz").score.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    "changes",
    [
        {"score": np.zeros(2)},
        {"weight": np.ones(2)},
        {"label": np.zeros((3, 1), np.uint8)},
        {"sample": np.zeros(4, np.int64)},
        {"score": np.full((2, 4), 0.25)},
        {"score": np.full((3, 1, 4), 0.25)},
    ],
)
def test_columns_of_unequal_length_are_refused(changes):
    with pytest.raises(RunError, match="predictions must be columns of the same length"):
        some(**changes)


def test_a_missing_file_is_named(tmp_path):
    path = tmp_path / "test.npz"
    with pytest.raises(RunError, match=re.escape(f"{path}: no such predictions; has the training run ended?")):
        Predictions.load(path)


def test_a_file_that_lacks_a_column_is_named(tmp_path):
    path = tmp_path / "test.npz"
    np.savez(path, sample=np.arange(3), label=np.zeros(3))
    with pytest.raises(RunError, match=re.escape(f"{path}: not a predictions file") + ".*score"):
        Predictions.load(path)


def test_a_file_that_could_run_code_is_not_loaded(tmp_path):
    path = tmp_path / "test.npz"
    np.savez(path, sample=np.array([{}], dtype=object), label=np.zeros(1), score=np.zeros(1))
    with pytest.raises(RunError, match=re.escape(f"{path}: not a predictions file")):
        Predictions.load(path)


@pytest.mark.parametrize("content", ["text", "empty", "cut", "flipped", "array"])
def test_a_file_of_another_kind_or_a_damaged_one_is_named(tmp_path, content):
    path = tmp_path / "test.npz"
    some().save(path)
    whole = path.read_bytes()
    if content == "array":
        with path.open("wb") as file:
            np.save(file, np.arange(3))
    else:
        flipped = bytearray(whole)
        flipped[whole.index(np.float64(0.25).tobytes())] ^= 1
        path.write_bytes({"text": b"hello", "empty": b"", "cut": whole[: len(whole) // 2], "flipped": flipped}[content])
    with pytest.raises(RunError, match=re.escape(f"{path}: not a predictions file")):
        Predictions.load(path)


def test_labels_and_samples_that_do_not_fit_are_named(tmp_path):
    path = tmp_path / "test.npz"
    np.savez(path, sample=np.array(["a", "b"]), label=np.zeros(2), score=np.zeros(2))
    with pytest.raises(RunError, match=re.escape(f"{path}: not a predictions file")):
        Predictions.load(path)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("label", [0, 0.9], r"label\[1\] = 0\.9 cannot be stored as uint8"),
        ("label", [257, 1], r"label\[0\] = 257 cannot be stored as uint8"),
        ("sample", [0, np.nan], r"sample\[1\] = nan cannot be stored as int64"),
        ("score", [0.5, 0.5j], "score has dtype complex128, expected numbers"),
        ("score", ["0.5", "0.1"], "score has dtype <U3, expected numbers"),
    ],
)
def test_values_that_would_become_others_are_refused(tmp_path, column, values, message):
    path = tmp_path / "test.npz"
    np.savez(path, **{"sample": np.arange(2), "label": np.zeros(2), "score": np.zeros(2), column: np.array(values)})
    with pytest.raises(RunError, match=f"{re.escape(str(path))}: not a predictions file .{message}"):
        Predictions.load(path)


def test_nobody_is_told_to_unpickle(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("row,score\n0,0.5\n")
    with pytest.raises(RunError) as error:
        Predictions.load(path)
    assert "pickle" not in str(error.value)


def test_a_file_with_columns_of_unequal_length_is_named(tmp_path):
    path = tmp_path / "test.npz"
    np.savez(path, sample=np.arange(3), label=np.zeros(2), score=np.zeros(3))
    with pytest.raises(RunError, match=re.escape(f"{path}: not a predictions file (predictions must be columns")):
        Predictions.load(path)
