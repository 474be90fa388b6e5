"""Report, occlusion and scores work for jets as for showers, with models that take variables and models that do not."""

import contextlib

import msgspec
import numpy as np
import pytest
import xarray as xr

import store
from evaluate import gallery, showers
from evaluate.occlude import occlude
from evaluate.report import write_report
from evaluate.results import GallerySample, StoreIdentity
from evaluate.score import score
from store.datasets import QUARK_GLUON, SPLITS
from store.predictions import Predictions
from store.run_folder import RunFolder
from store.run_rules import STORE_KEYS
from tests.evaluate.conftest import write_run
from tests.evaluate.sheets import pictures_of, texts_of
from tests.jets import HDF5, PARQUET, write_jet_store


def ask(images, variables):
    """Return the scores of a model that takes all given variables."""
    seen = images[..., 1].sum(axis=(1, 2), dtype=np.float64) + variables.sum(axis=1, dtype=np.float64) / 100
    return 1 - np.exp(-np.abs(seen) / 5)


@pytest.fixture(scope="module")
def jets(tmp_path_factory):
    return write_jet_store(tmp_path_factory.mktemp("jets"))


@pytest.fixture(params=[(), ("m0", "pt")], ids=["images", "variables"])
def run(request, jets, tmp_path, monkeypatch):
    """A run on the store of jets whose model is `ask`."""
    for module in ("occlude", "score_models"):
        monkeypatch.setattr(f"evaluate.{module}.open_model", lambda *_: contextlib.nullcontext(ask))
    opened = store.open_store(jets)
    identity = {"path": str(jets), "digest": opened.digest} | {key: opened.attributes[key] for key in STORE_KEYS}
    identity = msgspec.convert(identity, StoreIdentity)
    path = write_run(tmp_path / "run", store=identity, settings={"variables": request.param})
    for split in SPLITS:
        part = store.open_dataset(jets, split)
        scores = ask(part.image.values, table(part, request.param))
        rows = np.arange(*opened.split_range(split))
        predictions = Predictions(sample=rows, label=part.label.values, score=scores)
        predictions.save(RunFolder(path=path).predictions(split))
    return path


def table(dataset, names):
    return np.array([dataset[name].values for name in names], np.float32).reshape(len(names), dataset.sizes["sample"]).T


def names_of(run):
    return RunFolder(path=run).read_config()["variables"]


@pytest.mark.parametrize("form", ["hdf5", "parquet", "store"])
def test_are_scored_from_every_form(form, run, jets, tmp_path, monkeypatch):
    monkeypatch.setattr("evaluate.images.BLOCK_BYTES", 3 * QUARK_GLUON.sample_bytes)
    document = score([run], {"hdf5": HDF5, "parquet": PARQUET, "store": jets}[form], tmp_path / "scores.csv")
    scores = np.loadtxt(tmp_path / "scores.csv", delimiter=",", skiprows=1)
    whole = store.open_dataset(jets)
    rows = np.arange(20) if form == "store" else whole.source_row.values
    np.testing.assert_array_equal(scores[rows, 1], ask(whole.image.values, table(whole, names_of(run))))
    np.testing.assert_array_equal(scores[rows, 2], whole.label.values)
    assert (document.signal, document.rows) == ("quark", 20)


def test_hiding_a_patch_leaves_the_variables(run, jets):
    test = store.open_dataset(jets, "test")
    hidden, variables = test.image.values.copy(), table(test, names_of(run))
    hidden[:, :8, 16:24] = 0  # 125 cells in 16 patches: thirteen of 8, then three of 7
    change = np.abs(ask(hidden, variables) - ask(test.image.values, variables))
    for label, of_class in enumerate(occlude(run).change):
        assert of_class[0, 2] == pytest.approx(change[test.label.values == label].mean())


@pytest.mark.parametrize("run", [("pt", "m0")], indirect=True)
def test_are_reported_with_their_variables_and_channels(run, jets, undrawn, tmp_path):
    occlude(run)
    document = write_report([run], tmp_path / "report")
    (numbers,) = document.runs
    test = store.open_dataset(jets, "test")
    assert {part.variable for part in numbers.slices} == {"total_energy", "hits", "pt", "m0"}
    for part in numbers.slices[2:]:
        values = test[part.variable].values
        assert part.units == "GeV"
        assert (part.bins[0].low, part.bins[-1].high) == (values.min(), values.max())
    assert numbers.occlusion.samples == 4
    assert document.warnings == []
    html = (tmp_path / "report" / "index.html").read_text()
    for words in ("Quark / gluon classification", "Pythia simulation", "Track transverse momentum", "Single images"):
        assert words in html
    assert "hower" not in html


def test_all_channels_of_a_jet_are_drawn(jets):
    rows = [GallerySample(sample=index, label=index % 2, score=0.5) for index in range(3)]
    image = store.open_dataset(jets).image
    rows = sorted(rows, key=lambda row: row.label)
    figure = gallery.draw_samples(jets, QUARK_GLUON, rows, "title")
    samples = [0, 0, 0, 2, 2, 2, 1, 1, 1]  # two gluons, then a quark
    for picture, sample, channel in zip(pictures_of(figure), samples, [0, 1, 2] * 3, strict=True):
        drawn, values = picture.get_array().filled(0), image[sample, ..., channel].values
        assert np.abs(drawn).max() == np.abs(values).max()
        for eta, phi in np.argwhere(values):
            assert (np.abs(drawn[max(0, eta - 1) : eta + 2, max(0, phi - 1) : phi + 2]) >= abs(values[eta, phi])).all()
    names = [text for text in texts_of(figure) if "ieta" in text]
    assert names == ["gluon\nieta"] * 3 + ["quark\nieta"] * 3


def test_the_larger_of_two_hits_is_on_top_of_the_other():
    image = np.zeros((4, 6), np.float32)
    image[1, 1], image[1, 3] = 1, -2
    row = [1, 1, -2, -2, -2, 0]
    np.testing.assert_array_equal(gallery.widen(image, 1), [row, row, row, [0] * 6])
    np.testing.assert_array_equal(gallery.widen(image, 0), image)


def test_noise_below_zero_does_not_take_over_the_scale_of_an_asymmetry():
    mean = np.zeros((2, 125, 125, 3))
    mean[:, 3, 4, 1] = -0.9, 1.0
    dims = ("class", "ieta", "iphi", "channel")
    flat = {name: ("channel", [value] * 3) for name, value in (("pooled_minimum", -0.01), ("pooled_maximum", 1.0))}
    statistics = xr.Dataset({"mean_image": (dims, mean), "std_image": (dims, mean), **flat})
    picture = showers.draw_asymmetry(statistics, QUARK_GLUON, 1).axes[0].images[0]
    assert (picture.norm.vmin, picture.norm.vmax) == (-1, 1)
