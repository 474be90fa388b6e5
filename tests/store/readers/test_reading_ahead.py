"""Threads and memory for reading ahead, and what may happen to a stream while it is being read."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from store.errors import ConfigError, CorruptStoreError, PlanError
from store.layout import shard_path
from store.readers.block_reader import BlockReader
from tests.examples import write_store
from tests.store.streams import BATCH_BYTES, IMAGES, assert_same, assert_true, open_stream

ROOT = Path(__file__).parents[3]


def reading_threads():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("calostream_")]


@pytest.mark.parametrize("leave", ["break", "error", "close", "end"])
def test_no_thread_is_left_however_a_stream_is_left(made_up, leave):
    stream = open_stream(made_up, threads=3)
    assert reading_threads() == []
    batches = iter(stream)
    next(batches)
    assert reading_threads()
    if leave == "break":
        for _ in batches:
            break
        del batches
    elif leave == "error":
        with pytest.raises(ZeroDivisionError):
            batches.throw(ZeroDivisionError)
    elif leave == "close":
        batches.close()
    else:
        list(batches)
    assert reading_threads() == []


def test_memory_for_less_than_two_batches_is_refused_with_the_numbers(made_up):
    assert list(open_stream(made_up, memory=2 * BATCH_BYTES))
    with pytest.raises(PlanError, match=rf"memory={2 * BATCH_BYTES - 1} is less than two batches of {BATCH_BYTES} byt"):
        open_stream(made_up, memory=2 * BATCH_BYTES - 1)


@pytest.mark.parametrize("memory", ["lots", "12 apples", ""])
def test_a_memory_that_is_no_size_is_refused(made_up, memory):
    with pytest.raises(ConfigError, match=f"memory={memory!r} is not a size such as '512MiB'"):
        open_stream(made_up, memory=memory)


def test_no_more_batches_are_read_ahead_than_memory_holds(made_up, monkeypatch):
    began = []
    read = BlockReader.read

    def count(self, samples, out):
        began.append(samples)
        read(self, samples, out)

    monkeypatch.setattr(BlockReader, "read", count)
    stream = open_stream(made_up, memory=3 * BATCH_BYTES, threads=4)
    assert stream.memory == 3 * BATCH_BYTES
    for count, _ in enumerate(stream, 1):
        time.sleep(0.01)  # for the readers to read what they may
        assert len(began) <= count + 2, "the consumer's batch and two others"


def test_a_consumer_that_keeps_nothing_gets_the_same_few_buffers(made_up):
    addresses = {batch.image.ctypes.data for batch in open_stream(made_up, batch_size=4, memory=4 * BATCH_BYTES)}
    assert len(addresses) <= 16


def test_batches_that_the_consumer_keeps_are_not_overwritten(made_up):
    batches = list(open_stream(made_up, batch_size=7, threads=4))
    assert len(batches) == 50
    for batch in batches:
        assert_true(batch)


def test_a_part_of_a_batch_that_the_consumer_keeps_is_not_overwritten(made_up):
    kept = []
    for batch in open_stream(made_up, batch_size=7, threads=4):
        kept.append((batch.sample[2:].copy(), batch.image[2:, 1:, ..., 0], memoryview(batch.image[0])))
        first = batch.sample[0]
        kept[-1] += (first,)
        del batch
    for sample, part, view, first in kept:
        assert np.array_equal(part, IMAGES[sample][:, 1:, ..., 0])
        assert np.array_equal(np.asarray(view), IMAGES[first])


def test_two_streams_at_once_do_not_disturb_each_other(made_up):
    options = {"shuffle": "full", "seed": 1}, {"shuffle": "window", "seed": 2}
    pairs = list(zip(*(open_stream(made_up, **each) for each in options), strict=True))
    for position, each in enumerate(options):
        assert_same([pair[position] for pair in pairs], open_stream(made_up, **each))


def test_damage_found_by_a_reading_thread_reaches_the_consumer_with_the_shards_name(tmp_path):
    path = write_store(tmp_path / "store.zarr")
    shard = shard_path(path, 3)
    data = bytearray(shard.read_bytes())
    data[16:20] = b"\xff" * 4  # the first entry of the first chunk's block table
    shard.write_bytes(data)
    stream = open_stream(path, threads=3)
    good = []
    with pytest.raises(CorruptStoreError, match=re.escape(f"{shard}: sample 192 is corrupt: its block table")):
        good.extend(stream)
    plan = stream.plan
    assert len(good) == next(i for i in range(len(plan)) if 192 in plan[i]), "all batches before it were given"
    assert reading_threads() == []
    assert stream.state_dict()["batch"] == len(good)


def test_a_stream_continues_while_its_store_is_replaced(tmp_path):
    path = write_store(tmp_path / "store.zarr")
    batches = iter(open_stream(path, threads=1, memory=2 * BATCH_BYTES))
    assert_true(next(batches))
    shutil.rmtree(path)
    write_store(path, split_sizes=(3, 3, 3))
    for batch in batches:
        assert_true(batch)


def fingerprint(batches):
    """Return the sha256 of some batches."""
    digest = hashlib.sha256()
    for batch in batches:
        for array in (batch.image, batch.label, batch.sample):
            digest.update(array.tobytes())
    return digest.hexdigest()


ELSEWHERE = """
import os, sys
from store.errors import PlanError
from tests.store.streams import open_stream
from tests.store.readers.test_reading_ahead import fingerprint

def refused(batches):
    try:
        next(batches)
    except PlanError as error:
        return "iterate anew" in str(error)

print(fingerprint(open_stream(sys.argv[1], seed=3)))
stream = open_stream(sys.argv[1], threads=3)
batches = iter(stream)
next(batches)
child = os.fork()
if child == 0:
    os._exit(0 if refused(batches) and len(list(stream)) == 21 else 3)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), len(list(batches)))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks")
def test_another_process_gives_the_same_epoch_and_a_forked_one_iterates_anew_and_leaves_its_parent_alone(made_up):
    words = [sys.executable, "-c", ELSEWHERE, made_up]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.stdout.splitlines() == [fingerprint(open_stream(made_up, seed=3)), "0 21"], done.stderr


COMPILES = """
import sys
from store.compiled import decode, permutation
from store.plans.plan import SHUFFLES
from tests.store.streams import open_stream

functions = {name: value for module in (decode, permutation) for name, value in vars(module).items()
             if hasattr(value, "signatures")}

def compiled():
    return {name: len(function.signatures) for name, function in functions.items()}

for shuffle in SHUFFLES:
    stream = open_stream(sys.argv[1], shuffle=shuffle)
    before = compiled()
    list(stream)
    assert compiled() == before, (shuffle, before, compiled())
assert before["decode_samples"] == before["fill_full"] == before["fill_group"] == 1, before
"""


def test_everything_is_compiled_before_the_first_batch(made_up):
    words = [sys.executable, "-c", COMPILES, made_up]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
