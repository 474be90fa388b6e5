"""What opening a store notices, for each program that opens one: the cases are those that users met."""

import json
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr

import store
from ingest.executors import ThreadExecutor
from ingest.statistics import statistics_of
from ingest.verify import verify
from store import integrity
from store.digests import write_digests
from store.errors import CorruptStoreError, StoreError
from store.image_statistics import ImageStatistics
from store.opening import open_unchecked
from tests.examples import run_ingest, showers, write_hdf5


def lose_a_shard(path: Path) -> None:
    next((path / "image").glob("c.*")).unlink()


def lose_the_labels(path: Path) -> None:
    shutil.rmtree(path / "label" / "c")


def lose_the_digests(path: Path) -> None:
    (path / "image" / "SHA256SUMS").unlink()


def change_a_label(path: Path) -> None:
    array = zarr.open_group(path, mode="r+")["label"]
    values = array[:]
    values[0] = 1 - values[0]
    array[:] = values


def make_labels_no_class(path: Path) -> None:
    array = zarr.open_group(path, mode="r+")["label"]
    values = array[:]
    values[:20] = 200
    array[:] = values
    write_digests(path)  # as if the store had been made like this


def move_a_split(path: Path) -> None:
    metadata = json.loads((path / "zarr.json").read_text())
    ranges = metadata["attributes"]["split_ranges"]
    ranges["train"][1] += 3
    ranges["validation"][0] += 3
    (path / "zarr.json").write_text(json.dumps(metadata))


def overlap_splits(path: Path) -> None:
    metadata = json.loads((path / "zarr.json").read_text())
    metadata["attributes"]["split_ranges"]["test"][0] = 0
    (path / "zarr.json").write_text(json.dumps(metadata))


def shorten_a_column(path: Path) -> None:
    metadata = json.loads((path / "source_row" / "zarr.json").read_text())
    metadata["shape"] = [7]
    (path / "source_row" / "zarr.json").write_text(json.dumps(metadata))
    write_digests(path)


def set_attribute(name: str, value: Any) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        metadata = json.loads((path / "zarr.json").read_text())
        metadata["attributes"][name] = value
        (path / "zarr.json").write_text(json.dumps(metadata))

    damage.__name__ = f"{name} is {value!r:.20}"
    return damage


def describe_other_images(path: Path) -> None:
    metadata = json.loads((path / "zarr.json").read_text())
    metadata["attributes"]["description"]["image"]["shape"] = [6, 6, 2]
    (path / "zarr.json").write_text(json.dumps(metadata))


def forget_the_description(path: Path) -> None:
    metadata = json.loads((path / "zarr.json").read_text())
    del metadata["attributes"]["description"]
    metadata["attributes"]["dataset"] = "muons"
    (path / "zarr.json").write_text(json.dumps(metadata))


def lose_an_attribute(path: Path) -> None:
    metadata = json.loads((path / "zarr.json").read_text())
    del metadata["attributes"]["sources"]
    (path / "zarr.json").write_text(json.dumps(metadata))


def make_a_shard_a_folder(path: Path) -> None:
    (path / "image" / "c.0.0.0.0").unlink()
    (path / "image" / "c.0.0.0.0").mkdir()


def rename_a_shard(path: Path) -> None:
    (path / "image" / "c.1.0.0.0").rename(path / "image" / "._c.1.0.0.0")


def break_metadata(path: Path) -> None:
    (path / "ieta" / "zarr.json").write_text("{")


def change_a_coordinate(path: Path) -> None:
    array = zarr.open_group(path, mode="r+")["ieta"]
    array[:] = array[:] + 1


def change_source_rows(path: Path) -> None:
    array = zarr.open_group(path, mode="r+")["source_row"]
    array[:] = np.roll(array[:], 1)


def reorder_columns(path: Path) -> None:
    change_source_rows(path)
    write_digests(path)  # as a program may do that reorders a store


def lengthen_everything(path: Path) -> None:
    for name in ("image", "label", "split", "source_row", "source_file"):
        metadata = json.loads((path / name / "zarr.json").read_text())
        metadata["shape"][0] = 10**11
        (path / name / "zarr.json").write_text(json.dumps(metadata))
    write_digests(path)


def make_labels_numbers(path: Path) -> None:
    metadata = json.loads((path / "label" / "zarr.json").read_text())
    metadata["data_type"] = "float64"
    (path / "label" / "zarr.json").write_text(json.dumps(metadata))
    write_digests(path)


