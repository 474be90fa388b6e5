"""Statistics of a store's training split: computed for groups of shards in parallel, then added up."""

import functools
import operator
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np

from ingest.executors import Executor
from store import files
from store.digests import read_digests, write_digests
from store.errors import StoreError
from store.image_statistics import ImageStatistics, to_dataset
from store.integrity import check_labels, check_store
from store.opening import open_unchecked
from store.sample_reader import open_reader
from store.variable_statistics import describe_variables
from store.writer import consolidate

GROUPS = 16  # does not depend on the executor, so that rounding of the sums does not either
GROUP_BYTES = 256 << 20  # sums of all groups together, unless those of one are larger
READ_BYTES = 2 << 20  # images decoded at once: they fit the processor's cache, and the overhead of calls is negligible


def recompute_statistics(path: Path, executor: Executor) -> None:
    """Compute the statistics of a finished store again, and record their digests.

    Raises
    ------
    StoreError
        If the path holds no store, its training split lacks a class, or another process is doing the same.
    CorruptStoreError
        If the store is incomplete or was changed since it was made.
    """
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


def write_statistics(path: Path, executor: Executor) -> None:
    """Compute the statistics of a store's training split, and write its group ``statistics`` anew.

    Raises
    ------
    StoreError
        If the path holds no store, or the training split lacks a class.
    """
    path = path.absolute()  # workers of a cluster may run in another folder
    store = open_unchecked(path)
    start, stop = store.split_range("train")
    group = store.image.chunks[0]
    sums_bytes = 4 * store.spec.sample_bytes * len(store.spec.classes)  # two float64 for each value of an image
    groups = max(1, min(GROUPS, GROUP_BYTES // sums_bytes))
    group *= max(1, -(-(stop - start) // (group * groups)))
    calls = [(path, first, min(stop, first + group)) for first in range(start, stop, group)]
    total = functools.reduce(operator.add, executor.run(statistics_of, calls, "statistics"))
    if not total.images.all():
        raise StoreError(f"{path}: the training split lacks a class: {total.images.tolist()} images by class")
    names = ["label", *(variable.name for variable in store.spec.variables)]
    columns = {name: np.asarray(store.group[name][start:stop]) for name in names}  # type: ignore[index]
    images = to_dataset(total, store.spec)
    dataset = images.merge(describe_variables(columns, columns["label"], store.spec))
    fresh = path.with_name(f".{path.name}.statistics")
    shutil.rmtree(fresh, ignore_errors=True)
    dataset.to_zarr(fresh, zarr_format=3, consolidated=False)
    shutil.rmtree(path / "statistics", ignore_errors=True)
    fresh.rename(path / "statistics")
    consolidate(path)


def statistics_of(path: Path, start: int, stop: int) -> ImageStatistics:
    """Return the statistics of the samples [start, stop) of a store."""
    store = open_unchecked(path)
    reader = open_reader(store.image, store.shards)
    label = np.asarray(store.group["label"][start:stop])  # type: ignore[index]
    check_labels(store, label, start)
    total = ImageStatistics.zero(store.spec)
    step = max(1, READ_BYTES // store.spec.sample_bytes)
    images = np.empty((step, *store.spec.image_shape), np.float32)
    for first in range(start, stop, step):
        samples = np.arange(first, min(stop, first + step))
        reader.read(samples, images[: samples.size])
        total.update(images[: samples.size], label[first - start :][: samples.size])
    return total
