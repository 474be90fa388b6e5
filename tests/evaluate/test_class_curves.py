"""Figures of more than two classes."""

import msgspec
import numpy as np
import pytest

from evaluate import class_band_curves, class_curves, style
from evaluate.document import MetricsDocument
from evaluate.observables import Observable
from evaluate.runs import load_runs
from evaluate.slices import slice_by
from evaluate.store_figures import draw_slices
from evaluate.stores import find_stores
from evaluate.summary import summarise
from tests.evaluate.class_runs import with_classes, write_class_run
from tests.evaluate.test_curves import legend_texts


@pytest.fixture(scope="module")
def make_results(tmp_path_factory):
    """Runs with a number of classes, and their results."""

    def make(classes, count=1):
        folder = tmp_path_factory.mktemp("runs")
        spec = with_classes(classes)
        runs = load_runs([write_class_run(folder / f"run-{seed}", seed=seed, spec=spec) for seed in range(count)])
        return runs, summarise(find_stores(runs), runs).runs

    return make


@pytest.fixture(scope="module")
def three(make_results):
    return make_results(3, 2)


@pytest.fixture(scope="module")
def thirty(make_results):
    return make_results(30)


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_rows_of_a_confusion_matrix_are_true_classes(three):
    results = three[1][0]
    figure = class_curves.draw_confusion(results)
    confusion = results.splits.test.details.confusion
    shares, counts = np.ravel(confusion.share.value), np.ravel(confusion.samples)
    assert texts(figure) == [f"{100 * share:.1f} %\n{count}" for share, count in zip(shares, counts, strict=True)]
    opacity = figure.axes[0].images[0].get_array()[..., 3]
    np.testing.assert_allclose(opacity, class_curves.DEEPEST * np.array(confusion.share.value))
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == results.classes


def draw_bands(draw, fixture, number):
    """Return a figure of ROC curves or of rejections of a run, from a fixture of runs and their results."""
    runs, results = fixture
    bands = class_band_curves.measure_class_bands(runs, results)
    return getattr(class_band_curves, draw)(runs[number], results[number], bands[number], runs[0].name)


def test_curves_are_those_of_the_document(three):
    upper, lower = draw_bands("draw_roc", three, 1).axes
    assert len(lower.get_lines()) == 1 + 3
    assert lower.get_title(loc="left") == "ratio to run-0"
    for line, curves in zip(upper.get_lines()[1:], three[1][1].splits.test.details.curves, strict=True):
        points = line.get_data()
        known = np.interp(points[0], curves.roc.background_efficiency, curves.roc.signal_efficiency)
        np.testing.assert_allclose(points[1][1:], known[1:], atol=0.02)
    (axes,) = draw_bands("draw_rejection", three, 0).axes
    for line in axes.get_lines():
        assert np.nanmin(line.get_ydata()) >= 1


def test_histograms_of_every_true_class_have_unit_area(three):
    run = three[0][0]
    outlines = [patch.get_data() for patch in class_curves.draw_scores(run, 1, 1).axes[0].patches]
    assert len(outlines) == 3 + 1
    for values, edges, _ in outlines:
        assert np.sum(values * np.diff(edges)) == pytest.approx(1)


@pytest.mark.parametrize("draw", ["draw_roc", "draw_rejection", "draw_scores", "draw_auc_by_class"])
@pytest.mark.parametrize("fixture", ["three", "thirty"])
def test_legends_hide_nothing(draw, fixture, request):
    runs, results = request.getfixturevalue(fixture)
    if draw == "draw_scores":
        figure = class_curves.draw_scores(runs[0], 2, 2)
    elif draw == "draw_auc_by_class":
        figure = class_curves.draw_auc_by_class(results)
    else:
        figure = draw_bands(draw, (runs, results), 0)
    style.lay_out(figure)
    figure.draw_without_rendering()
    bottom = figure.axes[0].get_tightbbox().y0
    extents = [legend.get_window_extent() for legend in figure.legends]
    assert extents
    assert all(extent.y1 <= bottom and extent.y0 >= 0 and extent.x1 <= figure.bbox.x1 for extent in extents)


def test_of_many_classes_those_with_the_lowest_auc_are_drawn(thirty):
    (results,) = thirty[1]
    aucs = [part.auc.value for part in results.splits.test.by_class]
    shown = class_curves.hardest_classes(results)
    assert len(shown) == 10
    assert shown == sorted(shown)
    assert max(aucs[label] for label in shown) <= min(aucs[label] for label in set(range(30)) - set(shown))
    names = [text.partition(":")[0] for text in legend_texts(draw_bands("draw_roc", thirty, 0))]
    assert names == [f"class {label}" for label in shown]
    assert texts(class_curves.draw_confusion(results)) == []


def test_lines_of_all_classes_of_a_figure_differ():
    lines = {str(style.class_line(index)) for index in range(class_curves.MOST_CURVES)}
    assert len(lines) == class_curves.MOST_CURVES


@pytest.mark.parametrize(("name", "title"), [("even", "AUC by even"), ("label", "Accuracy by label")])
def test_accuracies_are_drawn_where_a_bin_lacks_a_class(name, title, three):
    runs, results = three
    test = runs[0].predictions["test"]
    value = {"even": np.arange(test.label.size), "label": test.label}[name].astype(float)
    observable = Observable(name=name, long_name=name, units="1", value=value)
    parts = [msgspec.structs.replace(of_run, slices=[slice_by(observable, *test.scored)]) for of_run in results]
    empty = {"ensembles": [], "seeds": [], "comparisons": [], "published": {}, "warnings": [], "notes": [], "files": []}
    document = MetricsDocument(confidence=0.95, runs=parts, **empty)
    (drawing,) = draw_slices(runs, document, find_stores(runs)[0])
    assert drawing.figure.axes[0].get_title(loc="left") == title
    assert drawing.alt.startswith(f"Test {title.partition(' ')[0].replace('Acc', 'acc')} in bins of {name}: run-0 0.")
