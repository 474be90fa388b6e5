import itertools

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.text import Text

from evaluate import curves, history_curves, ranking, score_curves, slice_curves, style
from evaluate.observables import Observable
from evaluate.runs import load_runs
from evaluate.slices import slice_by

DRAW = {
    "roc": curves.draw_roc,
    "rejection": curves.draw_rejection,
    "calibration": curves.draw_calibration,
    "loss": lambda runs: history_curves.draw_history(runs, "loss"),
    "accuracy": lambda runs: history_curves.draw_history(runs, "accuracy"),
    "auc": lambda runs: history_curves.draw_history(runs, "auc"),
    "learning-rate": history_curves.draw_learning_rate,
    "auc-by-time": history_curves.draw_auc_by_time,
    "scores": lambda runs: score_curves.draw_scores(runs[0]),
}


def legend_texts(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


@pytest.mark.parametrize("name", sorted(set(DRAW) - {"auc-by-time"}))
def test_legends_hide_nothing(name, two_runs):
    figure = DRAW[name](two_runs)
    style.lay_out(figure)
    figure.draw_without_rendering()
    bottom = figure.axes[0].get_tightbbox().y0
    extents = [legend.get_window_extent() for legend in figure.legends]
    assert extents
    assert all(extent.y1 <= bottom for extent in extents)
    assert all(extent.y0 >= 0 and extent.x0 >= 0 and extent.x1 <= figure.bbox.x1 for extent in extents)


@pytest.mark.parametrize("name", ["roc", "rejection", "calibration", "loss"])
def test_every_run_is_in_the_legend_as_it_is_called(name, make_run):
    names = ["_hidden", "$a_1$", "a<b>&c"]
    texts = legend_texts(DRAW[name](load_runs([make_run(name) for name in names])))
    for run in names:
        assert any(text.startswith(run) for text in texts)


def test_long_names_lose_their_middle(make_run):
    figure = curves.draw_roc(load_runs([make_run("a" * 60 + "z" * 60)]))
    (text,) = legend_texts(figure)
    assert text.startswith("aaa")
    assert "…" in text
    figure.draw_without_rendering()
    assert figure.legends[0].get_window_extent().x1 <= figure.bbox.x1


def test_roc_lines_are_the_roc_curves(two_runs):
    lines = curves.draw_roc(two_runs).axes[0].get_lines()[-2:]
    for line, run in zip(lines, two_runs, strict=True):
        curve = ranking.roc(run.predictions["test"].label, run.predictions["test"].score)
        background, signal = line.get_data()
        np.testing.assert_allclose(signal, np.interp(background, curve.background, curve.signal))
        assert (background[0], background[-1]) == (0, 1)


def test_ratios_are_drawn_to_the_first_run(two_runs):
    upper, lower = curves.draw_roc(two_runs).axes
    first, second = (line.get_ydata() for line in upper.get_lines()[-2:])
    np.testing.assert_allclose(lower.get_lines()[-1].get_ydata()[1:], second[1:] / first[1:])
    assert lower.get_title(loc="left") == "ratio to cnn-torch"
    assert len(curves.draw_roc(two_runs[:1]).axes) == 1


def test_rejection_is_drawn_where_it_is_finite(two_runs):
    for line in curves.draw_rejection(two_runs).axes[0].get_lines():
        efficiency, rejection = line.get_data()
        drawn = np.isfinite(rejection)
        assert np.all(np.diff(drawn.astype(int)) >= 0)
        assert efficiency[-1] == 1
        assert rejection[drawn].min() >= 1


def test_history_lines_are_both_splits_of_every_run(two_runs):
    lines = history_curves.draw_history(two_runs, "loss").axes[0].get_lines()
    drawn = [(line.get_color(), line.get_ydata().tolist()) for line in lines]
    for index, run in enumerate(two_runs):
        for split in ("train", "validation"):
            assert (style.run_colour(index), run.history[f"{split}_loss"].tolist()) in drawn
    assert len(drawn) == 4


def test_baselines_do_not_squeeze_the_networks(make_run):
    runs = load_runs([make_run("network"), make_run("trees", "trees", epochs=180)])
    axes = history_curves.draw_history(runs, "loss").axes[0]
    assert max(len(line.get_xdata()) for line in axes.get_lines()) == 3  # 0.7 / 180 is far from the network's losses
    level = history_curves.draw_history(runs, "auc").axes[0].get_lines()[-1]
    assert (level.get_color(), *level.get_ydata()) == (style.run_colour(1), 0.8, 0.8)
    panels = history_curves.draw_baselines(runs).axes
    assert [len(line.get_xdata()) for axes in panels for line in axes.get_lines()] == [180] * 6
    assert {line.get_marker() for axes in panels for line in axes.get_lines()} == {""}


def test_the_learning_rate_is_that_of_each_epoch(two_runs):
    (first, _) = history_curves.draw_learning_rate(two_runs).axes[0].get_lines()
    np.testing.assert_array_equal(first.get_ydata(), [1e-3] * 3)


def test_auc_is_drawn_against_the_time_it_took(two_runs):
    for line, run in zip(history_curves.draw_auc_by_time(two_runs).axes[0].get_lines(), two_runs, strict=True):
        seconds, auc = line.get_data()
        np.testing.assert_allclose(seconds, np.arange(1, 4) * run.history["seconds"][0])
        np.testing.assert_array_equal(auc, run.history["validation_auc"])


def test_names_of_ten_curves_that_end_together_are_apart(make_run):
    """They are inside the figure, too, beside the axes."""
    runs = load_runs([make_run(f"run-{number:02}-with-a-name-that-is-long", seed=number) for number in range(10)])
    figure = history_curves.draw_auc_by_time(runs)
    style.lay_out(figure)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    boxes = sorted((Text.get_window_extent(text) for text in axes.texts), key=lambda box: box.y0)
    assert len(boxes) == 10
    assert all(below.y1 <= above.y0 for below, above in itertools.pairwise(boxes))
    assert all(axes.bbox.x1 < box.x0 and box.x1 <= figure.bbox.x1 and box.y0 >= 0 for box in boxes)


def test_score_histograms_have_unit_area(two_runs):
    outlines = [patch.get_data() for patch in score_curves.draw_scores(two_runs[0]).axes[0].patches]
    assert len(outlines) == 4
    for values, edges, _ in outlines:
        assert np.sum(values * np.diff(edges)) == pytest.approx(1)


def test_axes_name_the_classes(two_runs):
    upper, lower = curves.draw_roc(two_runs).axes
    assert (lower.get_xlabel(), upper.get_ylabel()) == ("photon efficiency", "electron efficiency")


def test_drawing_leaves_matplotlib_as_it_was(two_runs):
    before = dict(mpl.rcParams)
    for draw in DRAW.values():
        draw(two_runs)
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize(("low", "label"), [(2**53, "event number − 9007199254740992"), (10, "event number")])  # noqa: RUF001
def test_an_axis_of_large_numbers_counts_from_the_lowest(low, label, two_runs):
    value = low + 7.0 * np.arange(200)
    observable = Observable(name="event", long_name="event number", units="1", value=value)
    test = two_runs[0].predictions["test"]
    part = slice_by(observable, test.label, test.score, best_threshold=0.5)
    axes = slice_curves.draw_sliced({0: two_runs[0]}, [part]).axes[0]
    assert axes.get_xlabel() == label
    origin = low if label != "event number" else 0
    points = axes.get_lines()[0].get_xdata()
    np.testing.assert_allclose(points, [part.mean - origin for part in part.bins], atol=1)


def test_a_few_values_far_off_do_not_squeeze_the_bins(two_runs):
    value = np.append([-1000.0], np.linspace(10, 11, 199))
    test = two_runs[0].predictions["test"]
    part = slice_by(Observable(name="e", long_name="e", units="1", value=value), *test.scored[:2], best_threshold=0.5)
    left, right = slice_curves.draw_sliced({0: two_runs[0]}, [part]).axes[0].get_xlim()
    assert part.bins[0].low == -1000
    assert -60 < left < 10
    assert right > 11