def break_zarr(path: Path) -> None:
    metadata = json.loads((path / "split" / "zarr.json").read_text())
    metadata["codecs"] = 0
    (path / "split" / "zarr.json").write_text(json.dumps(metadata))
    write_digests(path)


def record_a_file_outside(path: Path) -> None:
    with (path / "image" / "SHA256SUMS").open("a") as file:
        file.write("0" * 64 + "  ../../etc/passwd\n")


def make_the_digests_a_folder(path: Path) -> None:
    (path / "image" / "SHA256SUMS").unlink()
    (path / "image" / "SHA256SUMS").mkdir()


ESCAPES = "\x1b[2J"
DAMAGE: dict[Callable[[Path], None], str] = {
    lose_a_shard: r"incomplete, image/c\.\d+\.0\.0\.0 of image/SHA256SUMS missing; copy it again",
    lose_the_labels: r"incomplete, label/c/0 of image/SHA256SUMS missing",
    lose_the_digests: r"copy\.zarr: has no image/SHA256SUMS",
    change_a_label: r"label/c/0: was changed since the store was made",
    make_labels_no_class: r"label\[0\] = 200: labels must be below 2",
    move_a_split: r"split: disagrees with the attribute split_ranges",
    overlap_splits: r"split_ranges .* do not divide the 500 samples",
    shorten_a_column: r"source_row: has shape \(7,\), image has 500 samples",
    make_a_shard_a_folder: r"incomplete, image/c\.0\.0\.0\.0 of image/SHA256SUMS missing",
    rename_a_shard: r"incomplete, image/c\.1\.0\.0\.0 of image/SHA256SUMS missing",
    break_metadata: r"ieta/zarr\.json: was changed since the store was made",
    change_a_coordinate: r"ieta/c/0: was changed since the store was made",
    change_source_rows: r"source_row/c/0: was changed since the store was made",
    reorder_columns: r"the attribute content_digest is \w{64}, its content has \w{64}",
    lengthen_everything: r"image: 100000000000 samples in \d+ bytes",
    make_labels_numbers: r"label: is float64 instead of uint8",
    break_zarr: r"copy\.zarr: cannot be read \(TypeError: ",
    record_a_file_outside: r"SHA256SUMS: line \d+ is not a digest and a name",
    make_the_digests_a_folder: r"copy\.zarr: has no image/SHA256SUMS",
    lose_an_attribute: r"copy\.zarr: has no attribute sources",
    set_attribute("dataset", 1e-320): r"the attribute dataset is 1e-320 instead of the name of a data set",
    set_attribute("dataset", ["x"]): r"the attribute dataset is \['x'\] instead of the name",
    set_attribute("dataset", "muons"): r"the description is of 'electron-photon', the attribute dataset says 'muons'",
    set_attribute("description", {"name": "muons"}): r"copy\.zarr: title is missing: it must be text",
    describe_other_images: r"image: has images of shape \(6, 7, 2\), expected \(6, 6, 2\)",
    forget_the_description: r"unknown dataset 'muons'; known without a description: electron-photon, quark-gluon",
    set_attribute("title", None): r"the attribute title is None instead of text",
    set_attribute("content_digest", "none"): r"the attribute content_digest is 'none' instead of 64 hexadecimal",
    set_attribute("content_digest", "7" * 64): r"the attribute content_digest is 7{64}, its content has",
    set_attribute("sources", {"name": 1}): r"the attribute sources is \{'name': 1\} instead of",
    set_attribute("split_ranges", {"train": [0, 350], "test": [403, 500]}): r"the attribute split_ranges is ",
    set_attribute("split_ranges", {"train": [-5, 350], "validation": [350, 403], "test": [403, 500]}): "split_ranges",
    set_attribute("split_ranges", {"train": [0.5, "1"], "validation": [1, 403], "test": [403, 500]}): "split_ranges",
    set_attribute("split_ranges", math.inf): r"the attribute split_ranges is inf instead of",
}


@pytest.fixture
def copy(made_up: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made_up, tmp_path / "copy.zarr"))


