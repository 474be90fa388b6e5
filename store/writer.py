"""Writing a store: metadata and small arrays through xarray and zarr, shards of images directly.

`ingest` writes a store in a staging folder and publishes it by one rename, so that it is complete or does not exist.
"""

import hashlib
import struct
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import numpy.typing as npt
import xarray as xr
import zarr
from zarr.codecs import BloscCodec
from zarr.errors import ZarrUserWarning

from store.arrays import Float32Array, Int64Array, UInt8Array, UnsignedArray, VariableArray
from store.blosc import Blocks, join_blocks
from store.column_files import column_encoding, write_column
from store.datasets import FORMAT, FORMAT_VERSION, SPLITS, DatasetSpec
from store.files import write_whole
from store.layout import MISSING_CHUNK, Layout
from store.sample_columns import WEIGHT

CRC = struct.Struct("<I")


@dataclass(frozen=True, kw_only=True)
class SampleTable:
    """The columns of a store: what is known about each sample besides its image, in the order of the store.

    Attributes
    ----------
    label
        uint8 (sample,), class of each sample.
    source_file
        (sample,), index of the source file that each sample comes from, in the type `store.sample_columns.source_type`.
    source_row
        int64 (sample,), row of each sample in its source file.
    split_sizes
        Number of samples in train, validation and test; the splits follow each other in this order.
    variables
        float32 or int64 (sample,) by name of variable, in the order of the data set.
    weight
        float32 (sample,), weight of each sample, or None if the data set has none.
    """

    label: UInt8Array
    source_file: UnsignedArray
    source_row: Int64Array
    split_sizes: tuple[int, int, int]
    variables: dict[str, VariableArray] = field(default_factory=dict)
    weight: Float32Array | None = None

    @property
    def content(self) -> tuple[npt.NDArray[Any], ...]:
        """The columns that the content digest covers, in the order of `store.sample_columns.content_columns`."""
        weight = () if self.weight is None else (self.weight,)
        return (self.label, self.source_file, self.source_row, *self.variables.values(), *weight)

    @property
    def split_ranges(self) -> dict[str, list[int]]:
        """For each split, the position of its first sample and one more than the position of its last."""
        ends = np.cumsum(self.split_sizes).tolist()
        return {name: [end - size, end] for name, size, end in zip(SPLITS, self.split_sizes, ends, strict=True)}


