"""Reports and model cards from hostile texts, in parsers and in a real browser."""

import functools
import json
import re
import unicodedata
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from evaluate.cli import app
from evaluate.published import CITATIONS, RESULTS
from tests.evaluate.class_runs import write_class_run
from tests.evaluate.conftest import write_run
from tests.evaluate.hostile import PAYLOADS, PLAIN, write_hostile_report
from tests.evaluate.test_browser import browse, needs_browser
from tests.evaluate.test_report import Page
from tests.examples import run_ingest, run_program

HARMLESS = re.compile(
    r"#[\w.-]+|(figures|tables)/[\w.-]+|model-card-\d\.md|metrics\.json|data:[\w,/;+=]*|data:image/png;base64,.*", re.S
)
KNOWN = {result.link for result in RESULTS} | {part.link for parts in CITATIONS.values() for part in parts}
WITNESS = """
const all = [...document.querySelectorAll("*")];
document.documentElement.dataset.seen = JSON.stringify({
  requests: performance.getEntriesByType("resource").length,
  scripts: document.scripts.length,
  frames: frames.length,
  handlers: all.filter(element => element.getAttributeNames().some(name => name.startsWith("on"))).length,
}).replaceAll('"', "'");
"""
STORES = {"two": ("real_store", write_run), "three": ("class_store", write_class_run)}
"""Fixtures of stores by their number of classes, each with the function that writes a run on it."""
OFTEN = {("two", "markup"), ("three", "markup")}  # cases that every run of the tests tries
LINKS = ("href", "src", "xlink:href", "action", "style")


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((kind, name), id=f"{kind}-{name}", marks=() if (kind, name) in OFTEN else pytest.mark.slow)
        for kind in STORES
        for name in PAYLOADS
    ],
)
def case(request):
    """The kind of the store, and the name of a payload."""
    return request.param


@pytest.fixture(scope="module")
def write(request, tmp_path_factory):
    """Writes a report on a kind of store with a payload, once."""

    @functools.cache
    def write_once(kind, payload):
        store, write_on_it = STORES[kind]
        return write_hostile_report(
            request.getfixturevalue(store), tmp_path_factory.mktemp("hostile"), payload, write_on_it
        )

    return write_once


@pytest.fixture(scope="module")
def plain(case, write):
    """The report as it is with harmless texts, from which the others may differ only in the texts."""
    return write(case[0], PLAIN)[0]


@pytest.fixture(scope="module")
def hostile(case, write):
    return write(case[0], PAYLOADS[case[1]])


UNSEEN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def unseen(text: str) -> set[str]:
    """Return the characters of a text that cannot be seen, or that change how what follows is shown."""
    return {character for character in text if unicodedata.category(character) in UNSEEN} - {"\n"}


def read(path: Path) -> str:
    return path.read_bytes().decode()


def elements(page: Page) -> set[tuple[str, ...]]:
    """Return each kind of element with the names of its attributes."""
    return {(tag, *sorted(attributes)) for tag, attributes in page.elements}


def outside_figures(page: Page) -> Counter[tuple[str, ...]]:
    drawn = {"svg", "g", "path", "text", "tspan", "use", "defs", "rect", "clippath", "image", "line"}
    return Counter((tag, *sorted(attributes)) for tag, attributes in page.elements if tag not in drawn)


def test_texts_add_no_element_and_no_attribute_to_the_page(hostile, plain):
    page, expected = (Page(read(report / "index.html")) for report in (hostile[0], plain))
    assert outside_figures(page) == outside_figures(expected)
    assert elements(page) <= elements(expected)
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]


def test_texts_are_in_the_page(hostile):
    report, places = hostile
    text = "".join(Page(read(report / "index.html")).text)
    shown = {int(number) for number in re.findall(r"place-(\d+)", text)}
    missing = [place for number, place in enumerate(places.places, 1) if number not in shown]
    assert len(shown) > 30, missing


