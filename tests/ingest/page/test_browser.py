"""The page of a store in a real browser: pictures are drawn, images are filtered and stepped through."""

import base64
import hashlib
import json
import re

import pytest

from ingest.page.page import write_page
from store.pages.style import PANEL
from tests.evaluate.test_browser import ARTIFACTS, PHONE, browse, needs_browser

pytestmark = needs_browser
PROBE = """{
const page = document.documentElement, find = name => document.getElementById(name);
const press = key => find("next").dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
const change = (name, value) => { find(name).value = value; find(name).dispatchEvent(new Event("input")); };
const status = () => find("status").textContent;
const labels = () => [...document.querySelectorAll("#thumbnails button")].map(button => button.textContent);
const pixels = canvas => {
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  return copy.getImageData(0, 0, canvas.width, canvas.height).data;
};
const steps = [status()];
press("ArrowRight");
steps.push(status());
press("ArrowLeft");
steps.push(status());
find("next").click();
steps.push(status());
change("class", "1");
const filtered = [status(), labels()];
change("split", "2");
change("from", "1e9");
const none = [status(), labels().length];
change("from", "");
change("class", "");
const facts = find("facts").textContent, test = labels();
page.dataset.probe = JSON.stringify({
  overflow: page.scrollWidth - page.clientWidth,
  requests: performance.getEntriesByType("resource").length,
  paper: getComputedStyle(document.body).backgroundColor,
  pictures: [...document.querySelectorAll(".picture")].map(box => [
    box.ariaLabel, box.querySelector(".cells").getBoundingClientRect().width, box.querySelectorAll(".bar span").length,
    new Set(new Uint32Array(pixels(box.querySelector("canvas")).buffer)).size,
  ]),
  corner: [...pixels(document.querySelector("#single canvas")).slice(0, 3)],
  small: Math.min(...[...document.querySelectorAll("#thumbnails canvas")].map(c => c.getBoundingClientRect().width)),
  named: [...document.querySelectorAll("#gallery :is(select, input)")].every(control => control.closest("label")),
  steps, filtered, none, facts, test,
}).replaceAll('"', "'");
}"""


@pytest.fixture(scope="module")
def pages(showers, tmp_path_factory):
    """A folder with the page of a store, and a copy of it with a script that measures it, also in a narrow frame."""
    folder = tmp_path_factory.mktemp("page")
    html = write_page(showers, folder / "index.html").read_text()
    digest = base64.b64encode(hashlib.sha256(PROBE.encode()).digest()).decode()
    probed = html.replace("</body>", f"<script>{PROBE}</script></body>")
    (folder / "probe.html").write_text(probed.replace("script-src ", f"script-src 'sha256-{digest}' "))
    (folder / "phone.html").write_text(PHONE)
    return folder


@pytest.mark.parametrize(("name", "flags"), [("probe", ["--blink-settings=preferredColorScheme=0"]), ("phone", [])])
def test_images_are_drawn_filtered_and_stepped_through(name, flags, pages, tmp_path):
    html, complaints = browse(pages / f"{name}.html", tmp_path, "--dump-dom", "--allow-file-access-from-files", *flags)
    assert complaints == []
    seen = json.loads(re.search(r'data-probe="([^"]*)"', html)[1].replace("'", '"'))
    assert (seen["overflow"], seen["requests"], seen["named"]) == (0, 0, True)
    assert seen["paper"] == ("rgb(21, 24, 29)" if flags else "rgb(255, 255, 255)")
    assert seen["corner"] == [int(PANEL[k : k + 2], 16) for k in (1, 3, 5)]  # in both themes
    assert len(seen["pictures"]) == 8  # two classes and their difference in two channels, and one image
    for label, width, ticks, colours in seen["pictures"]:
        assert label
        assert width >= 140
        assert ticks >= 3
        assert colours > 5
    assert seen["small"] >= 140
    assert [step.partition(" of ")[0] for step in seen["steps"]] == ["Image 1", "Image 2", "Image 1", "Image 2"]
    assert re.fullmatch(r"Image 1 of \d+", seen["filtered"][0])
    assert seen["filtered"][1]
    assert all(label.startswith("electron") for label in seen["filtered"][1])
    assert seen["none"] == ["No image passes the filter", 0]
    assert all("test" in label and "GeV" in label for label in seen["test"])
    assert "position in the store" in seen["facts"]


def test_pictures_of_the_page_are_kept(pages, tmp_path):
    ARTIFACTS.mkdir(exist_ok=True)
    for name, flags in {
        "store": ["--window-size=1280,4600"],
        "store-dark": ["--window-size=1280,4600", "--blink-settings=preferredColorScheme=0"],
    }.items():
        picture = ARTIFACTS / f"{name}.png"
        assert browse(pages / "index.html", tmp_path, f"--screenshot={picture}", *flags)[1] == []
        assert picture.stat().st_size > 50_000
    paper = ARTIFACTS / "store.pdf"
    assert browse(pages / "index.html", tmp_path, f"--print-to-pdf={paper}")[1] == []
    assert paper.read_bytes().startswith(b"%PDF-")
