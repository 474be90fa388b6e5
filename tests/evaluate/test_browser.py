"""The page in a real browser: Debian's chromium, driven from the command line."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")
pytestmark = needs_browser

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
    "--v=0",
)
ARTIFACTS = Path(__file__).parents[1] / "artifacts"
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
PHONE = """<!doctype html>
<title>a page in a window of a phone's width, which is less than a window of chromium can have</title>
<iframe src="probe.html" style="width: 360px; height: 800px; border: 0"></iframe>
<script>
onload = () => { document.documentElement.dataset.probe = frames[0].document.documentElement.dataset.probe; };
</script>
"""


def browse(page, tmp_path, *flags):
    """Return what the browser wrote to standard output and to its log."""
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *flags, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if ":CONSOLE" in line]


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
    digest = base64.b64encode(hashlib.sha256(PROBE.encode()).digest()).decode()
    (folder / "probe.html").write_text(probed.replace("script-src ", f"script-src 'sha256-{digest}' "))
    (folder / "phone.html").write_text(PHONE)
    return folder


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
    assert len(measured["figures"]) == (report / "index.html").read_text().count("<figure>")
    assert all(name and box > 200 and height > 100 for name, box, height in measured["figures"])
    assert all(measured["tables"])
    assert all(alt and width > 0 for alt, width in measured["images"])
    assert len(measured["sorted"]) == 12  # of two runs and their mean
    assert measured["sorted"] == sorted(measured["sorted"])


def test_the_page_is_dark_where_the_reader_likes_it(report, tmp_path):
    light = probe(report / "probe.html", tmp_path)["paper"]
    dark = probe(report / "probe.html", tmp_path, "--blink-settings=preferredColorScheme=0")["paper"]
    assert (light, dark) == ("rgb(255, 255, 255)", "rgb(21, 24, 29)")


def test_complaints_of_the_browser_are_seen(tmp_path):
    page = tmp_path / "bad.html"
    page.write_text("<script>missing()</script>")
    assert "missing is not defined" in browse(page, tmp_path, "--dump-dom")[1][0]


def test_the_page_runs_no_script_but_its_own(report, tmp_path):
    html, complaints = browse(report / "forbidden.html", tmp_path, "--dump-dom")
    assert "data-probe" not in html
    assert "Content Security Policy" in complaints[0]


def test_pictures_of_the_page_are_kept(report, tmp_path):
    """The pictures are in tests/artifacts, where people can look at them."""
    ARTIFACTS.mkdir(exist_ok=True)
    picture, paper = ARTIFACTS / "report.png", ARTIFACTS / "report.pdf"
    assert browse(report / "index.html", tmp_path, f"--screenshot={picture}", "--window-size=1280,6000")[1] == []
    assert browse(report / "index.html", tmp_path, f"--print-to-pdf={paper}")[1] == []
    assert picture.stat().st_size > 50_000
    assert paper.read_bytes().startswith(b"%PDF-")