def test_the_page_links_to_nothing_but_its_own_files(hostile):
    report, _ = hostile
    links = [
        (name, value)
        for _, attributes in Page(read(report / "index.html")).elements
        for name, value in attributes.items()
        if name in LINKS and not (name == "style" and "url(" not in value)
    ]
    assert links
    targets = {target for name, target in links if name != "style"} - KNOWN
    assert {target for target in targets if not HARMLESS.fullmatch(target)} == set()
    assert [link for link in links if link[0] == "style" and not re.fullmatch(r"[^()]*", link[1])] == []


def test_the_policy_allows_the_own_script_and_no_other(hostile):
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', read(hostile[0] / "index.html"))
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert re.fullmatch(r"'sha256-[\w+/=]+'", rules["script-src"])


def test_figures_are_well_formed_and_have_no_other_elements(hostile, plain):
    def kinds(report):
        trees = [ET.parse(path) for path in sorted((report / "figures").glob("*.svg"))]
        return {(element.tag, *sorted(element.attrib)) for tree in trees for element in tree.iter()}

    found = kinds(hostile[0])
    assert found
    assert found <= kinds(plain)


def test_no_file_has_invisible_characters_or_a_name_that_needs_quotes(hostile):
    report, _ = hostile
    for path in report.rglob("*"):
        assert re.fullmatch(r"[\w.-]{1,240}", path.name)
        if path.suffix in (".html", ".md", ".svg", ".json"):
            assert not unseen(read(path)), path


def test_a_terminal_shows_no_invisible_characters(hostile, tmp_path):
    report, _ = hostile
    first, second = sorted(path.parent for path in report.parent.rglob("config.json"))
    (store,) = (path.parent.parent for path in report.parent.rglob("image/zarr.json"))
    table = tmp_path / f"{first.name}.csv"
    table.write_bytes(b"row,score,\x1b[2J<script>\n1,0.5,\x1b]0;x\x07\n2,0.25,b\n")
    outcomes = [
        run_program(app, "report", "compare", *pair) for pair in ((first, first), (first, second), (table, table))
    ]
    outcomes += [run_program(app, "report", second, table), run_ingest("info", store)]
    assert [outcome.status for outcome in outcomes] == [0, 1, 0, 1, 0]
    assert unseen("".join(outcome.out + outcome.err for outcome in outcomes)) == set()


def test_a_model_card_has_no_other_elements(hostile, plain):
    markdown = MarkdownIt("commonmark", {"html": True}).enable("table")
    for number in (1, 2):
        name = f"model-card-{number}.md"
        page, expected = (Page(markdown.render(read(report / name))) for report in (hostile[0], plain))
        found, wanted = (Counter(tag for tag, _ in one.elements) for one in (page, expected))
        assert found <= wanted
        assert (wanted - found).keys() <= {"code"}  # some texts cannot be code
        assert not page.attributes("a")
        assert not page.attributes("img")


def test_numbers_are_json(hostile):
    assert len(json.loads(read(hostile[0] / "metrics.json"))["runs"]) == 2


@needs_browser
def test_texts_run_no_script_and_ask_for_nothing_even_without_a_policy(hostile, tmp_path):
    report, places = hostile
    protected = read(report / "index.html")
    open_page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", protected)
    assert open_page != protected
    unprotected = tmp_path / "index.html"
    unprotected.write_text(open_page.replace("</body>", f"<script>{WITNESS}</script></body>"))
    for page in (report / "index.html", unprotected):
        html, complaints = browse(page, tmp_path, "--dump-dom", "--virtual-time-budget=2000")
        assert complaints == []
        ran = re.search(r'<html[^>]*data-ran="place-(\d+)', html)
        assert not ran, places.places[int(ran[1]) - 1]
    seen = json.loads(re.search(r'data-seen="([^"]*)"', html)[1].replace("'", '"'))
    assert seen == {"requests": 0, "scripts": 2, "frames": 0, "handlers": 0}


@needs_browser
def test_a_script_of_a_hostile_text_would_be_noticed(tmp_path):
    page = tmp_path / "bad.html"
    page.write_text(f"<p>{PAYLOADS['markup'].replace('{n}', 'place-1')}</p>")
    assert 'data-ran="place-1"' in browse(page, tmp_path, "--dump-dom", "--virtual-time-budget=2000")[0]
