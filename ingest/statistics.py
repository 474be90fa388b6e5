"""Statistics of a store's training split: computed for groups of shards in parallel, then added up."""

import functools
import itertools
import operator
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from ingest.executors import Executor
from ingest.fetched_shards import check_object, fetching
from store import files
from store.arrays import UInt8Array
from store.datasets import DatasetSpec
from store.digests import read_digests, write_digests
from store.errors import StoreError
from store.image_statistics import ImageStatistics, to_dataset
from store.integrity import check_labels, check_store
from store.layout import shard_path
from store.locations import Location, Url
from store.opening import Store, open_unchecked
from store.readers.sample_reader import SampleReader, open_reader
from store.variable_statistics import describe_variables
from store.writer import consolidate

GROUPS = 16  # does not depend on executor or place, so that rounding of the sums does not either
GROUP_BYTES = 256 << 20  # sums of all groups together, unless those of one are larger
READ_BYTES = 2 << 20  # images decoded at once: they fit the processor's cache, and the overhead of calls is negligible


def recompute_statistics(path: Location, executor: Executor) -> None:
    """Compute the statistics of a finished store again, and record their digests.

    Raises
    ------
    StoreError
        If the path holds no store or is a URL, its training split lacks a class, or another process is doing the same.
    CorruptStoreError
        If the store is incomplete or was changed since it was made.
    """
    if isinstance(path, Url):
        raise StoreError(f"{path}: statistics are recomputed only in a folder; copy the store to this machine")
    check_store(open_unchecked(path), statistics=False)
    lock = path.absolute().with_name(f".{path.name}.statistics.lock")
    lock.mkdir(exist_ok=True)
    try:
        with files.locked(lock):
            recorded = read_digests(path)
            write_statistics(path, executor)
            # The digests of all other files stay: a file that was damaged since must not be recorded as good.
            write_digests(path, {name: digest for name, digest in recorded.items() if not _is_written(name)})
    except BlockingIOError as error:
        if error.filename != str(lock):
            raise
        raise StoreError(f"{path}: another process is computing its statistics") from None
    finally:
        with suppress(OSError):
            lock.rmdir()


def _is_written(name: str) -> bool:
    """Return whether `write_statistics` writes a file of a store: its own group, and the consolidated metadata."""
    return name == "zarr.json" or name.startswith("statistics/")


