"""Small generated stores and source files for single tests, and programs run in the test's own process."""

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import typer
import zarr
from zarr.codecs import BloscCodec

from ingest.cli import app as ingest_app
from store import console
from store.blosc import encode_samples
from store.datasets import Channel, DatasetSpec
from store.digests import content_digest, read_digests, shard_digests, write_digests
from store.layout import Layout, shard_path
from store.sample_columns import source_type
from store.writer import SampleTable, consolidate, create_image, write_shard, write_tables

SHAPE = (6, 7, 2)  # shape of the images that `write_store` writes


def shape_spec(shape: tuple[int, int, int]) -> DatasetSpec:
    """Return a data set whose images have the given shape."""
    return DatasetSpec(
        name="electron-photon",
        title="made up",
        image_keys=("X",),
        label_key="y",
        image_shape=shape,
        channels=tuple(Channel(name=f"c{k}", long_name=f"channel {k}", comment="made up") for k in range(shape[2])),
        classes=("photon", "electron"),
        seed=(shape[0] // 2, shape[1] // 2),
    )


def write_images(root: Path, images: npt.NDArray[np.float32], layout: Layout) -> None:
    """Write the array ``image`` of a store with its shards."""
    create_image(root, len(images), shape_spec(images.shape[1:]), layout)
    for shard in range(layout.shard_count(len(images))):
        blocks = encode_samples(images[shard * layout.shard :][: layout.shard], layout)
        write_shard(shard_path(root, shard), blocks, layout)


def write_foreign(
    root: Path,
    *,
    images: npt.NDArray[np.float32],
    layout: Layout,
    codec: dict[str, Any],
    holes: Sequence[int] = (),
    separator: str = "/",
    **changes: Any,
) -> zarr.Array[Any]:
    """Write the array ``image`` with zarr-python alone, without the chunks that hold the samples in `holes`."""
    options = {"shuffle": "noshuffle", "blocksize": layout.sample_bytes, **codec}
    arguments = {
        "name": "image",
        "shape": images.shape,
        "dtype": images.dtype,
        "chunks": (layout.chunk, *images.shape[1:]),
        "shards": (layout.shard, *images.shape[1:]),
        "compressors": BloscCodec(**options),
        "chunk_key_encoding": {"name": "default", "separator": separator},
        "fill_value": 0.0,
        **changes,
    }
    array = zarr.create_array(root, **arguments)
    missing = {hole // layout.chunk for hole in holes}
    for chunk in set(range(-(-len(images) // layout.chunk))) - missing:
        rows = slice(chunk * layout.chunk, (chunk + 1) * layout.chunk)
        array[rows] = images[rows]
    return array


def tell_tale_images(count: int, shape: tuple[int, ...] = SHAPE) -> npt.NDArray[np.float32]:
    """Return float32 (count, *shape), mostly zeros; the first value of image i is i + 1."""
    random = np.random.default_rng(count)
    images = np.where(random.random((count, *shape)) < 0.2, random.standard_normal((count, *shape)), 0)
    images[:, 0, 0, 0] = np.arange(1, count + 1)
    return images.astype(np.float32)


def tell_tale_labels(count: int) -> npt.NDArray[np.uint8]:
    """Return uint8 (count,), a fixed random sequence of 0 and 1."""
    return np.random.default_rng(1).integers(0, 2, count, np.uint8)


def write_store(
    root: Path,
    *,
    split_sizes: tuple[int, int, int] = (350, 53, 97),
    chunk: int = 8,
    shard: int = 64,
    source_file: npt.NDArray[Any] | None = None,
    **attributes: Any,
) -> Path:
    """Write a store of `tell_tale_images` in which no split ends at the end of a chunk."""
    count = sum(split_sizes)
    layout = Layout(sample_bytes=4 * int(np.prod(SHAPE)), chunk=chunk, shard=shard)
    zarr.create_group(root, zarr_format=3)
    write_images(root, tell_tale_images(count), layout)
    table = SampleTable(
        label=tell_tale_labels(count),
        source_file=(np.zeros(count) if source_file is None else source_file).astype(
            source_type(len(attributes.get("sources", [""])))
        ),
        source_row=np.arange(count),
        split_sizes=split_sizes,
    )
    write_digests(root)
    shards = shard_digests(read_digests(root))
    root_attributes = {
        "sources": [{"name": "made up.hdf5", "size": 1, "sha256": "0" * 64, "rows": count}],
        "simulated": "Geant4 simulation",
        "split_scheme": "made up",
        "seed": 0,
        "content_digest": content_digest(shards, table.split_ranges, table.content),
        **attributes,
    }
    write_tables(root, table, shape_spec(SHAPE), root_attributes)
    consolidate(root)
    write_digests(root)
    return root


def showers(count: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Return float32 (count, 32, 32, 2): about fifty hits per image, energies >= 0, times around 0, no empty image."""
    random = np.random.default_rng(seed)
    images = random.standard_normal((count, 32, 32, 2)).astype(np.float32)
    images[..., 0] = np.abs(images[..., 0])
    images[np.broadcast_to(random.random((count, 32, 32, 1)) > 0.05, images.shape)] = 0
    images[:, 16, 16] = 0.5, -0.01
    return images


def write_hdf5(path: Path, images: npt.NDArray[Any], label: Any, **options: Any) -> Path:
    """Write a source file: `label` is one class for all images, or an array; h5py gets `options` for the images."""
    with h5py.File(path, "w") as file:
        file.create_dataset("X", data=images, **options)
        file["y"] = np.full(len(images), label, np.float32) if np.isscalar(label) else label
    return path


@dataclass(frozen=True)
class Outcome:
    """Exit status, standard output and standard error of a program."""

    status: int
    out: str
    err: str


def run_program(app: typer.Typer, default: str | None, *words: object) -> Outcome:
    """Run a program in this process; `default` is its default command."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            console.run(app, default, [str(word) for word in words])
        except SystemExit as end:
            status = int(end.code or 0)
    return Outcome(status, out.getvalue(), err.getvalue())


def run_ingest(*words: object) -> Outcome:
    """Run the program ``ingest`` in this process."""
    return run_program(ingest_app, "convert", *words)


def texts(tree: Any) -> Iterator[str]:
    """Yield every text in a tree of JSON values."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict | list):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from texts(str(key))
            yield from texts(value)
