"""The page of a report in a real browser."""

import base64
import hashlib
import json
import re
import shutil

import numpy as np
import pytest

from evaluate.bands import BACKGROUND_EFFICIENCIES, measure_bands
from evaluate.runs import load_runs
from tests.browser import ARTIFACTS, DARK, browse, needs_browser, photograph

pytestmark = needs_browser

PROBE = """
const widths = document.documentElement;
document.querySelector(".sortable th:nth-child(4) button").click();
const rows = [...document.querySelector(".sortable").tBodies[0].rows];
document.documentElement.dataset.probe = JSON.stringify({
  overflow: widths.scrollWidth - widths.clientWidth,
  letters: Math.min(
    ...[...document.querySelectorAll("figure svg text")].map(text => text.getBoundingClientRect().height)
  ),
  figures: [...document.querySelectorAll("figure svg")].map(svg => {
    const box = svg.getBoundingClientRect();
    return [svg.getAttribute("aria-label"), box.width, box.height];
  }),
  images: [...document.querySelectorAll("img")].map(image => [image.alt, image.naturalWidth]),
  sorted: rows.map(row => Number(row.cells[3].dataset.value)),
  requests: performance.getEntriesByType("resource").map(entry => entry.name),
  paper: getComputedStyle(document.body).backgroundColor,
  tables: [...document.querySelectorAll("table")].map(table => Boolean(table.closest("[aria-label]"))),
});
"""
HANDS = """
const roc = document.querySelector("svg[data-plot]");
const box = JSON.parse(roc.dataset.plot).axes[0], frame = roc.getBoundingClientRect();
const scale = frame.width / roc.viewBox.baseVal.width;
const point = (x, y) => ({
  clientX: frame.left + scale * x, clientY: frame.top + scale * y, bubbles: true, pointerType: "mouse",
});
const read = () => {
  roc.dispatchEvent(new PointerEvent("pointermove", point((box.left + box.right) / 2, (box.top + box.bottom) / 2)));
  const readout = document.querySelector(".readout");
  return readout.hidden ? [] : [...readout.children].map(row => row.textContent);
};
const drawn = () => [...document.querySelectorAll('[data-series="run-1"]:not([data-part="key"])')]
  .filter(part => getComputedStyle(part).display !== "none").length;
const hands = { all: read(), before: drawn() };
const key = roc.querySelector('[data-series="run-1"][role="switch"]');
key.dispatchEvent(new MouseEvent("click", { bubbles: true }));
Object.assign(hands, { first: read(), hidden: drawn(), checked: key.ariaChecked });
key.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
Object.assign(hands, { again: drawn() });
roc.dispatchEvent(new PointerEvent("pointerleave"));
hands.left = document.querySelector(".readout").hidden;
document.documentElement.dataset.probe = JSON.stringify(hands);
"""
PHONE = """<!doctype html>
<title>a page in a window of a phone's width, which is less than a window of chromium can have</title>
<iframe src="probe.html" style="width: 360px; height: 800px; border: 0"></iframe>
<script>
onload = () => { document.documentElement.dataset.probe = frames[0].document.documentElement.dataset.probe; };
</script>
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory, store_report):
    return with_probes(store_report, tmp_path_factory.mktemp("browser") / "report")


@pytest.fixture(scope="module")
def class_report_with_probes(tmp_path_factory, class_report):
    return with_probes(class_report, tmp_path_factory.mktemp("browser-classes") / "report")


def with_probes(report, folder):
    """Copy a report, with copies of the page to which scripts that measure it have been added."""
    shutil.copytree(report, folder)
    probed = (folder / "index.html").read_text().replace("</body>", f"<script>{PROBE}</script></body>")
    (folder / "forbidden.html").write_text(probed)
    for name, script in (("probe", PROBE), ("hands", HANDS)):
        add_script(folder / "index.html", folder / f"{name}.html", script)
    (folder / "phone.html").write_text(PHONE)
    return folder


def add_script(page, copy, script):
    """Copy a page, with one more script that it allows."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    html = page.read_text().replace("script-src ", f"script-src 'sha256-{digest}' ")
    copy.write_text(html.replace("</body>", f"<script>{script}</script></body>"))