def pack_shard(blocks: Blocks, layout: Layout) -> memoryview:
    """Return the content of the file of one shard of the image array.

    Parameters
    ----------
    blocks
        Blosc blocks of the samples of the shard in order, at most `layout.shard`. The last chunk is filled up with
        zeros; chunks without any sample are not stored.
    layout
        Sizes and codec.

    References
    ----------
    Zarr v3 codec "sharding_indexed" 1.0: chunks in any order, then offset and size of each chunk as little-endian
    uint64, then the CRC-32C of this index.
    """
    index = np.full((layout.shard // layout.chunk, 2), MISSING_CHUNK, "<u8")
    content, sizes = join_blocks(blocks, layout, tail=index.nbytes + CRC.size)
    index[: sizes.size, 0] = np.cumsum(sizes) - sizes
    index[: sizes.size, 1] = sizes
    packed = index.tobytes()
    content[-len(packed) - CRC.size :] = np.frombuffer(packed + CRC.pack(google_crc32c.value(packed)), np.uint8)
    return content.data


def write_shard(path: Path, blocks: Blocks, layout: Layout) -> str:
    """Write one shard of the image array, whole or not at all, and return the sha256 of the file as hex.

    Parameters
    ----------
    path
        File of the shard.
    blocks, layout
        See `pack_shard`.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    content = pack_shard(blocks, layout)
    write_whole(path, content)
    return hashlib.sha256(content).hexdigest()


def create_image(root: Path, samples: int, spec: DatasetSpec, layout: Layout) -> None:
    """Create the array ``image`` of a store without its shards, which `write_shard` writes.

    Parameters
    ----------
    root
        The store, which must not have the array yet.
    samples
        Number of samples.
    spec
        The data set.
    layout
        Sizes and codec.
    """
    shape = (samples, *spec.image_shape)
    codec = layout.codec
    zarr.create_array(
        root,
        name="image",
        shape=shape,
        dtype="float32",
        chunks=(layout.chunk, *shape[1:]),
        shards=(layout.shard, *shape[1:]),
        compressors=BloscCodec(**{**codec, "shuffle": "noshuffle"}),
        chunk_key_encoding={"name": "default", "separator": "."},
        fill_value=0.0,
        dimension_names=("sample", "ieta", "iphi", "channel"),
        attributes={
            "long_name": f"{' and '.join(channel.long_name for channel in spec.channels)} in each cell",
            "units": "1",
            "comment": "; ".join(f"{channel.name}: {channel.comment}" for channel in spec.channels),
            "coordinates": "split source_file source_row",
        },
        zarr_format=3,
    )


def write_tables(root: Path, table: SampleTable, spec: DatasetSpec, attributes: dict[str, Any]) -> None:
    """Write columns, coordinates and root attributes of a store: everything except images and statistics.

    Parameters
    ----------
    root
        The store.
    table
        The columns.
    spec
        The data set.
    attributes
        Further root attributes, with at least ``sources``.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    ieta, iphi = (np.arange(size) - seed for size, seed in zip(spec.image_shape, spec.seed, strict=False))
    split = np.repeat(np.arange(3, dtype=np.uint8), table.split_sizes)
    sources = [source["name"] for source in attributes["sources"]]
    variables = {
        "label": ("sample", table.label, {"long_name": "true class", "units": "1", **flags(spec.classes)}),
        **{
            variable.name: (
                "sample",
                table.variables[variable.name],
                {"long_name": variable.long_name, "units": variable.units},
            )
            for variable in spec.variables
        },
    }
    if table.weight is not None:
        variables[WEIGHT] = ("sample", table.weight, {"long_name": "weight of the sample", "units": "1"})
    coordinates = {
        "split": ("sample", split, {"long_name": "part of the data set", "units": "1", **flags(SPLITS)}),
        "source_file": ("sample", table.source_file, {"long_name": "source file", "units": "1", **flags(sources)}),
        "source_row": ("sample", table.source_row, {"long_name": "row in the source file", "units": "1"}),
        "ieta": ("ieta", ieta.astype(np.int16), {"long_name": "cells from the seed along eta", "units": "1"}),
        "iphi": ("iphi", iphi.astype(np.int16), {"long_name": "cells from the seed along phi", "units": "1"}),
        "channel": (
            "channel",
            np.array([channel.name for channel in spec.channels], dtype=np.dtypes.StringDType()),
            {"long_name": "; ".join(f"{channel.name}: {channel.long_name}" for channel in spec.channels)},
        ),
    }
    dataset = xr.Dataset(
        variables,
        coordinates,
        {
            "Conventions": "CF-1.11",
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "title": spec.title,
            "dataset": spec.name,
            "description": spec.to_dict(),
            "split_ranges": table.split_ranges,
            **attributes,
        },
    )
    columns = [str(name) for name, variable in dataset.variables.items() if variable.dims == ("sample",)]
    encoding = {name: column_encoding(dataset[name].values) for name in columns}
    later = dataset.assign({name: dataset[name].chunk() for name in columns})  # xarray then writes the metadata alone
    later.to_zarr(root, mode="a", zarr_format=3, consolidated=False, encoding=encoding, compute=False)
    group = zarr.open_group(root, mode="r")
    for name in columns:
        write_column(group[name], root, dataset[name].values)  # type: ignore[arg-type]


def flags(meanings: Sequence[str]) -> dict[str, Any]:
    """Return the CF attributes ``flag_values`` and ``flag_meanings`` of codes 0, 1, ...; blanks become underscores."""
    return {
        "flag_values": list(range(len(meanings))),
        "flag_meanings": " ".join(meaning.replace(" ", "_") for meaning in meanings),
    }


def consolidate(root: Path) -> None:
    """Copy the metadata of all arrays and groups into those of the root, where ``xarray.open_zarr`` looks first.

    The copy is an extension of Zarr v3 that readers may ignore. Without it, xarray warns whenever the store is opened.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Consolidated metadata is currently not part", ZarrUserWarning)
        zarr.consolidate_metadata(root, zarr_format=3)
