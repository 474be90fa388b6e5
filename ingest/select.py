"""Making a store of a selection: the samples of another store that pass a cut, each in the split that it was in."""

import functools
import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ingest.completion import complete_store, history_line, versions
from ingest.destination import check_output, find_destination, removing_unused_folders
from ingest.executors import Executor
from ingest.places import open_place
from ingest.remote_staging import open_staging
from store.arrays import BoolArray, Int64Array
from store.blosc import Blocks, encode_samples
from store.datasets import SPLITS
from store.digests import content_digest
from store.errors import SourceError
from store.files import folder_bytes
from store.layout import Layout, shard_path
from store.locations import Location, Url
from store.opening import Store, open_store
from store.readers.sample_reader import SampleReader, open_reader
from store.sample_columns import WEIGHT, column_types
from store.selection import Cut
from store.writer import SampleTable, pack_shard

REQUESTS = 16  # at a time


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What to select.

    Attributes
    ----------
    store
        The store to select from.
    where
        Cut on the per-sample columns, such as ``"pt > 100 and m0 < 30"``; see `store.selection`.
    output
        Folder or URL of the store to make.
    overwrite
        Whether to replace an existing store.
    """

    store: Location
    where: str
    output: Location
    overwrite: bool = False


def select(job: Selection, executor: Executor) -> Location:
    """Make a store of the samples that pass a cut, with its own splits, statistics and digests.

    Samples keep their order, their split and their source rows, so that `ingest verify` compares the new store with the
    same sources, and no sample of the test split can get into another one.

    Returns
    -------
    pathlib.Path or Url
        The new store.

    Raises
    ------
    StoreError
        If there is no store to select from, the output exists and `overwrite` is not set, or another ingest is making
        it.
    PlanError
        If the cut is not a valid expression, or reads a column that the store does not have.
    SourceError
        If the cut leaves a split without a class.
    """
    cut, output = Cut.parse(job.where), find_destination(job.output, [job.store])
    store, staging = open_store(job.store), open_staging(output, executor)
    with removing_unused_folders(output), staging.held():
        check_output(output, overwrite=job.overwrite)
        positions, table = _select_samples(store, cut)
        where = " ".join(cut.text.split())
        staging.start({"store": store.digest, "where": where, "versions": versions()})
        stored_bytes = _size_of_images(store) * len(positions) // store.image.shape[0]
        layout = Layout.of(store.spec.sample_bytes).sized(len(positions), stored_bytes)
        staging.make_room(layout.shard_count(len(positions)))
        calls = [
            (
                store.path.absolute() if isinstance(store.path, Path) else store.path,
                store.digest,
                positions[start : start + layout.shard],
                layout,
                shard_path(Path(), shard).as_posix(),
                staging.shards,
            )
            for shard, start in enumerate(range(0, len(positions), layout.shard))
        ]
        copied = executor.run(copy_shard, calls, "writing shards")
        _open_once.cache_clear()
        shards = [digest for digest, _ in copied]
        attributes = {
            **{name: store.attributes[name] for name in ("sources", "simulated", "seed")},
            "empty_images": sum(empty for _, empty in copied),
            "split_scheme": f"{store.attributes['split_scheme']} where {where}",
            "selection": {
                "where": where,
                "before": store.image.shape[0],
                "after": len(positions),
                "from": store.digest,
                **({"earlier": store.attributes["selection"]} if "selection" in store.attributes else {}),
            },
            "content_digest": content_digest(shards, table.split_ranges, table.content),
            "versions": versions(),
            "history": f"{history_line()}\n{store.attributes.get('history', '')}",
        }
        url = staging.output if isinstance(staging.output, Url) else None
        complete_store(staging.root, table, shards, store.spec, layout, attributes, executor, url)
        staging.publish()
    return job.output


def _select_samples(store: Store, cut: Cut) -> tuple[Int64Array, SampleTable]:
    """Return the positions, in the store, of the samples that pass, int64 (sample,), and their columns."""
    columns = {name: store.column(name) for name in column_types(store.spec, len(store.attributes["sources"]))}
    cut.check_columns(tuple(columns))
    passed = cut.apply(columns)
    _check_classes(store, cut, columns["label"], columns["split"], passed)
    positions = np.flatnonzero(passed)
    train, validation, test = (
        int(np.count_nonzero(columns["split"][positions] == code)) for code in range(len(SPLITS))
    )
    return positions, SampleTable(
        label=columns["label"][positions],
        source_file=columns["source_file"][positions],
        source_row=columns["source_row"][positions],
        split_sizes=(train, validation, test),
        variables={variable.name: columns[variable.name][positions] for variable in store.spec.variables},
        weight=columns[WEIGHT][positions] if store.spec.weight_key else None,
    )


def _check_classes(store: Store, cut: Cut, label: BoolArray, split: BoolArray, passed: BoolArray) -> None:
    for code, split_name in enumerate(SPLITS):
        for value, class_name in enumerate(store.spec.classes):
            if not np.any(passed & (split == code) & (label == value)):
                raise SourceError(
                    f"{store.path}: where={cut.text!r} leaves no sample of class {class_name} in split {split_name!r}"
                )


def _size_of_images(store: Store) -> int:
    """Return the size of the shards of a store, in bytes."""
    if isinstance(store.path, Path):
        return folder_bytes(store.folder / "image")
    objects = open_place(store.path)
    with ThreadPoolExecutor(REQUESTS) as pool:
        names = (shard_path(Path(), shard).as_posix() for shard in range(store.shards.count))
        return sum(info.size for info in pool.map(objects.info, names) if info is not None)


@functools.lru_cache(1)  # opening a store takes longer the more shards it has
def _open_once(path: Location, digest: str) -> tuple[Store, SampleReader]:
    """Return a store with this digest and its reader, opened once in each process for all calls of `copy_shard`."""
    store = open_store(path)
    return store, open_reader(store.image, store.shards)


def copy_shard(
    path: Location, digest: str, positions: Int64Array, layout: Layout, name: str, root: Location
) -> tuple[str, int]:
    """Write one shard of some samples of another store.

    Parameters
    ----------
    path
        The store to read.
    digest
        Its content digest.
    positions
        Positions of the samples in it, int64 (n,), at most `layout.shard`.
    layout
        Sizes and codec of the new store.
    name
        Name of the shard in the new store.
    root
        Folder or URL of the new store.

    Returns
    -------
    sha256 : str
        Digest of the file.
    empty : int
        Number of images without any non-zero value.
    """
    store, reader = _open_once(path, digest)
    blocks: list[Blocks] = []
    empty = 0
    for start in range(0, len(positions), layout.chunk):
        samples = positions[start : start + layout.chunk]
        images = np.empty((len(samples), *store.spec.image_shape), np.float32)
        reader.read(samples, images)
        empty += int(np.count_nonzero(~images.any(axis=(1, 2, 3))))
        blocks.append(encode_samples(images, layout))
    content = pack_shard(Blocks.join(blocks), layout)
    open_place(root).write(name, content)
    return hashlib.sha256(content).hexdigest(), empty
