import html
import json
import re

import pytest

from evaluate import curves, series, style


@pytest.fixture
def plot(two_runs, tmp_path):
    """The ROC curves of two runs as an element of a page, and what its script is told."""
    figure = curves.draw_roc(two_runs)
    svg = style.save(figure, tmp_path / "roc")[0].read_text()
    names = series.name(("photon", "electron"), ['<b>"first"', "second", "unused"])
    element = series.interactive(style.inline_svg(svg, "roc", "ROC"), figure, names)
    return element, json.loads(html.unescape(re.search(r'data-plot="([^"]*)"', element)[1])), two_runs


def test_a_page_knows_the_names_of_the_series_it_shows(plot):
    element, data, _ = plot
    assert data["names"] == {"run-0": '<b>"first"', "run-1": "second"}
    assert "<b>" not in element
    for name in data["names"]:
        for part, least in (("value", 1), ("part", 1), ("key", 2)):
            assert element.count(f'data-series="{name}" data-part="{part}"') >= least
    assert element.count('data-part="value"') == 3  # two curves and a ratio


def test_values_can_be_read_from_the_drawing(plot):
    element, data, runs = plot
    box = data["axes"][0]
    assert (box["label"], box["title"]) == ("photon efficiency", "electron efficiency")
    group = re.search(r'data-series="run-1" data-part="value">.*?<path d="([^"]*)"', element, re.DOTALL)[1]
    points = [tuple(map(float, pair)) for pair in re.findall(r"[ML] (\S+) (\S+)", group)]
    expected = curves.measure_bands([run.predictions["test"] for run in runs])[1].signal.value
    assert len(points) == len(expected)
    for (_, y), value in zip(points, expected, strict=True):
        assert (box["bottom"] - y) / (box["bottom"] - box["top"]) == pytest.approx(value, abs=1e-4)


def test_ids_are_in_a_file_once(two_runs, tmp_path):
    svg = style.save(curves.draw_calibration(two_runs), tmp_path / "calibration")[0].read_text()
    ids = re.findall(r'\bid="([^"]*)"', svg)
    assert len(ids) == len(set(ids))


def test_a_figure_without_series_stays_as_it_is(tmp_path):
    figure, _ = style.new_figure("title", "x", "y")
    svg = style.inline_svg(style.save(figure, tmp_path / "plain")[0].read_text(), "plain", "alt")
    assert series.interactive(svg, figure, {}) == svg
