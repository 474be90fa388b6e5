import msgspec
import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from evaluate import agreement, ranking
from evaluate.document import ComparisonDocument, ScorePair, to_json
from evaluate.score_tables import choose_format
from store.errors import ConfigError, RunError
from store.predictions import Predictions
from tests.evaluate.conftest import STORE, make_predictions


def write(path, sample, label, score):
    Predictions(sample=np.array(sample), label=np.array(label), score=np.array(score, float)).save(path)
    return path


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]) | st.floats(0, 1), min_size=1, max_size=40))
def test_midranks_are_those_of_scipy(value):
    np.testing.assert_array_equal(agreement.midranks(np.array(value)), scipy.stats.rankdata(value))


def test_two_runs_are_compared_sample_by_sample(make_run):
    document = agreement.compare(make_run("a", seed=1), make_run("b", seed=2))
    first, second = make_predictions("test", 1), make_predictions("test", 2)
    assert document.samples == 200
    assert document.agreement.value == pytest.approx(np.mean((first.score >= 0.5) == (second.score >= 0.5)))
    assert document.spearman == pytest.approx(scipy.stats.spearmanr(first.score, second.score).statistic)
    assert document.pearson == pytest.approx(scipy.stats.pearsonr(first.score, second.score).statistic)
    assert document.mean_difference.value == pytest.approx(np.mean(first.score - second.score))
    assert document.auc.p_value == ranking.compare_auc(first.label, first.score, second.score).p_value
    right = [((run.score >= 0.5) == first.label).astype(float) for run in (first, second)]
    paired = scipy.stats.ttest_rel(*right)
    difference = document.accuracy.difference
    assert difference.value / difference.standard_error == pytest.approx(paired.statistic)
    assert document.warnings == []
    assert msgspec.json.decode(to_json(document), type=ComparisonDocument) == document


def test_the_samples_that_differ_most_come_first(make_run):
    document = agreement.compare(make_run("a", seed=1), make_run("b", seed=2), top=3)
    first, second = make_predictions("test", 1), make_predictions("test", 2)
    rows = document.largest_differences
    assert [row.sample - 800 for row in rows] == np.argsort(-np.abs(first.score - second.score))[:3].tolist()
    for row in rows:
        index = row.sample - 800
        assert (row.label, row.scores) == (first.label[index], (first.score[index], second.score[index]))


def test_files_are_compared_where_they_have_samples_in_common(tmp_path):
    first = write(tmp_path / "a.npz", [1, 2, 3, 4, 5], [0, 1, 0, 1, 1], [0.1, 0.9, 0.2, 0.8, 0.4])
    second = write(tmp_path / "b.npz", [9, 5, 4, 3, 2], [0, 1, 1, 0, 1], [0.5, 0.3, 0.7, 0.6, 0.9])
    document = agreement.compare(first, second)
    assert document.samples == 4
    assert document.agreement.value == 0.75
    assert document.auc is None
    assert document.largest_differences[0] == ScorePair(sample=3, label=0, scores=(0.2, 0.6))
    assert document.warnings == [
        f"{first}: 1 of its 5 samples were not scored by the other classifier",
        f"{second}: 1 of its 5 samples were not scored by the other classifier",
        "files do not record their store; samples with the same number are taken to be the same",
    ]


def test_constant_scores_have_no_correlation(tmp_path):
    first = write(tmp_path / "a.npz", [1, 2, 3, 4], [0, 1, 0, 1], [0.5] * 4)
    second = write(tmp_path / "b.npz", [1, 2, 3, 4], [0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4])
    document = agreement.compare(first, second)
    assert document.spearman is document.pearson is None
    assert document.auc.values[0].value == 0.5


def test_what_cannot_be_compared_is_refused(make_run, tmp_path):
    a = make_run("a")
    file = write(tmp_path / "x.npz", [800, 801, 802], [0, 1, 0], [0.1, 0.2, 0.3])
    apart = write(tmp_path / "y.npz", [1, 2, 3], [0, 1, 0], [0.1, 0.2, 0.3])
    labels = make_predictions("test", 0).label[:3]
    flipped = write(tmp_path / "z.npz", [800, 801, 802], 1 - labels, [0.1, 0.2, 0.3])
    with pytest.raises(RunError, match=r"belong to different stores \(data/gone.zarr and other.zarr\)"):
        agreement.compare(a, make_run("b", store=replace(STORE, digest="7" * 64, path="other.zarr")))
    with pytest.raises(RunError, match="have 0 samples in common"):
        agreement.compare(file, apart)
    with pytest.raises(RunError, match=r"give sample 800 different labels \(3 in all\)"):
        agreement.compare(a, flipped)
    with pytest.raises(ConfigError, match="unknown split 'best'; known: train, validation, test"):
        agreement.compare(a, file, split="best")
    with pytest.raises(RunError, match=r"w\.npz: scores must be finite, got nan in row 1"):
        agreement.compare(a, write(tmp_path / "w.npz", [800, 801], [0, 1], [0.1, np.nan]))
    with pytest.raises(RunError, match=r"v\.npz: samples must be distinct"):
        agreement.compare(write(tmp_path / "v.npz", [800, 800], [0, 1], [0.1, 0.2]), a)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("labelled", [True, False])
def test_tables_of_scores_are_compared_row_by_row(tmp_path, suffix, labelled):
    random = np.random.default_rng(0)
    label, scores = random.integers(0, 2, 50, np.uint8), random.random((2, 50))
    paths = [tmp_path / f"{name}{suffix}" for name in "ab"]
    for path, score in zip(paths, scores, strict=True):
        with choose_format(path)(path) as write_rows:
            for rows in (slice(0, 30), slice(30, 50)):
                columns = {"row": np.arange(50)[rows], "score": score[rows]}
                write_rows(columns | ({"label": label[rows]} if labelled else {}))
    document = agreement.compare(*paths)
    assert document.samples == 50
    assert document.pearson == pytest.approx(np.corrcoef(scores)[0, 1])
    largest = document.largest_differences[0]
    row = np.argmax(np.abs(scores[0] - scores[1]))
    assert (largest.sample, largest.label) == (row, label[row] if labelled else None)
    if labelled:
        assert document.auc.p_value == ranking.compare_auc(label, *scores).p_value
    else:
        assert document.auc is document.accuracy is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("hello", "neither predictions .* nor a table of scores: it has no column 'row'"),
        ("row,score\n", "not a table of numbers"),
        ("row,score\n0,high\n", "not a table of numbers"),
        ("row,score,label\n0,0.5,2\n", "labels must be"),
        ("row,score\n0.5,0.5\n", r"sample\[0\] = 0.5 cannot be stored as int64"),
        ("PAR1 hello", "not a readable Parquet file"),
    ],
)
def test_a_file_that_is_no_table_of_scores_is_named(tmp_path, content, message):
    path = tmp_path / "scores.csv"
    path.write_text(content)
    with pytest.raises(RunError, match=rf"scores\.csv: {message}"):
        agreement.compare(path, path)
