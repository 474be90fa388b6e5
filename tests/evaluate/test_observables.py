import shutil

import numpy as np
import pytest
import xarray as xr

import store
from evaluate import observables
from evaluate.slices import slice_by
from store.datasets import Channel, DatasetSpec


def test_energy_and_hits_are_those_of_the_images(real_store, monkeypatch):
    monkeypatch.setattr(observables, "BATCH_BYTES", 60 * 8192)  # 200 test samples in four batches
    energy, hits = observables.read_observables(real_store, "test")
    image = store.open_dataset(real_store, "test").image.values[..., 0].astype(np.float64)
    np.testing.assert_allclose(energy.value, 50 * image.sum(axis=(1, 2)), rtol=1e-12)  # an energy of 1 is 50 GeV
    np.testing.assert_array_equal(hits.value, np.count_nonzero(image, axis=(1, 2)))
    assert (energy.name, energy.long_name, energy.units) == ("total_energy", "sum of energy", "GeV")


def test_an_image_without_a_hit_has_no_energy(real_store, monkeypatch):
    stream = store.BatchStream

    def without_first(*values, **named):
        for batch in stream(*values, **named):
            batch.image[batch.sample == 800] = 0
            yield batch

    monkeypatch.setattr(store, "BatchStream", without_first)
    for observable in observables.read_observables(real_store, "test"):
        assert np.isnan(observable.value[0])
        assert np.isfinite(observable.value[1:]).all()
        low = slice_by(observable, np.arange(200) % 2, np.linspace(0, 1, 200), best_threshold=0.5).bins[0].low
        assert low == observable.value[1:].min() > 0


def test_all_channels_but_the_time_are_energies():
    names = ("tracks", "ecal", "time", "hcal")
    spec = DatasetSpec(
        name="x",
        title="x",
        image_keys=("X",),
        label_key="y",
        image_shape=(3, 3, 4),
        channels=tuple(Channel(name=name, long_name=name, comment="") for name in names),
        classes=("a", "b"),
        seed=(1, 1),
    )
    assert observables.energy_channels(spec) == [0, 1, 3]


def test_the_sum_of_many_channels_has_a_short_name(real_store, monkeypatch):
    monkeypatch.setattr(observables, "MOST_NAMED", 1)
    monkeypatch.setattr(observables, "energy_channels", lambda _: [0, 1])
    assert observables.read_observables(real_store, "test")[0].long_name == "sum of 2 channels"


def test_columns_of_the_store_are_read(real_store, tmp_path):
    copy = tmp_path / "copy.zarr"
    shutil.copytree(real_store, copy)
    pt = np.linspace(70, 340, 1000, dtype=np.float32)
    extra = xr.Dataset(
        {
            "pt": ("sample", pt, {"long_name": "transverse momentum", "units": "GeV"}),
            "word": ("sample", np.array(["a"] * 1000, dtype=np.dtypes.StringDType())),
        },
        attrs=store.open_store(copy).attributes,
    )
    extra.to_zarr(copy, mode="a", zarr_format=3, consolidated=False)
    columns = observables.read_observables(copy, "test")
    assert [observable.name for observable in columns] == ["total_energy", "hits", "pt"]
    assert (columns[2].long_name, columns[2].units) == ("transverse momentum", "GeV")
    np.testing.assert_array_equal(columns[2].value, pt[800:])


@pytest.mark.parametrize("rows", [[0, 3], []])
def test_an_observable_of_some_samples(rows):
    whole = observables.Observable(name="x", long_name="x", units="1", value=np.arange(5.0))
    assert whole.take(np.array(rows, np.int64)).value.tolist() == rows
