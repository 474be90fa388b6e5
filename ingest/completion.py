"""Completing a store whose image shards are written: columns, attributes, statistics and digests."""

import importlib.metadata
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import zarr

from ingest.executors import Executor
from ingest.statistics import write_statistics
from store import digests
from store.datasets import DatasetSpec
from store.errors import printable
from store.files import remove
from store.layout import Layout, shard_path
from store.locations import Url
from store.writer import SampleTable, create_image, write_tables


def complete_store(
    root: Path,
    table: SampleTable,
    shards: Sequence[str],
    spec: DatasetSpec,
    layout: Layout,
    attributes: dict[str, Any],
    executor: Executor,
    url: Url | None = None,
) -> None:
    """Write everything of a store except its image shards, which must exist already, in `root` or at a URL.

    Parameters
    ----------
    root
        Folder of the store.
    table
        Columns of the store.
    shards
        The sha256 of each image shard, in order.
    spec
        The data set.
    layout
        Sizes and codec of the images.
    attributes
        Attributes of the root group, besides those of `store.writer.write_tables`; control characters in their texts
        are escaped.
    executor
        Runs the computation of the statistics.
    url
        URL of the store, if its image shards are there and not in `root`; they are compared with their digests.
    """
    _delete_all_but_shards(root, len(shards))
    zarr.create_group(root, zarr_format=3)
    create_image(root, len(table.label), spec, layout)
    write_tables(root, table, spec, _printable_texts(attributes))
    write_statistics(root, executor, url, shards)
    digests.write_digests(root, {shard_path(Path(), shard).as_posix(): digest for shard, digest in enumerate(shards)})


def _printable_texts(value: Any) -> Any:
    """Return JSON types with control characters escaped in every text."""
    if isinstance(value, dict):
        return {_printable_texts(key): _printable_texts(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_printable_texts(part) for part in value]
    return printable(value) if isinstance(value, str) else value


def _delete_all_but_shards(root: Path, count: int) -> None:
    """Delete everything except the finished image shards: an interrupted ingest may have left it half-written."""
    shards = {shard_path(root, shard) for shard in range(count)}
    for path in (*root.iterdir(), *(root / "image").iterdir()):
        if path not in shards and path.name != "image":
            remove(path)


def history_line() -> str:
    """Return the time and the command line of this process on one line, for the attribute ``history``."""
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {command}".replace("\n", r"\n")


def versions() -> dict[str, str]:
    """Return the versions of the packages that decide a store's bytes."""
    names = ("calostream", "zarr", "numcodecs", "numpy", "h5py")
    return {name: importlib.metadata.version(name) for name in names}
