import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from ingest.page.gallery import first_of_each
from ingest.page.page import write_page
from ingest.page.scales import logarithmic, symmetric
from ingest.page.shuffling import explain
from ingest.page.stretch import Stretch, Total
from store.datasets import ELECTRON_PHOTON, QUARK_GLUON, Channel
from store.opening import open_dataset, open_store
from store.pages.beside import GENERATOR
from store.plans.shuffle_quality import ShuffleQuality
from tests.evaluate.hostile import PAYLOADS, Places, write_hostile_store
from tests.evaluate.test_report import Page
from tests.examples import run_ingest

SCRIPTS = re.compile(r"<script[^>]*>.*?</script>", re.DOTALL)


@pytest.fixture(scope="module")
def page(showers, tmp_path_factory):
    return write_page(showers, tmp_path_factory.mktemp("page") / "store.html").read_text()


def test_says_what_is_in_the_store_and_where_it_comes_from(showers, page):
    text = " ".join("".join(Page(SCRIPTS.sub("", page)).text).split())
    store = open_store(showers)
    for words in (store.digest, "240", "80", "hit time", "Published statistics", "as often as by chance", "Batches of"):
        assert words.lower() in text.lower()
    for source in store.attributes["sources"]:
        assert source["name"] in text
        assert source["sha256"] in text


def test_is_the_same_when_written_again(showers, page, tmp_path):
    assert write_page(showers, tmp_path / "again.html").read_text() == page


def test_of_three_classes_has_their_weights_and_variables(three_classes, tmp_path):
    output = tmp_path / "new folder" / "page.html"
    outcome = run_ingest("page", three_classes, "--output", output)
    assert (outcome.status, outcome.out.strip()) == (0, str(output)), outcome.err
    html = output.read_text()
    assert "sum of weights" in html
    assert html.count("data-picture=") == 2 * 3 * len(open_store(three_classes).spec.channels)
    assert 'id="variable-0-' in html


def test_is_beside_its_store_and_replaced(three_classes, tmp_path):
    store, beside = tmp_path / "three.zarr", tmp_path / "three.html"
    shutil.copytree(three_classes, store)
    beside.write_text(f'<!doctype html>\n<meta name="generator" content="{GENERATOR}">')
    assert run_ingest("page", store, "--seed", "3").status == 0
    assert "seed 3" in beside.read_text()


def test_replaces_nothing_but_a_page(showers, tmp_path):
    other = tmp_path / "thesis.html"
    other.write_text("mine")
    for output, reason in (
        (other, "exists and is not a page of a store"),
        (tmp_path, "is a folder"),
        (showers / "page.html", "lies inside the Zarr store"),
        ("s3://bucket/page.html", "a page is written to this machine"),
    ):
        outcome = run_ingest("page", showers, "--output", output)
        assert outcome.status == 1
        assert reason in outcome.err
        assert outcome.err.count("\n") == 1
    assert other.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.html"]


def test_of_nothing_is_refused(tmp_path):
    outcome = run_ingest("page", tmp_path / "none.zarr")
    assert outcome.status == 1
    assert outcome.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


OFTEN = {"markup"}


@pytest.mark.parametrize(
    "payload", [pytest.param(name, marks=() if name in OFTEN else pytest.mark.slow) for name in PAYLOADS]
)
def test_texts_of_a_store_add_no_element(payload, three_classes, tmp_path):
    def elements(text):
        folder = tmp_path / text[:3].replace("/", "").replace("'", "x")
        folder.mkdir()
        store = write_hostile_store(three_classes, folder, Places(text))
        html = write_page(store, folder / "page.html").read_text(encoding="utf-8", errors="surrogatepass")
        found = Page(html).elements
        return [(tag, sorted(attributes)) for tag, attributes in found if tag not in ("path", "tspan", "br", "code")]

    assert elements(PAYLOADS[payload]) == elements("plain {n}")


def test_a_stretch_is_what_the_store_holds(showers):
    stretch = Stretch.draw(open_store(showers), "test", 5)
    rows = first_of_each(stretch.label, 3, 2)
    assert np.bincount(stretch.label[rows]).tolist() == [3, 3]
    images = open_dataset(showers).image.values
    np.testing.assert_array_equal(stretch.read(rows), images[stretch.start + rows])
    for part, block in stretch.images():
        np.testing.assert_array_equal(block, images[stretch.start + part.start : stretch.start + part.stop])


def test_the_energy_of_an_image_is_in_physical_units(showers):
    dataset, total = open_dataset(showers), Total.of(ELECTRON_PHOTON)
    energy, hits = total.measure(dataset.image.values)
    assert (total.name, total.unit) == ("energy", "GeV")
    np.testing.assert_allclose(energy, dataset.calo.energy().values)
    np.testing.assert_array_equal(hits, (dataset.image.sel(channel="energy").values != 0).sum((1, 2)))


def test_without_units_channels_are_added_up_as_they_are():
    assert Total.of(QUARK_GLUON).name == "tracks + ecal + hcal"
    clock = Channel(name="clock", long_name="clock", unit="ns", scale=2)
    total = Total.of(replace(ELECTRON_PHOTON, channels=(clock, replace(clock, name="late"))))
    assert (total.name, total.unit, total.scale.tolist()) == ("clock + late", "ns", [2, 2])


def test_scales_cover_what_there_is():
    scale = logarithmic(np.array([-1.0, 0, 1e-9, 0.5, 20]), "energy (GeV)")
    assert (scale.low, scale.high, scale.ticks) == (20e-4, 20, [0.01, 0.1, 1, 10])
    assert logarithmic(np.zeros(3), "").high == 1
    assert symmetric(np.array([-3.0, 2]), "").ticks == [-1, -0.1, 0, 0.1, 1]


@pytest.mark.parametrize(
    ("companions", "balance", "words"),
    [
        (1.02, 0.97, ("meet again in the next epoch as often as by chance", "as evenly as by chance")),
        (40.2, 0.1, ("40.2 times as often as by chance", "more evenly")),
        (1.0, 9.0, ("as often as by chance", "less evenly")),
    ],
)
def test_shuffling_is_explained_in_words(companions, balance, words):
    explanation = explain("chunks", ShuffleQuality(companions=companions, balance=balance))
    assert words[0] in explanation.together
    assert words[1] in explanation.balance