def write_statistics(path: Path, executor: Executor, url: Url | None = None, digests: Sequence[str] = ()) -> None:
    """Compute the statistics of a store's training split, and write its group ``statistics`` anew.

    Parameters
    ----------
    path
        Folder of the store.
    executor
        Runs the computation.
    url
        Where the shards are, if they are not in the folder: all of them are read, and compared with `digests`.
    digests
        The sha256 of each shard, in order, if they are at a URL.

    Raises
    ------
    StoreError
        If the path holds no store, or the training split lacks a class.
    CorruptStoreError
        If a shard at the URL is not what was written.
    """
    path = path.absolute()  # workers of a cluster may run in another folder
    store = open_unchecked(path)
    start, stop = store.split_range("train")
    sums_bytes = 4 * store.spec.sample_bytes * len(store.spec.classes)  # two float64 for each value of an image
    groups = cut_groups(
        start,
        stop,
        chunk=store.image.chunks[0],
        shard=(store.image.shards or store.image.chunks)[0],
        most=max(1, min(GROUPS, GROUP_BYTES // sums_bytes)),
    )
    if url is None:
        calls = [(path, first, last) for ranges in groups for first, last in ranges]
        parts = executor.run(statistics_of, calls, "statistics")
    else:
        parts = _read_back(store, url, digests, groups, executor)
    total = functools.reduce(operator.add, parts)
    if not total.images.all():
        raise StoreError(f"{path}: the training split lacks a class: {total.images.tolist()} images by class")
    names = ["label", *(variable.name for variable in store.spec.variables)]
    columns = {name: store.column(name, start, stop) for name in names}
    images = to_dataset(total, store.spec)
    dataset = images.merge(describe_variables(columns, columns["label"], store.spec))
    fresh = path.with_name(f".{path.name}.statistics")
    shutil.rmtree(fresh, ignore_errors=True)
    dataset.to_zarr(fresh, zarr_format=3, consolidated=False)
    shutil.rmtree(path / "statistics", ignore_errors=True)
    fresh.rename(path / "statistics")
    consolidate(path)


def cut_groups(start: int, stop: int, *, chunk: int, shard: int, most: int) -> list[list[tuple[int, int]]]:
    """Cut the range of samples [start, stop) into parts whose statistics are computed one by one, then added up.

    Parameters
    ----------
    start, stop
        The range, in a store with `chunk` samples per chunk and `shard` samples per shard.
    most
        Number of parts at most; if there are fewer shards, a shard has several of them.

    Returns
    -------
    list of list of tuple
        The parts, in order. The inner lists have no shard in common.
    """
    first = start // shard * shard
    shards = -(-(stop - first) // shard)
    span = shard * -(-shards // most)
    size = span if span > shard else chunk * -(-shard // chunk // max(1, most // shards))
    size = max(size, chunk)
    groups = [
        [
            (max(start, part), min(stop, span_start + span, part + size))
            for part in range(span_start, span_start + span, size)
        ]
        for span_start in range(first, stop, span)
    ]
    return [[part for part in parts if part[0] < part[1]] for parts in groups]


def _read_back(
    store: Store, url: Url, digests: Sequence[str], groups: Sequence[Sequence[tuple[int, int]]], executor: Executor
) -> list[ImageStatistics]:
    """Return the statistics of each part of some groups from shards at a URL, and compare all shards with digests.

    Each shard is read once.
    """
    metadata = (store.folder / "image" / "zarr.json").read_bytes()
    shard = (store.image.shards or store.image.chunks)[0]
    calls = []
    for parts in groups:
        labels = [store.column("label", *part) for part in parts]
        for label, part in zip(labels, parts, strict=True):
            check_labels(store, label, range(*part))
        needed = range(parts[0][0] // shard, -(-parts[-1][1] // shard))
        calls.append((url, metadata, {number: digests[number] for number in needed}, store.spec, parts, labels))
    others = [number for number in range(len(digests)) if not any(number in call[2] for call in calls)]
    results = executor.run(statistics_of_fetched, calls, "statistics")
    checks = [(url, shard_path(Path(), number).as_posix(), digests[number]) for number in others]
    executor.run(check_object, checks, "reading back")
    return list(itertools.chain.from_iterable(results))


def statistics_of_fetched(
    url: Url,
    metadata: bytes,
    digests: Mapping[int, str],
    spec: DatasetSpec,
    parts: Sequence[tuple[int, int]],
    labels: Sequence[UInt8Array],
) -> list[ImageStatistics]:
    """Return the statistics of each of some ranges of samples of a store that is being made at a URL.

    Parameters
    ----------
    url, metadata, digests
        See `ingest.fetched_shards.fetching`.
    spec
        The data set.
    parts
        The ranges.
    labels
        uint8 (n,), the labels of each range.
    """
    with fetching(url, metadata, digests) as (image, shards):
        reader = open_reader(image, shards)
        return [_sum_images(reader, spec, label, start) for (start, _), label in zip(parts, labels, strict=True)]


def statistics_of(path: Path, start: int, stop: int) -> ImageStatistics:
    """Return the statistics of the samples [start, stop) of a store in a folder."""
    store = open_unchecked(path)
    label = store.column("label", start, stop)
    check_labels(store, label, range(start, stop))
    return _sum_images(open_reader(store.image, store.shards), store.spec, label, start)


def _sum_images(reader: SampleReader, spec: DatasetSpec, label: UInt8Array, start: int) -> ImageStatistics:
    """Return the statistics of consecutive samples from `start` on, which have these labels."""
    total = ImageStatistics.zero(spec)
    step = max(1, READ_BYTES // spec.sample_bytes)
    images = np.empty((step, *spec.image_shape), np.float32)
    for first in range(0, label.size, step):
        part = label[first : first + step]
        reader.read(np.arange(start + first, start + first + part.size), images[: part.size])
        total.update(images[: part.size], part)
    return total