def test_a_good_store_is_opened(copy):
    assert store.open_store(copy).digest == open_unchecked(copy).digest


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_damage_is_named_wherever_the_store_is_opened(copy, damage):
    damage(copy)
    open_unchecked(copy)
    opened = (
        lambda: store.open_store(copy),
        lambda: store.open_dataset(copy, "train"),
        lambda: store.open_statistics(copy),
        lambda: store.BatchStream(copy, split="train", batch_size=16),
    )
    for open_ in opened:
        with pytest.raises(CorruptStoreError, match=DAMAGE[damage]) as refused:
            open_()
        assert str(copy) in str(refused.value)


@pytest.mark.parametrize("order", ["selection", "permutation"])
def test_a_store_that_xarray_wrote_from_another_is_refused_with_the_supported_way(made_up, tmp_path, order):
    dataset = xr.open_zarr(made_up, chunks=None)
    random = np.random.default_rng(0)
    rows = np.flatnonzero(random.random(500) < 0.7) if order == "selection" else random.permutation(500)
    written = tmp_path / "written.zarr"
    dataset.isel(sample=rows).to_zarr(written, zarr_format=3, consolidated=False)
    with pytest.raises(CorruptStoreError, match=r"has no image/SHA256SUMS.*`ingest select STORE --where"):
        store.open_store(written)


@pytest.mark.parametrize("version", [ESCAPES, True, None, [1], 3, 10**40])
def test_another_format_version_is_refused_and_shown_without_control_characters(copy, version):
    set_attribute("format_version", version)(copy)
    with pytest.raises(StoreError, match=r"copy\.zarr: has format version") as refused:
        store.open_store(copy)
    assert str(refused.value).isprintable()


def lose_a_statistic(path: Path) -> None:
    (path / "statistics" / "mean" / "zarr.json").unlink()


def change_a_statistic(path: Path) -> None:
    array = zarr.open_group(path / "statistics", mode="r+")["mean"]
    array[:] = array[:] + 1


@pytest.fixture(scope="module")
def showers_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("showers")
    write_hdf5(folder / "a.hdf5", showers(40), np.arange(40.0) % 2)
    assert run_ingest(folder / "a.hdf5", "--output", folder / "a.zarr").status == 0
    return folder / "a.zarr"


@pytest.mark.parametrize("damage", [lose_a_statistic, change_a_statistic])
def test_damaged_statistics_are_refused_until_they_are_computed_again(showers_store, tmp_path, damage):
    path = Path(shutil.copytree(showers_store, tmp_path / "copy.zarr"))
    good = store.open_statistics(path)
    damage(path)
    with pytest.raises(CorruptStoreError, match=rf"statistics/mean.*`ingest statistics {path}` computes them"):
        store.open_store(path)
    assert run_ingest("statistics", path).status == 0
    assert store.open_statistics(path).equals(good)


def test_columns_too_large_to_be_read_whenever_a_store_is_opened_are_left_to_verify(
    showers_store, tmp_path, monkeypatch
):
    copy = Path(shutil.copytree(showers_store, tmp_path / "copy.zarr"))
    monkeypatch.setattr(integrity, "SMALL_BYTES", 100)
    reorder_columns(copy)
    store.open_store(copy)
    (problem,) = verify(copy, [], ThreadExecutor()).problems
    assert re.search(r"the attribute content_digest is \w{64}, its content has", problem)
    change_a_label(copy)
    with pytest.raises(CorruptStoreError, match="label/c/0: was changed"):
        store.open_store(copy)


def test_whatever_reads_labels_refuses_those_that_are_no_class(copy):
    make_labels_no_class(copy)
    with pytest.raises(CorruptStoreError, match=r"label\[0\] = 200: labels must be below 2"):
        statistics_of(copy, 0, 100)
    with pytest.raises(ValueError, match="label 200: labels must be below 2"):
        ImageStatistics.zero(open_unchecked(copy).spec).update(np.ones((1, 32, 32, 2), np.float32), np.uint8([200]))


def test_a_user_may_add_a_column(copy):
    extra = xr.Dataset({"mine": ("sample", np.arange(500.0))}, attrs=open_unchecked(copy).attributes)
    extra.to_zarr(copy, mode="a", zarr_format=3, consolidated=False)
    assert "mine" in store.open_dataset(copy)


def test_a_user_may_add_a_column_with_the_coordinates_that_it_has(copy):
    dataset = store.open_dataset(copy).load()
    dataset.assign(mine=dataset["label"] * 2.0)[["mine"]].to_zarr(copy, mode="a", zarr_format=3, consolidated=False)
    assert "mine" in store.open_dataset(copy)