def probe(page, tmp_path, *flags):
    html, complaints = browse(page, tmp_path, "--dump-dom", "--allow-file-access-from-files", *flags)
    assert complaints == []
    match = re.search(r'data-probe="([^"]*)"', html)
    return json.loads(match[1].replace("&quot;", '"').replace("&amp;", "&"))


@pytest.mark.parametrize("page", ["phone.html", "probe.html"])
@pytest.mark.parametrize("name", ["report", "class_report_with_probes"])
def test_the_page_works_and_asks_for_nothing(page, name, request, tmp_path):
    report = request.getfixturevalue(name)
    measured = probe(report / page, tmp_path, "--window-size=1280,900")
    assert measured["requests"] == []
    assert measured["overflow"] == 0
    assert measured["letters"] > 8
    assert len(measured["figures"]) == (report / "index.html").read_text().count("<figure")
    assert all(name and box > 200 and height > 100 for name, box, height in measured["figures"])
    assert all(measured["tables"])
    assert all(alt and width > 0 for alt, width in measured["images"])
    assert len(measured["sorted"]) == 9  # of two runs and their mean
    assert measured["sorted"] == sorted(measured["sorted"])


def test_values_are_read_and_runs_are_hidden(report, store_report, tmp_path):
    hands = probe(report / "hands.html", tmp_path, "--window-size=1280,900")
    assert [row.partition(":")[0] for row in hands["all"]] == [
        "photon efficiency 0.5",
        "torch",
        "keras",
        "mean of 2 runs",
    ]
    curves = measure_bands([run.predictions["test"] for run in load_runs([store_report.parent / "torch"])])
    value = float(hands["all"][1].partition(": ")[2])
    assert value == pytest.approx(np.interp(0.5, BACKGROUND_EFFICIENCIES, curves[0].signal.value), abs=1e-3)
    assert [row.partition(":")[0] for row in hands["first"][1:]] == ["torch", "mean of 2 runs"]
    assert hands["hidden"] == 0
    assert hands["checked"] == "false"
    assert hands["again"] == hands["before"] > 10
    assert hands["left"]


def test_complaints_of_the_browser_are_seen(tmp_path):
    page = tmp_path / "bad.html"
    page.write_text("<script>missing()</script>")
    assert "missing is not defined" in browse(page, tmp_path, "--dump-dom")[1][0]


def test_the_page_runs_no_script_but_its_own(report, tmp_path):
    html, complaints = browse(report / "forbidden.html", tmp_path, "--dump-dom")
    assert "data-probe" not in html
    assert "Content Security Policy" in complaints[0]


PAPER = {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 24, 29)"}


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("theme", PAPER)
def test_pictures_of_the_report_are_kept(report, theme, width, tmp_path):
    flags = [DARK] if theme == "dark" else []
    measured = photograph(report / "index.html", f"report-{theme}-{width}", width, tmp_path, *flags)
    assert measured["paper"] == PAPER[theme]
    assert measured["overflow"] == 0
    assert measured["wide"] == []
    assert measured["height"] > 2000


def test_pictures_of_the_report_on_more_than_two_classes_are_kept(class_report_with_probes, tmp_path):
    measured = photograph(class_report_with_probes / "index.html", "report-classes-390", 390, tmp_path)
    assert (measured["overflow"], measured["wide"]) == (0, [])


def test_the_report_can_be_printed(report, tmp_path):
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    paper = ARTIFACTS / "report.pdf"
    assert browse(report / "index.html", tmp_path, f"--print-to-pdf={paper}")[1] == []
    assert paper.read_bytes().startswith(b"%PDF-")
    assert paper.read_bytes().count(b"/Type /Page\n") > 3


def test_the_report_is_complete_without_scripts(store_report):
    """The script may hide what it can show again; nothing is hidden before."""
    html = (store_report / "index.html").read_text()
    body = html[html.index("<body>") : html.index("<script>")]
    assert not re.search(r"display: ?none|\shidden[\s>=]|visibility: ?hidden", body)
    assert 'class="hint"' not in body
