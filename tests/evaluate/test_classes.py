"""Reports, comparisons, scores and occlusion maps of runs with more than two classes."""

import contextlib
import dataclasses
import json

import jsonschema
import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
import scipy.stats

import store
from evaluate import agreement
from evaluate.class_measure import measure_classes, measure_details
from evaluate.class_metrics import checked
from evaluate.class_ranking import compare_macro_auc, macro_auc
from evaluate.document import ComparisonDocument, MetricsDocument, ScoresDocument, json_schema, to_json
from evaluate.images import open_images
from evaluate.occlude import occlude
from evaluate.occlusion import Occlusion
from evaluate.runs import load_runs
from evaluate.score import score
from evaluate.stores import find_stores
from evaluate.summary import summarise as summarise_with
from store.errors import RunError, SourceError
from store.predictions import Predictions
from store.run_folder import RunFolder
from tests.evaluate.class_runs import SPEC, make_class_predictions, with_classes, write_class_run
from tests.evaluate.conftest import RANGES, make_predictions, write_run
from tests.three_classes import CLASSES, make_samples, write_hdf5, write_three_class_store

TEST = RANGES["test"]


def summarise(*paths):
    runs = load_runs(paths)
    return summarise_with(find_stores(runs), runs)


def doubts(document):
    return [warning for warning in document.warnings if "the store cannot be read" not in warning]


def is_read_back(document, kind):
    data = to_json(document)
    jsonschema.validate(json.loads(data), json_schema(kind))
    return msgspec.json.decode(data, type=kind) == document


def change_test(run, **columns):
    """Replace columns of the test predictions of a run."""
    path = RunFolder(path=run).predictions("test")
    Predictions(**{**vars(Predictions.load(path)), **columns}).save(path)


def test_a_report_measures_every_split(tmp_path):
    document = summarise(write_class_run(tmp_path / "a", weighted=True))
    assert is_read_back(document, MetricsDocument)
    (run,) = document.runs
    assert run.classes == list(CLASSES)
    assert run.signal is run.background is run.best_threshold is msgspec.UNSET
    for split, measured in run.splits.items():
        columns = make_class_predictions(RANGES[split], 0, weighted=True).scored
        assert measured.details == measure_details(*columns)
        assert measured.auc == measure_classes(*columns).auc
        assert measured.by_class == measure_classes(*columns).by_class
    gap, splits = run.generalisation_gap, run.splits
    assert gap.auc.value == pytest.approx(splits.train.auc.value - splits.test.auc.value)
    assert gap.auc.standard_error == pytest.approx(
        np.hypot(splits.train.auc.standard_error, splits.test.auc.standard_error)
    )
    assert doubts(document) == []
    assert document.notes == ["All samples are weighted, with the weights in the predictions: a."]


def test_runs_on_the_same_samples_are_compared(tmp_path):
    document = summarise(*(write_class_run(tmp_path / name, seed=seed) for seed, name in enumerate("ab")))
    (comparison,) = document.comparisons
    pair = [checked(*make_class_predictions(TEST, seed).scored) for seed in (0, 1)]
    expected = compare_macro_auc(*map(macro_auc, pair))
    assert comparison.difference.value == expected.difference.value
    assert comparison.p_value == expected.p_value
    accuracies = [run.splits.test.accuracy.value for run in document.runs]
    assert comparison.accuracy.value == pytest.approx(accuracies[0] - accuracies[1])


def test_runs_of_different_classes_are_not_compared(tmp_path):
    two, three, twelve = tmp_path / "two", tmp_path / "three", tmp_path / "twelve"
    write_run(two)
    write_class_run(three)
    write_class_run(twelve, spec=with_classes(12))
    with pytest.raises(RunError, match=r"two has 2 classes \(photon, electron\), .*three has 3 classes"):
        agreement.compare(two, three)
    with pytest.raises(RunError, match=r"twelve has 12 classes \(class 0, .*class 9, \.\.\.\), .*three has 3 classes"):
        agreement.compare(twelve, three)


