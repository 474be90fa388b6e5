"""How rows and columns of several sources get into a store: integers, weights, groups, cuts, sources by split."""

import dataclasses

import h5py
import numpy as np
import pytest

from ingest.given_splits import repeat_options
from store.opening import open_store
from tests import three_classes
from tests.examples import run_ingest


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return a description and three sources of three classes, and what the sources hold."""
    folder = tmp_path_factory.mktemp("sources")
    samples = [three_classes.make_samples(size, seed) for seed, size in enumerate((80, 50, 50))]
    event = samples[2].event.copy()
    event[:16] = samples[0].event[:16]  # an event may be in several files
    samples[2] = dataclasses.replace(samples[2], event=event)
    paths = [
        three_classes.write_hdf5(folder / "a.h5", samples[0]),
        three_classes.write_parquet(folder / "b.parquet", samples[1]),
        three_classes.write_hdf5(folder / "c.h5", samples[2]),
    ]
    return three_classes.write_description(folder / "three.toml"), paths, samples


@pytest.fixture
def run(files, tmp_path):
    """Return a function that ingests the sources with some options."""

    def run(*words, output="out.zarr"):
        return run_ingest("convert", "--dataset", files[0], *words, "--output", tmp_path / output)

    return run


def check_columns(store, samples):
    """Check that each column of a store has the values and the type of its source; return file and row of samples."""
    file, row = store.column("source_file"), store.column("source_row")
    for name, dtype in {"label": "uint8", "pt": "float32", "event": "int64", "weight": "float32"}.items():
        values = store.column(name)
        assert values.dtype == dtype
        for number, source in enumerate(samples):
            expected = getattr(source, name)[row[file == number]]
            np.testing.assert_array_equal(values[file == number], expected)
    return file, row


def test_groups_and_a_cut_decide_which_samples_are_in_a_store_and_where(files, run, tmp_path):
    _, paths, samples = files
    outcome = run(*paths, "--group", "event", "--where", "pt >  150 and  source_row < 70")
    assert outcome.status == 0, outcome.err
    store = open_store(tmp_path / "out.zarr")
    file, row = check_columns(store, samples)
    passed = [(k, r) for k, s in enumerate(samples) for r in np.flatnonzero((s.pt > 150) & (np.arange(s.pt.size) < 70))]
    assert sorted(zip(file.tolist(), row.tolist(), strict=True)) == passed
    event, split = store.column("event"), store.column("split")
    assert np.unique(event).size < event.size - 16, "events have several images"
    assert np.unique(np.stack([event, split]), axis=1).shape[1] == np.unique(event).size
    assert np.abs(np.bincount(split) / split.size - [0.7, 0.1, 0.2]).max() < 0.04
    assert store.attributes["split_scheme"] == "rows where pt > 150 and source_row < 70: 0.7,0.1,0.2 by event"
    counts = {"before": 180, "after": len(passed)}
    assert store.attributes["selection"] == {"where": "pt > 150 and source_row < 70", **counts}
    assert f"pt > 150 and source_row < 70: {len(passed)} of 180 samples" in outcome.out
    verified = run_ingest("verify", tmp_path / "out.zarr", *paths)
    assert f"{len(passed)} images equal to their sources" in verified.out
    again = run_ingest("select", tmp_path / "out.zarr", "--where", "pt > 0", "--output", tmp_path / "all.zarr")
    assert again.status == 0, again.err
    assert open_store(tmp_path / "all.zarr").digest == store.digest, "int64 and weights are in it too"


def test_sources_given_by_split_stay_in_their_split(files, run, tmp_path):
    _, (a, b, c), (first, second, third) = files
    outcome = run(
        "--train", b, c, "--validation", a.parent / "*a.h5", "--where", "pt > 120", "--test", c.parent / "d.h5"
    )
    assert outcome.status == 1
    assert "d.h5: no such file" in outcome.err
    extra = three_classes.write_hdf5(tmp_path / "d.h5", three_classes.make_samples(40, 9))
    outcome = run("--train", b, c, "--validation", a.parent / "*a.h5", "--test", extra)
    assert outcome.status == 0, outcome.err
    store = open_store(tmp_path / "out.zarr")
    file, _ = check_columns(store, [second, third, first, three_classes.make_samples(40, 9)])
    np.testing.assert_array_equal(store.column("split"), np.array([0, 0, 1, 2])[file])
    assert np.bincount(file).tolist() == [50, 50, 80, 40]
    assert store.attributes["split_scheme"] == "separate sources (2 train, 1 validation, 1 test)"
    assert np.unique(np.diff(file[:100].astype(int))).size > 1, "shuffled"


BY_SPLIT = ("--train", "x.h5", "--validation", "y.h5", "--test", "z.h5")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--group", "run"], "group='run' is not a variable of three-classes; known: pt, event"),
        (["--group", ""], "group='' is not a variable of three-classes; known: pt, event"),
        (["--group", "pt"], "a.h5: pt is floating-point, and --group needs integers"),
        (["--group", "event", "--split", "challenge"], "split=challenge takes samples in file order and cannot keep"),
        (["--group", "event", "--where", "event == 0"], "where='event == 0' leaves no sample of class qcd"),
        (["--where", "energy > 1"], "no column 'energy'; known: label, source_file, source_row, pt, event, weight"),
        (["--where", "split == 1"], "no column 'split'"),
        (["--where", "label < 2"], "where='label < 2' leaves no sample of class w (label 2)"),
        (["--where", "pt"], "'pt' is not a comparison"),
        (["--where", ""], "is not an expression"),
        (["--train", "x.h5", "--test", "y.h5"], "--train, --validation, --test go together: give --validation too"),
        ([*BY_SPLIT], "--train, --validation, --test already divide the samples: leave SOURCE out"),
    ],
)
def test_what_cannot_divide_the_samples_is_refused_on_one_line(files, run, tmp_path, words, message):
    outcome = run(*files[1], *words)
    assert outcome.status in (1, 2)
    assert message in outcome.err
    assert "Traceback" not in outcome.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["--split", "0.5,0.2,0.3"], ["--split", ""], ["--group", "event"], ["--sample"]])
def test_sources_given_by_split_are_not_divided_otherwise(run, words):
    outcome = run(*BY_SPLIT, *words)
    assert outcome.status == 2
    assert f"--train, --validation, --test already divide the samples: leave {words[0]} out" in outcome.err


def test_an_option_takes_all_files_that_a_shell_makes_of_a_pattern():
    words = ["a", "--train", "b", "c", "--seed", "3", "d", "--test", "e", "--validation=f", "g", "--test", "--help"]
    assert list(repeat_options(words)) == [
        *("a", "--train", "b", "--train", "c", "--seed", "3", "d", "--test", "e", "--validation=f", "g"),
        *("--test", "--help"),
    ]
    assert list(repeat_options([])) == []


def test_no_sample_of_a_class_in_a_split_is_refused(files, run, tmp_path):
    _, (a, b, c), _ = files
    outcome = run("--train", a, "--validation", b, "--test", c, "--where", "source_file < 2 or label != 1")
    assert outcome.status == 1
    assert (
        "split=rows where source_file < 2 or label != 1: separate sources (1 train, 1 validation, 1 test): "
        "test gets no sample of class top; give files of it with --test"
    ) in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_integers_in_one_file_and_floats_in_another_are_refused(files, run, tmp_path):
    _, (a, _, _), _ = files
    other = three_classes.write_hdf5(tmp_path / "other.h5", three_classes.make_samples(40, 7))
    with h5py.File(other, "a") as file:
        event = file["event"][:]
        del file["event"]
        file["event"] = event.astype(np.float64)
    outcome = run(a, other)
    assert outcome.status == 1
    assert (
        f"{other}: event has floating-point numbers, and integers in {a}; all files must have the same" in outcome.err
    )
    assert list(tmp_path.iterdir()) == [other]


def test_an_interrupted_ingest_is_resumed_only_as_it_was(files, run, tmp_path, monkeypatch):
    description, (a, b, c), _ = files

    def fail(*_):
        raise OSError(5, "Input/output error", "table")

    with monkeypatch.context() as patch:
        patch.setattr("ingest.completion.write_tables", fail)
        assert run(a, b, c, "--where", "pt > 150").status == 1
    scheme = "'rows where pt > 150: 0.7,0.1,0.2'"
    for words, difference in (
        ((a, b, c), f"split={scheme}, this one '0.7,0.1,0.2'"),
        ((a, b, c, "--where", "pt > 160"), f"split={scheme}, this one 'rows where pt > 160: 0.7,0.1,0.2'"),
        ((a, b, c, "--where", "pt > 150", "--group", "event"), f"split={scheme}, this one {scheme[:-1]} by event'"),
        (("--train", a, "--validation", b, "--test", c), f"split={scheme}, this one 'separate sources (1 train, "),
        ((a, b, c, "--where", "pt > 150", "--dataset", tmp_path / "new.toml"), "dataset.title='Three"),
    ):
        (tmp_path / "new.toml").write_text(description.read_text().replace("Three classes", "3 classes"))
        outcome = run(*words)
        assert outcome.status == 1
        assert f"an interrupted ingest has {difference}" in outcome.err
    outcome = run(a, b, c, "--where", "pt  > 150")
    assert outcome.status == 0, outcome.err
