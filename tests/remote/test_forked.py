"""Forked processes read remote stores too, although the libraries that send requests do not work there."""

import multiprocessing
from pathlib import Path

import pytest

from store.locations import Url
from store.remote.objects import open_objects
from store.remote.relay import RelayedObjects
from store.stream import BatchStream


def read_in_fork(stream: BatchStream, url: Url, results) -> None:
    objects = open_objects(url)
    assert isinstance(objects, RelayedObjects)
    objects.write("more", b"12345")
    results.put((objects.info("more").size, objects.read("more", 1, 3), objects.info("none"), objects.list("label")))
    try:
        objects.read("none")
    except FileNotFoundError as error:
        results.put(error.filename)
    results.put([(batch.sample.tolist(), batch.image[:, 0, 0, 0].tolist()) for batch in stream])


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_reads_a_remote_store(own_store: Url, cache: Path, local_store: Path) -> None:
    stream = BatchStream(own_store, split="test", batch_size=32, shuffle="window")
    local = BatchStream(local_store, split="test", batch_size=32, shuffle="window")
    expected = [(batch.sample.tolist(), batch.image[:, 0, 0, 0].tolist()) for batch in local]
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    process = context.Process(target=read_in_fork, args=(stream, own_store, results), daemon=True)
    process.start()
    size, content, nothing, listed = results.get(timeout=60)
    assert (size, content, nothing) == (5, b"23", None)
    assert listed == open_objects(own_store).list("label")
    assert results.get(timeout=60) == f"{own_store}/none"
    assert results.get(timeout=60) == expected
    process.join(timeout=60)
    assert process.exitcode == 0