def test_a_class_without_samples_leaves_the_mean_auc_undefined(tmp_path):
    runs = [write_class_run(tmp_path / name, seed=seed) for seed, name in enumerate("ab")]
    test = make_class_predictions(TEST, 0)
    for run in runs:
        change_test(run, label=np.where(test.label == 2, 1, test.label))
    document = summarise(*runs)
    assert document.runs[0].splits.test.auc is document.runs[0].generalisation_gap.auc is None
    assert document.runs[0].generalisation_gap.accuracy.value != 0
    assert doubts(document)[0] == "a: the test AUC cannot be computed: fewer than two samples of w"
    (comparison,) = document.comparisons
    assert comparison.difference is comparison.p_value is None
    assert comparison.accuracy.standard_error > 0
    assert is_read_back(document, MetricsDocument)
    assert agreement.compare(*runs).auc is None
    change_test(runs[0], label=np.zeros_like(test.label))
    assert doubts(summarise(runs[0])) == ["a: the test AUC cannot be computed: fewer than two samples of top, w"]


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (4, r"scores of 4 classes, but the store has 3 classes \(qcd, top, w\)"),
        (2, r"scores of 2 classes, but the store has 3 classes"),
    ],
)
def test_predictions_of_other_classes_are_named(tmp_path, classes, message):
    run = write_class_run(tmp_path / "a")
    other = make_predictions("test", 0) if classes == 2 else make_class_predictions(TEST, 0, classes)
    change_test(run, label=other.label, score=other.score)
    with pytest.raises(RunError, match=rf"test\.npz: {message}"):
        load_runs([run])


def test_probabilities_are_compared_class_by_class(tmp_path):
    runs = [write_class_run(tmp_path / name, seed=seed, weighted=True) for seed, name in enumerate("ab")]
    document = agreement.compare(*runs, top=3)
    assert is_read_back(document, ComparisonDocument)
    first, second = (make_class_predictions(TEST, seed, weighted=True) for seed in (0, 1))
    weight, predicted = first.weight, [one.score.argmax(axis=1) for one in (first, second)]
    distance = np.abs(first.score - second.score).sum(axis=1) / 2
    assert document.classes == list(CLASSES)
    assert document.agreement.value == pytest.approx(np.average(predicted[0] == predicted[1], weights=weight))
    assert document.mean_absolute_difference.value == pytest.approx(np.average(distance, weights=weight))
    for number, part in enumerate(document.by_class):
        columns = first.score[:, number], second.score[:, number]
        assert part.spearman == pytest.approx(scipy.stats.spearmanr(*columns).statistic)
        assert part.pearson == pytest.approx(scipy.stats.pearsonr(*columns).statistic)
        difference = np.average(columns[0] - columns[1], weights=weight)
        assert part.mean_difference.value == pytest.approx(difference)
    pair = [checked(*one.scored) for one in (first, second)]
    assert document.auc.p_value == compare_macro_auc(*map(macro_auc, pair)).p_value
    assert document.auc.values[1].value == macro_auc(pair[1]).mean.value
    rows = np.argsort(-distance)[:3]
    assert [one.sample for one in document.largest_differences] == first.sample[rows].tolist()
    assert document.largest_differences[0].probabilities[1] == second.score[rows[0]].tolist()
    assert document.largest_differences[0].label == first.label[rows[0]]


SAMPLES = make_samples(32, 3)


