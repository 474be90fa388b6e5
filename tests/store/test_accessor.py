"""The accessor ``dataset.calo``, on datasets of this project, of plain xarray, and on selections of them."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr
import zarr

from store.errors import ConfigError, StoreError
from store.opening import open_dataset, open_statistics, open_store
from tests.jets import write_jet_store

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def jets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_jet_store(tmp_path_factory.mktemp("jets"))


@pytest.fixture(scope="module", params=["ours", "plain", "plain without dask", "loaded"])
def dataset(request: pytest.FixtureRequest, showers: Path) -> xr.Dataset:
    if request.param.startswith("plain"):
        return xr.open_zarr(showers, **({"chunks": None} if "without" in request.param else {}))
    return open_dataset(showers).load() if request.param == "loaded" else open_dataset(showers)


@pytest.fixture(scope="module")
def energy(showers: Path) -> npt.NDArray[np.float64]:
    """Return the energy of each shower in GeV, from the documented scale of 50 GeV."""
    return 50 * zarr.open_group(showers, mode="r")["image"][..., 0].sum((1, 2), dtype=np.float64)


@pytest.fixture(scope="module")
def label(showers: Path) -> npt.NDArray[np.uint8]:
    return zarr.open_group(showers, mode="r")["label"][:]


@pytest.mark.parametrize(
    "order", ["import calostream, xarray", "import xarray, calostream", "import xarray, store.opening"]
)
def test_is_registered_whatever_is_imported_first(order: str) -> None:
    code = f"{order}\nprint(xarray.Dataset().calo)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "CaloAccessor" in done.stdout, done.stderr


def test_energy_of_each_sample_is_in_gev(dataset: xr.Dataset, energy: npt.NDArray[np.float64]) -> None:
    found = dataset.calo.energy()
    assert (found.dtype, found.dims, found.attrs["units"]) == (np.float64, ("sample",), "GeV")
    np.testing.assert_allclose(found, energy, rtol=1e-12)
    assert "class_name" in found.coords


def test_energy_is_a_cut_and_a_group(showers: Path, energy: npt.NDArray[np.float64]) -> None:
    ds = open_dataset(showers)
    hard = ds.isel(sample=ds.calo.energy() > 60)
    assert hard.sizes["sample"] == (energy > 60).sum()
    mean = ds.calo.energy().groupby("class_name").mean()
    np.testing.assert_allclose(mean.sel(class_name="photon"), energy[ds.label.values == 0].mean(), rtol=1e-12)


def test_energy_of_each_cell_is_lazy_and_in_gev(showers: Path) -> None:
    ds = open_dataset(showers)
    cells = ds.calo.cells()
    assert cells.chunks is not None
    assert (cells.dtype, cells.attrs["units"]) == (np.float32, "GeV")
    np.testing.assert_array_equal(cells, 50 * ds.image.sel(channel="energy"))
    time = ds.calo.cells("time")
    assert time.attrs == {"long_name": "time", "units": "ns"}


def test_one_selected_channel_is_enough(showers: Path, energy: npt.NDArray[np.float64]) -> None:
    ds = open_dataset(showers)
    for selected in (ds.sel(channel="energy"), ds.sel(channel=["energy"]), ds.isel(channel=0)):
        np.testing.assert_allclose(selected.calo.energy(), energy, rtol=1e-12)


def test_cells_and_samples_may_be_selected(showers: Path, energy: npt.NDArray[np.float64]) -> None:
    ds = open_dataset(showers)
    core = ds.sel(ieta=slice(-2, 2), iphi=slice(-2, 2)).isel(sample=slice(10, 20))
    found = core.calo.energy()
    assert (found <= energy[10:20] + 1e-9).all()
    np.testing.assert_allclose(found, 50 * core.image.values[..., 0].sum((1, 2), dtype=np.float64), rtol=1e-12)


def test_samples_that_where_masks_have_no_energy(showers: Path, energy: npt.NDArray[np.float64]) -> None:
    ds = open_dataset(showers)
    found = ds.where(ds.label == 1).calo.energy()
    np.testing.assert_allclose(found, np.where(ds.label == 1, energy, np.nan), rtol=1e-12)
    assert ds.where(ds.label == 1).calo.spectrum().content.sum() == (ds.label == 1).sum()


def test_mean_images_are_those_of_the_statistics(showers: Path) -> None:
    mean = open_dataset(showers, "train").calo.mean_image()
    expected = open_statistics(showers)["mean_image"].sel(channel="energy")
    assert mean.class_name.values.tolist() == expected["class"].values.tolist() == ["photon", "electron"]
    assert mean.attrs["units"] == "GeV"
    np.testing.assert_allclose(mean, 50 * expected, rtol=1e-12, atol=1e-15)


def test_a_mean_image_has_only_the_classes_that_there_are(dataset: xr.Dataset, label: npt.NDArray[np.uint8]) -> None:
    mean = dataset.isel(sample=label == 1).calo.mean_image("time")
    assert mean.class_name.values.tolist() == ["electron"]
    expected = 50 * dataset.image.values[label == 1, ..., 1].mean(0, dtype=np.float64)
    np.testing.assert_allclose(mean.sel(class_name="electron"), expected, rtol=1e-12, atol=1e-15)


def test_a_spectrum_counts_each_sample_once(
    dataset: xr.Dataset, energy: npt.NDArray[np.float64], label: npt.NDArray[np.uint8]
) -> None:
    spectrum = dataset.calo.spectrum(bins=20)
    assert spectrum.content.dtype == spectrum.error.dtype == np.float64
    assert spectrum.content.sum() == 400
    edges = np.linspace(energy.min(), energy.max(), 21)
    np.testing.assert_allclose(spectrum.bin_lower, edges[:-1])
    np.testing.assert_allclose(spectrum.bin_upper, edges[1:])
    np.testing.assert_allclose(spectrum.bin, (edges[1:] + edges[:-1]) / 2)
    for code, name in enumerate(("photon", "electron")):
        counts = np.histogram(energy[label == code], edges)[0]
        np.testing.assert_array_equal(spectrum.content.sel(class_name=name), counts)
        np.testing.assert_array_equal(spectrum.error.sel(class_name=name), np.sqrt(counts))
    assert spectrum.bin.attrs["units"] == "GeV"


def test_a_spectrum_of_a_column_with_weights(jets: Path) -> None:
    ds = open_dataset(jets)
    weights = np.linspace(0.5, 2, 20).astype(np.float32)
    spectrum = ds.assign(w=("sample", weights)).calo.spectrum("pt", bins=[50, 100, 200], weights="w")
    given = ds.calo.spectrum(ds.pt, bins=[50, 100, 200], weights=xr.DataArray(weights, dims="sample"))
    assert given.identical(spectrum)
    numbers = ds.calo.spectrum(ds.pt.values, bins=[50, 100, 200], weights=weights.tolist())
    assert numbers.content.equals(spectrum.content)
    for code, name in enumerate(("gluon", "quark")):
        for k, (low, high) in enumerate(((50, 100), (100, 200))):
            rows = (ds.label.values == code) & (ds.pt.values >= low) & (ds.pt.values < high)
            inside = weights[rows].astype(np.float64)
            np.testing.assert_allclose(spectrum.content.sel(class_name=name)[k], inside.sum(), rtol=1e-12)
            np.testing.assert_allclose(spectrum.error.sel(class_name=name)[k], np.sqrt((inside**2).sum()), rtol=1e-12)


def test_weights_are_summed_in_float64(showers: Path) -> None:
    ds = open_dataset(showers)
    weights = xr.DataArray(np.where(np.arange(400) == 0, np.float32(2**24), np.float32(1)), dims="sample")
    spectrum = ds.calo.spectrum(xr.zeros_like(ds.label, float), bins=[-1, 1], weights=weights)
    assert spectrum.content.sum() == 2**24 + 399, "float32 cannot add 1 to 2**24"


def test_jets_have_no_known_unit_and_say_so(jets: Path) -> None:
    ds = open_dataset(jets)
    with pytest.raises(
        ConfigError, match=r"none of the channels tracks, ecal, hcal has a known unit of energy; choose"
    ):
        ds.calo.energy()
    both = ds.calo.energy(["ecal", "hcal"])
    assert both.attrs == {"long_name": "ecal + hcal", "units": "1"}
    np.testing.assert_allclose(both, ds.image.values[..., 1:].sum((1, 2, 3), dtype=np.float64), rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda calo: calo.energy("ecal"), r"unknown channel 'ecal'; known: energy, time"),
        (lambda calo: calo.cells(["energy", "time"]), r"different units cannot be added up: energy in GeV, time in ns"),
        (lambda calo: calo.energy([]), r"none of the channels"),
        (lambda calo: calo.spectrum("mass"), r"no column 'mass'; per-sample columns: label, "),
        (lambda calo: calo.spectrum("class_name"), r"expected one number for each of 400 samples, got object"),
        (lambda calo: calo.spectrum(xr.DataArray(np.ones(3), dims="sample")), r"each of 400 samples, got float64"),
        (lambda calo: calo.spectrum(weights=xr.DataArray(np.full(400, np.nan), dims="sample")), "weights must be fin"),
        (lambda calo: calo.spectrum(bins=0), "bins=0 is not between 1 and 1,000,000"),
        (lambda calo: calo.spectrum(bins=[3, 2, 1]), r"bins=\[3, 2, 1\]: "),
        (lambda calo: calo.spectrum(bins=10**12), "bins=1000000000000 is not between 1 and"),
        (lambda calo: calo.spectrum(bins="many"), r"bins='many': "),
    ],
)
def test_what_is_wrong_is_named(showers: Path, call: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        call(open_dataset(showers).calo)


def test_a_dataset_from_elsewhere_is_named() -> None:
    for foreign in (xr.Dataset(), xr.Dataset({"image": ("sample", np.ones(3))}, attrs={"dataset": ["x"]})):
        with pytest.raises(StoreError, match="this dataset is not from a calostream store"):
            foreign.calo.energy()


def test_a_spectrum_needs_no_images_but_an_energy_does(jets: Path) -> None:
    columns = open_dataset(jets).drop_vars("image")
    assert columns.calo.spectrum("pt").content.sum() == 20
    with pytest.raises(StoreError, match="no images in this dataset, only pt, m0"):
        columns.calo.energy("ecal")


def test_labels_that_are_no_class_are_named(dataset: xr.Dataset) -> None:
    wrong = dataset.drop_vars("class_name", errors="ignore").assign(label=("sample", np.arange(400)))
    with pytest.raises(StoreError, match="labels must be below 2"):
        wrong.calo.energy()


def test_samples_of_a_class_share_its_name(showers: Path) -> None:
    ds = open_dataset(showers)
    for part in (ds, ds.isel(sample=ds.label == 1), ds.isel(sample=slice(10, 50))):
        assert len({id(name) for name in part.class_name.values}) == len(set(part.class_name.values)), "8 bytes each"


def test_three_classes_have_a_mean_image_and_a_spectrum_each(three_classes: Path) -> None:
    ds, group = open_dataset(three_classes), zarr.open_group(three_classes, mode="r")
    images, label, event, weight = (group[name][:] for name in ("image", "label", "event", "weight"))
    mean = ds.calo.mean_image("photons")
    assert mean["class_name"].values.tolist() == ["qcd", "top", "w"]
    expected = [images[label == code][..., 1].mean(0, dtype=np.float64) for code in range(3)]
    np.testing.assert_allclose(mean, expected, rtol=1e-12)
    spectrum = ds.calo.spectrum("event", bins=3, weights="weight")
    sums = [weight[label == code].sum(dtype=np.float64) for code in range(3)]
    np.testing.assert_allclose(spectrum["content"].sum("bin"), sums)
    assert spectrum["bin_lower"][0] == event.min()


def test_a_notebook_shows_the_samples_of_each_class(showers: Path) -> None:
    shown = open_dataset(showers, "test").calo._repr_html_()
    assert all(words in shown for words in ("80 of 32 x 32 x 2", "electron 40, photon 40", "energy (GeV), time (ns)"))
    assert "240: photon 120, electron 120" in open_store(showers)._repr_html_()
    one = xr.open_zarr(showers).isel(sample=0, channel=1)
    assert "time (ns)" in one.calo._repr_html_()


def test_a_notebook_shows_no_markup_of_a_store(showers: Path) -> None:
    dataset = open_dataset(showers).assign_attrs(title="<script>x()</script>\u202e", simulated="<b>")
    shown = dataset.calo._repr_html_()
    assert "&lt;script&gt;" in shown
    assert not {"<script", "<b>", "\u202e"} & {part for part in ("<script", "<b>", "\u202e") if part in shown}
    assert xr.Dataset(attrs={"dataset": "<i>"}).calo._repr_html_().startswith("<p>this dataset is not from")
