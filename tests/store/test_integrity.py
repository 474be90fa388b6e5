"""What opening a store notices, for each program that opens one: the cases are those that users met."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

import store
from store.digests import write_digests
from store.errors import CorruptStoreError
from store.opening import open_unchecked


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


DAMAGE: dict[Callable[[Path], None], str] = {
    lose_a_shard: r"incomplete, image/c\.\d+\.0\.0\.0 of image/SHA256SUMS missing; copy it again",
    lose_the_labels: r"incomplete, label/c/0 of image/SHA256SUMS missing",
    lose_the_digests: r"copy\.zarr: has no image/SHA256SUMS",
    change_a_label: r"label/c/0: was changed since the store was made",
    make_labels_no_class: r"label\[0\] = 200: labels must be below 2",
    move_a_split: r"split: disagrees with the attribute split_ranges",
    overlap_splits: r"split_ranges .* do not divide the 500 samples",
    shorten_a_column: r"source_row: has shape \(7,\), image has 500 samples",
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


def test_a_user_may_add_a_column(copy):
    extra = xr.Dataset({"mine": ("sample", np.arange(500.0))}, attrs=open_unchecked(copy).attributes)
    extra.to_zarr(copy, mode="a", zarr_format=3, consolidated=False)
    assert "mine" in store.open_dataset(copy)
