"""A dataset of a store does what a physicist types, without a warning."""

import json
import pickle  # noqa: TID251  of datasets made here
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import dask
import distributed
import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr
import zarr

import calostream as cs
import store
from store.errors import CorruptStoreError
from store.opening import open_dataset, open_statistics, open_store
from tests.jets import write_jet_store

# xarray's own warning, whenever it writes Zarr of version 3.
pytestmark = pytest.mark.filterwarnings("ignore:Consolidated metadata is currently not part")

SELECTIONS = {
    "from the middle of a shard": slice(100, 390),
    "to the end": slice(70, None),
    "every third": slice(1, None, 3),
    "backwards": slice(None, None, -1),
    "in one shard": slice(3, 17),
    "a list": [499, 1, 300, 70],
    "nothing": slice(0, 0),
    "all": slice(None),
}


@pytest.fixture(scope="module")
def jets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_jet_store(tmp_path_factory.mktemp("jets"))


@pytest.fixture(scope="module", params=["showers", "jets"])
def path(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return all arrays of a store, read by zarr alone."""
    return {name: array[...] for name, array in zarr.open_group(path, mode="r").arrays()}


def test_calostream_has_the_same_function() -> None:
    assert cs.open_dataset is store.open_dataset is open_dataset


def test_variables_have_a_fixed_order(showers: Path, jets: Path) -> None:
    coordinates = ["label", "class_name", "split", "source_file", "source_row", "ieta", "iphi", "channel"]
    for path, variables in ((showers, ["image"]), (jets, ["image", "pt", "m0"])):
        for split in (None, "test"):
            dataset = open_dataset(path, split)
            assert list(dataset.variables) == [*variables, *coordinates, "scale", "unit"]
            assert list(dataset.coords) == [*coordinates, "scale", "unit"]
    statistics = open_statistics(jets)
    assert list(statistics.variables) == [*sorted(statistics.data_vars), *sorted(statistics.coords)]


def test_columns_are_loaded_and_images_are_lazy(path: Path) -> None:
    dataset = open_dataset(path, "train")
    for name, variable in dataset.variables.items():
        assert dask.is_dask_collection(variable) is (name == "image"), name
        assert isinstance(variable._data, dask.array.Array) or variable._in_memory, name


def test_classes_have_names(path: Path, arrays: dict[str, npt.NDArray[Any]]) -> None:
    dataset = open_dataset(path)
    names = np.array(dataset["label"].attrs["flag_meanings"].split())
    assert dataset["class_name"].values.tolist() == names[arrays["label"]].tolist()
    assert {"label", "class_name"} <= set(dataset.coords)


def test_channels_have_scales_and_units(showers: Path, jets: Path) -> None:
    dataset = open_dataset(showers)
    assert dataset["scale"].dtype == np.float64
    assert dataset["scale"].sel(channel="energy") == 50
    assert dataset["unit"].sel(channel=["energy", "time"]).values.tolist() == ["GeV", "ns"]
    assert open_dataset(jets)["scale"].values.tolist() == [1, 1, 1]
    assert open_dataset(jets)["unit"].values.tolist() == ["1", "1", "1"]


def test_samples_are_selected_by_label(path: Path, arrays: dict[str, npt.NDArray[Any]]) -> None:
    ds = open_dataset(path)
    chosen = ds.isel(sample=ds.label == 1)
    np.testing.assert_array_equal(chosen.image, arrays["image"][arrays["label"] == 1])
    np.testing.assert_array_equal(chosen.source_row, arrays["source_row"][arrays["label"] == 1])
    assert chosen.identical(ds.isel(sample=ds.class_name == open_store(path).spec.classes[1]))


def test_where_drops_other_samples_and_keeps_labels_whole_numbers(
    path: Path, arrays: dict[str, npt.NDArray[Any]]
) -> None:
    ds = open_dataset(path)
    chosen = ds.where(ds.label == 1, drop=True)
    np.testing.assert_array_equal(chosen.image, arrays["image"][arrays["label"] == 1])
    assert chosen.label.dtype == np.uint8
    assert (chosen.image.dtype, chosen.source_row.dtype) == (np.float32, np.int64)


def test_means_by_class(path: Path, arrays: dict[str, npt.NDArray[Any]]) -> None:
    ds = open_dataset(path)
    whole, image = ds.groupby("class_name").mean(), ds.image.groupby("class_name").mean()
    for code, name in enumerate(open_store(path).spec.classes):
        expected = arrays["image"][arrays["label"] == code].astype(np.float64).mean(0)
        np.testing.assert_allclose(image.sel(class_name=name), expected, rtol=1e-4, atol=1e-7)
        np.testing.assert_allclose(whole.image.sel(class_name=name), expected, rtol=1e-4, atol=1e-7)
        for variable in open_store(path).spec.variables:
            column = arrays[variable.name][arrays["label"] == code].astype(np.float64)
            np.testing.assert_allclose(whole[variable.name].sel(class_name=name), column.mean(), rtol=1e-5)


def test_one_channel_and_sums(path: Path, arrays: dict[str, npt.NDArray[Any]]) -> None:
    ds = open_dataset(path)
    for k, name in enumerate(ds.channel.values):
        np.testing.assert_array_equal(ds.sel(channel=name).image, arrays["image"][..., k])
    sums = ds.sum(("ieta", "iphi"))
    np.testing.assert_allclose(sums.image, arrays["image"].sum((1, 2), dtype=np.float64), rtol=1e-4, atol=1e-4)
    assert "label" in sums.coords


def test_cuts_on_variables(jets: Path) -> None:
    ds = open_dataset(jets)
    group = zarr.open_group(jets, mode="r")
    passed = group["pt"][:] > 100
    assert 0 < passed.sum() < passed.size
    for chosen in (ds.isel(sample=ds.pt > 100), ds.where(ds.pt > 100, drop=True)):
        np.testing.assert_array_equal(chosen.image, group["image"][:][passed])
        np.testing.assert_array_equal(chosen.pt, group["pt"][:][passed])


def test_a_dataset_is_written_to_netcdf(path: Path, tmp_path: Path) -> None:
    ds = open_dataset(path)
    ds.to_netcdf(tmp_path / "whole.nc")
    ds.sel(channel=str(ds.channel.values[0])).isel(sample=ds.label == 1).to_netcdf(tmp_path / "part.nc")
    with xr.open_dataset(tmp_path / "whole.nc") as again:
        xr.testing.assert_equal(again.load(), ds.load())
        assert again.attrs.keys() == ds.attrs.keys()
        for name, value in open_store(path).attributes.items():
            assert (json.loads(again.attrs[name]) if isinstance(value, dict | list) else again.attrs[name]) == value, (
                name
            )
        assert again.calo.energy(str(ds.channel.values[0])).equals(ds.calo.energy(str(ds.channel.values[0])))
    open_statistics(path).to_netcdf(tmp_path / "statistics.nc")
    with xr.open_dataset(tmp_path / "statistics.nc") as again:
        xr.testing.assert_equal(again.load(), open_statistics(path))


def refuse_as_a_store(path: Path) -> None:
    with pytest.raises(CorruptStoreError, match=r"has no image/SHA256SUMS.*`ingest select STORE --where"):
        open_store(path)


@pytest.mark.parametrize("rows", SELECTIONS.values(), ids=SELECTIONS)
@pytest.mark.parametrize("split", [None, "validation", "test"])
def test_any_selection_is_written_to_zarr_but_is_no_store(
    made_up: Path, tmp_path: Path, rows: Any, split: str | None
) -> None:
    ds = open_dataset(made_up, split)
    rows = [row % ds.sizes["sample"] for row in rows] if isinstance(rows, list) else rows
    chosen = ds.isel(sample=rows)
    chosen.to_zarr(tmp_path / "part.zarr")
    xr.testing.assert_equal(xr.open_zarr(tmp_path / "part.zarr").load(), chosen.load())
    refuse_as_a_store(tmp_path / "part.zarr")


def test_selections_of_selections_and_of_pickled_datasets_are_written(made_up: Path, tmp_path: Path) -> None:
    ds = pickle.loads(pickle.dumps(open_dataset(made_up)))
    chosen = ds.isel(sample=ds.label == 1).isel(sample=slice(5, None)).isel(ieta=slice(1, 4))
    chosen.to_zarr(tmp_path / "part.zarr")
    xr.testing.assert_equal(xr.open_zarr(tmp_path / "part.zarr").load(), chosen.load())
    later = ds.isel(sample=slice(100, None))
    later.where(later.label == 1, drop=True).to_zarr(tmp_path / "later.zarr")


def test_selections_of_a_real_store_are_written(path: Path, tmp_path: Path) -> None:
    ds = open_dataset(path)
    ds.isel(sample=ds.label == 1).to_zarr(tmp_path / "part.zarr")
    again = xr.open_zarr(tmp_path / "part.zarr")
    xr.testing.assert_equal(again.load(), ds.isel(sample=ds.label == 1).load())
    assert again.attrs == ds.attrs
    refuse_as_a_store(tmp_path / "part.zarr")


def test_a_dataset_is_written_to_zarr_of_version_2(path: Path, tmp_path: Path) -> None:
    ds = open_dataset(path)
    ds.to_zarr(tmp_path / "old.zarr", zarr_format=2)
    xr.testing.assert_equal(xr.open_zarr(tmp_path / "old.zarr").load(), ds.load())


@pytest.mark.parametrize("options", [{"chunks": {}, "align": True}, {"chunks": None, "align": False}], ids=str)
def test_what_plain_xarray_writes_is_no_store(made_up: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    ds = xr.open_zarr(made_up, chunks=options["chunks"])
    label = ds.label.load()
    for number, rows in enumerate((slice(100, 390), label == 1, slice(None))):
        written = tmp_path / f"{number}.zarr"
        ds.isel(sample=rows).to_zarr(written, align_chunks=options["align"])
        xr.testing.assert_equal(xr.open_zarr(written).load(), ds.isel(sample=rows).load())
        refuse_as_a_store(written)


def test_writing_over_a_store_is_noticed(made_up: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(made_up, tmp_path / "copy.zarr"))
    open_dataset(made_up).isel(sample=slice(100)).to_zarr(copy, mode="w")
    refuse_as_a_store(copy)
    copy = Path(shutil.copytree(made_up, tmp_path / "rows.zarr"))
    open_dataset(made_up).isel(sample=slice(None, None, -1)).to_zarr(copy, mode="a")
    with pytest.raises(CorruptStoreError, match="was changed since the store was made"):
        open_store(copy)


def test_an_added_column_leaves_the_store_as_it_is(made_up: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(made_up, tmp_path / "copy.zarr"))
    ds = open_dataset(copy)
    ds.assign(mine=ds.label * 2.0, pair=(("sample", "side"), np.ones((500, 2))))[["mine", "pair"]].to_zarr(
        copy, mode="a"
    )
    opened, attributes = open_dataset(copy), open_store(copy).attributes
    assert attributes["split_ranges"] == {"train": [0, 350], "validation": [350, 403], "test": [403, 500]}
    assert attributes["sources"] == open_store(made_up).attributes["sources"]
    np.testing.assert_array_equal(opened.mine, 2.0 * opened.label)
    assert list(opened.data_vars) == ["image", "mine", "pair"]
    assert open_dataset(copy, "validation").sizes["sample"] == 53
    opened.isel(sample=slice(100, None)).to_zarr(tmp_path / "part.zarr")


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "7"], ids=["cut", "deep", "number"])
def test_invalid_text_in_place_of_a_nested_attribute_is_named(made_up: Path, tmp_path: Path, text: str) -> None:
    copy = Path(shutil.copytree(made_up, tmp_path / "copy.zarr"))
    zarr.open_group(copy, mode="r+").attrs["split_ranges"] = text
    with pytest.raises(CorruptStoreError, match=r"copy\.zarr: the attribute split_ranges is ") as refused:
        open_store(copy)
    assert len(str(refused.value)) < 1000


def test_a_large_seed_is_written_to_netcdf_and_back_to_the_store(made_up: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(made_up, tmp_path / "copy.zarr"))
    zarr.open_group(copy, mode="r+").attrs["seed"] = 2**40
    ds = open_dataset(copy)
    ds.to_netcdf(tmp_path / "whole.nc")
    with xr.open_dataset(tmp_path / "whole.nc") as again:
        assert json.loads(again.attrs["seed"]) == 2**40
    ds.assign(mine=ds.label * 2.0)[["mine"]].to_zarr(copy, mode="a")
    assert open_store(copy).attributes["seed"] == 2**40


def test_nested_attributes_of_users_become_text(made_up: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(made_up, tmp_path / "copy.zarr"))
    mine = {"fit": {"p0": 1.5}, "names": ["a", "b"], "numbers": [1, 2], "flag": True, "nothing": None}
    zarr.open_group(copy, mode="r+").attrs.update(mine)
    ds = open_dataset(copy)
    assert {name: ds.attrs[name] for name in mine} == {
        "fit": '{"p0": 1.5}',
        "names": '["a", "b"]',
        "numbers": [1, 2],
        "flag": "true",
        "nothing": "null",
    }
    ds.to_netcdf(tmp_path / "whole.nc")


def test_a_pickled_dataset_is_the_same(path: Path) -> None:
    ds = open_dataset(path, "test")
    again = pickle.loads(pickle.dumps(ds))
    assert dask.is_dask_collection(again.image.data)
    assert again.identical(ds)


def test_a_cluster_of_processes_computes_the_same(showers: Path, jets: Path, made_up: Path) -> None:
    calls = (
        lambda ds: ds.isel(sample=ds.label == 1).image.sum(("ieta", "iphi")),
        lambda ds: ds.image.groupby("class_name").mean(),
        lambda ds: ds.isel(sample=slice(7, None)).image.std("sample"),
    )
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster),
    ):
        for path in (showers, jets, made_up):
            ds = open_dataset(path)
            for call in calls:
                with dask.config.set(scheduler="synchronous"):
                    expected = call(ds).compute()
                xr.testing.assert_allclose(call(ds).compute(), expected)


NAMES = (
    "import sys, calostream as cs; print(*cs.open_dataset(sys.argv[1]).variables, *cs.open_dataset(sys.argv[1]).attrs)"
)


def test_each_process_shows_the_same(jets: Path) -> None:
    ds = open_dataset(jets)
    done = subprocess.run(
        [sys.executable, "-c", NAMES, jets], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [*ds.variables, *ds.attrs]


def test_no_text_of_a_dataset_is_an_address(path: Path) -> None:
    assert not re.search(r"at 0x[0-9a-f]+", repr(open_dataset(path)))