def ask(images, variables=None):
    """Return probabilities that depend on the images."""
    power = np.exp(images.sum(axis=(1, 2))[:, :3].astype(np.float64))
    return power / power.sum(axis=1, keepdims=True)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run whose model answers in this process."""
    monkeypatch.setattr("evaluate.score_models.open_model", lambda *_: contextlib.nullcontext(ask))
    monkeypatch.setattr("evaluate.occlude.open_model", lambda *_: contextlib.nullcontext(ask))
    return write_class_run(tmp_path / "run")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_has_a_column_per_class(run, tmp_path, suffix):
    file = write_hdf5(tmp_path / "new.hdf5", SAMPLES)
    outputs = [tmp_path / f"{name}{suffix}" for name in "ab"]
    document, _ = (score([run], file, output) for output in outputs)
    names = ["row", "score_qcd", "score_top", "score_w", "label"]
    if suffix == ".csv":
        assert outputs[0].read_text().splitlines()[0] == ",".join(names)
    else:
        assert pq.read_schema(outputs[0]).names == names
    assert is_read_back(document, ScoresDocument)
    assert document.classes == list(CLASSES)
    assert document.weighted
    expected = ask(SAMPLES.image)
    assert document.metrics == measure_classes(SAMPLES.label, expected, SAMPLES.weight)
    assert document.details == measure_details(SAMPLES.label, expected, SAMPLES.weight)
    compared = agreement.compare(*outputs)
    assert compared.samples == len(SAMPLES.label)
    assert compared.classes == list(CLASSES)
    assert compared.accuracy.values[0].value == measure_classes(SAMPLES.label, expected).accuracy.value
    assert compared.mean_absolute_difference.value == 0


def test_names_of_classes_may_hold_anything_that_can_be_printed(run, tmp_path):
    names = ["τ → 3π", 'a, "b"', "#c"]
    described = json.loads((run / "environment.json").read_text())
    described["store"]["description"]["label"]["classes"] = names
    (run / "environment.json").write_text(json.dumps(described))
    file = write_hdf5(tmp_path / "new.hdf5", SAMPLES)
    paths = [tmp_path / "a.csv", tmp_path / "b.parquet"]
    for path in paths:
        score([run], file, path)
    assert agreement.compare(*paths).classes == names


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "row,score_a,score_b\n0,0.5,0.5\n",
            "it has the columns score_a, score_b; a table has the column 'score'",
        ),
        ("score_a,score_b,score_c\n0,0.5,0.5\n", "it has no column 'row'"),
        ("row,score_a,score_b,score_c\n0,0.5,0.5,0.5\n1,1,0,0\n", r"score\[0\] adds up to 1\.5"),
        ("row,score_a,score_b,score_c,label\n0,1,0,0,0\n1,1,0,0,3\n", r"label\[1\] = 3"),
        ("row,score_a,score_b,score_c,score_a\n0,1,0,0,1\n1,1,0,0,0\n", "2 columns are called 'score_a'"),
    ],
)
def test_a_file_that_is_no_table_of_probabilities_is_named(tmp_path, content, message):
    path = tmp_path / "scores.csv"
    path.write_text(content)
    with pytest.raises(RunError, match=rf"scores\.csv: .*{message}"):
        agreement.compare(path, path)


def test_tables_of_other_classes_are_refused(tmp_path):
    paths = [tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "c.csv"]
    for path, names in zip(paths, ("score_a,score_b,score_c", "score_a,score_b,score_d", "score"), strict=True):
        rows = [",".join(["1", *["0"] * names.count(",")])] * 2
        path.write_text("\n".join([f"row,{names}", *(f"{row},{cells}" for row, cells in enumerate(rows))]))
    for other in paths[1:]:
        with pytest.raises(RunError, match=r"classifiers of different classes: .*a\.csv has 3 classes \(a, b, c\)"):
            agreement.compare(paths[0], other)


@pytest.fixture(scope="module")
def three_store(tmp_path_factory):
    return write_three_class_store(tmp_path_factory.mktemp("three"))


def test_a_store_of_more_classes_is_refused(three_store):
    spec = dataclasses.replace(SPEC, classes=("qcd", "top"))
    with pytest.raises(SourceError, match=r"three-classes\.zarr: has samples of label 2; three-classes has 2 classes"):
        open_images(three_store, spec)
    assert open_images(three_store, SPEC).label.max() == 2


def test_the_occlusion_map_is_of_the_probability_of_the_true_class(run, three_store):
    path = three_store
    opened = store.open_store(path)
    environment = json.loads((run / "environment.json").read_text())
    ranges = {split: list(opened.split_range(split)) for split in RANGES}
    environment["store"] |= {"path": str(path), "digest": opened.digest, "split_ranges": ranges}
    (run / "environment.json").write_text(json.dumps(environment))
    test = store.open_dataset(path, "test").load()
    for split, limits in ranges.items():
        make_class_predictions(limits, 0).save(RunFolder(path=run).predictions(split))
    label, image = test.label.values, test.image.values
    change_test(run, label=label, score=ask(image))
    occlude(run, samples=12)
    occlusion = Occlusion.load(run)
    assert occlusion.change.shape == (3, 16, 16)
    hidden = image[:12].copy()
    hidden[:, 18:21, 32:35] = 0
    rows = np.arange(12)
    change = np.abs(ask(hidden) - ask(image[:12]))[rows, label[:12]]
    expected = [change[label[:12] == number].mean() for number in range(3)]
    np.testing.assert_allclose(occlusion.change[:, 6, 8], expected, rtol=1e-6)
    document = summarise(run)
    (results,) = document.runs
    assert results.occlusion.by_class == occlusion.change.tolist()
    assert [part.variable for part in results.slices] == ["total_energy", "hits", "pt", "event"]
    assert sum(part.samples for part in results.slices[0].bins) == len(label)
    assert doubts(document) == []
    change_test(run, score=ask(image)[:, ::-1])
    assert summarise(run).runs[0].occlusion is None
