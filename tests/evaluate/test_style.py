import re
import xml.etree.ElementTree as ET

import pytest

from evaluate import curves, style


@pytest.fixture
def figure(two_runs):
    return curves.draw_roc(two_runs)


def test_files_are_the_same_bytes_every_time(two_runs, tmp_path):
    first = style.save(curves.draw_roc(two_runs), tmp_path / "first")
    second = style.save(curves.draw_roc(two_runs), tmp_path / "second")
    assert [path.name for path in first] == ["first.svg", "first.png", "first.pdf"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


@pytest.mark.parametrize("title", ["", "Title"])
def test_the_origin_of_the_data_is_in_the_figure_and_hides_nothing(figure, tmp_path, title):
    if title:
        figure.suptitle(title)
    svg = style.save(figure, tmp_path / "roc", "Geant4 simulation")[0].read_text()
    assert "Geant4 simulation" in svg
    assert title in svg
    figure.canvas.draw()
    (origin,) = [text for text in figure.texts if text.get_text() == "Geant4 simulation"]
    origin_box = origin.get_window_extent()
    other_boxes = [figure.axes[0].get_tightbbox(), *(legend.get_window_extent() for legend in figure.legends)]
    other_boxes += [text.get_window_extent() for text in figure.texts if text is not origin and text.get_text()]
    assert not any(origin_box.overlaps(other) for other in other_boxes)


def test_svg_files_are_well_formed_and_undated(figure, tmp_path):
    text = style.save(figure, tmp_path / "roc")[0].read_text()
    assert ET.fromstring(text).tag.endswith("svg")
    assert "dc:date" not in text


def test_inline_svg_takes_the_colours_of_the_page(figure, tmp_path):
    svg = style.inline_svg(style.save(figure, tmp_path / "roc")[0].read_text(), "roc", "A curve")
    assert "var(--run-0)" in svg
    assert "var(--ink)" in svg
    assert not re.search(r": #[0-9a-f]{6}", svg)
    assert "font-family" not in svg
    assert "http" not in svg


def test_inline_svg_is_named_and_its_ids_are_its_own(figure, tmp_path):
    text = style.save(figure, tmp_path / "roc")[0].read_text()
    svg = style.inline_svg(text, "one", 'Quote " and <tag>')
    assert svg.startswith('<svg role="img" aria-label="Quote &quot; and &lt;tag&gt;" viewBox="')
    ids = re.findall(r'\bid="([^"]*)"', svg)
    references = re.findall(r'url\(#([^)]*)\)|href="#([^"]*)"', svg)
    assert ids
    assert all(name.startswith("one-") for name in ids)
    assert len(set(ids)) == len(ids)
    assert {first or second for first, second in references} <= set(ids)


def test_a_text_that_looks_like_an_attribute_stays_as_it_is(tmp_path):
    text = 'a font-family: b; id="c" href="#d" url(#e) : #1b1e24 <style> viewBox="f"'
    figure, _ = style.new_figure("title", text[:60], text[60:])
    svg = style.inline_svg(style.save(figure, tmp_path / "figure")[0].read_text(), "one", "alt")
    shown = [element.text for element in ET.fromstring(svg.replace("xlink:", "")).iter() if element.tag == "text"]
    assert {text[:60], text[60:].strip()} <= set(shown)


def test_a_long_or_invisible_text_does_not_reach_a_figure(tmp_path):
    text = "x\n" * 5000 + "\u202e\x1b\ud800"
    figure, _ = style.new_figure(text, text, text)
    svg = style.save(figure, tmp_path / "figure", text)[0].read_text()
    assert max(len(element.text or "") for element in ET.fromstring(svg).iter()) <= style.LONGEST_ORIGIN
    assert r"\u202e\x1b\ud800" in svg


@pytest.mark.parametrize(
    ("text", "length", "expected"),
    [("short", 5, "short"), ("abcdefgh", 5, "ab…gh"), ("two\nlines", 9, "two lines"), ("\x1b", 4, r"\x1b")],
)
def test_shorten(text, length, expected):
    assert style.shorten(text, length) == expected


@pytest.mark.parametrize("text", ['"><script>', "../../etc/passwd", "a b", "é", "a.b", "a.2e.b"])
def test_identifiers_have_only_harmless_characters(text):
    identifier = style.as_identifier(text)
    assert re.fullmatch(r"[A-Za-z0-9._-]+", identifier)
    assert not identifier.startswith("..")
    assert re.sub(r"\.([0-9a-f]+)\.", lambda match: chr(int(match[1], 16)), identifier) == text


def test_long_identifiers_are_cut_and_stay_different():
    first, second = (style.as_identifier("<" * 250 + end) for end in "ab")
    assert first != second
    assert len(first) == len(second) < 100


def test_ordinary_names_are_their_own_identifiers():
    assert style.as_identifier("total_energy-2") == "total_energy-2"


def test_twice_as_many_runs_as_colours_look_different():
    count = 2 * len(style.RUN_COLOURS)
    assert len({str(style.run_line(index)) for index in range(count)}) == count


def contrast(first, second):
    """Contrast ratio of two colours after WCAG 2."""

    def luminance(colour):
        channels = [int(colour[offset : offset + 2], 16) / 255 for offset in (1, 3, 5)]
        linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("page", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("name", "least"), [("ink", 7), ("muted", 4.5), *((name, 2) for name in style.THEME if name[-1].isdigit())]
)
def test_colours_stand_out_from_the_page(name, least, page):
    assert contrast(style.THEME[name][page], style.THEME["paper"][page]) >= least
