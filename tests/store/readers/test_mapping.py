import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from store.layout import Layout
from store.opening import open_store
from store.readers.bus_errors import SYSTEMS
from store.readers.mapping import MappedFile
from store.readers.sample_reader import open_reader
from tests.examples import write_store
from tests.store.streams import assert_true, open_stream

ROOT = Path(__file__).parents[3]


def test_the_bytes_are_those_of_the_file_and_cannot_be_changed(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(content := bytes(range(256)) * 50)
    array = np.asarray(MappedFile(path))
    assert array.tobytes() == content
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1


def test_an_array_keeps_the_map_when_the_file_is_removed(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc" * 5000)
    part = np.asarray(MappedFile(path))[3:]
    path.unlink()
    assert part[:3].tobytes() == b"abc"


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux, to see what is mapped and open")
def test_no_file_is_kept_open_and_nothing_stays_mapped(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc" * 5000)
    mapped = MappedFile(path)
    mapped.read_ahead()
    assert str(path) not in [os.path.realpath(name) for name in Path("/proc/self/fd").iterdir()]
    assert str(path) in Path("/proc/self/maps").read_text()
    del mapped
    assert str(path) not in Path("/proc/self/maps").read_text()


def test_what_cannot_be_mapped_is_refused_with_its_name(tmp_path):
    (tmp_path / "empty").touch()
    with pytest.raises(ValueError, match="empty is empty"):
        MappedFile(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match="nothing"):
        MappedFile(tmp_path / "nothing")
    with pytest.raises(OSError, match="Is a directory"):
        MappedFile(tmp_path)


def reader_of(path):
    store = open_store(path)
    return open_reader(store.image, store.shards)


def test_streams_of_one_store_share_a_reader_and_those_of_others_do_not(made_up, tmp_path):
    streams = [open_stream(made_up, split=split) for split in ("train", "validation", "train")]
    assert len({id(stream._reader) for stream in streams}) == 1
    assert reader_of(made_up) is streams[0]._reader
    assert reader_of(write_store(tmp_path / "other.zarr")) is not streams[0]._reader


@pytest.mark.parametrize("change", ["shard", "metadata"])
def test_a_store_that_was_replaced_gets_a_new_reader(tmp_path, change):
    path = write_store(tmp_path / "store.zarr")
    stream = open_stream(path)
    old = stream._reader
    file = path / "image" / ("c.3.0.0.0" if change == "shard" else "zarr.json")
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content)
    assert reader_of(path) is not old
    for batch in stream:
        assert_true(batch)


CUT_SHORT = """
import os, sys
import numpy as np
from pathlib import Path
from store.readers.mapping import MappedFile
from tests.store.streams import open_stream

path = Path(sys.argv[1])
stream = open_stream(path, threads=2)
batches = iter(stream)
next(batches)
for shard in (path / "image").glob("c.*"):
    os.truncate(shard, 16)
for batch in batches:
    pass
print("read to the end")
"""


@pytest.mark.skipif(sys.platform not in SYSTEMS, reason="needs a system whose signals are known")
def test_a_shard_cut_short_while_it_is_read_is_named(tmp_path):
    path = write_store(tmp_path / "a\x1b[2J.zarr", split_sizes=(3000, 53, 97))
    words = [sys.executable, "-X", "faulthandler", "-c", CUT_SHORT, path]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout) == (1, "")
    shard = r"\S+/a\\x1b\[2J\.zarr/image/c\.\d+\.0\.0\.0"
    reason = r"was cut short by another program while it was being read, from \d+ bytes to 16; copy it again"
    assert re.fullmatch(rf"error: {shard}: {reason}", done.stderr.strip())


ELSEWHERE = """
import ctypes, mmap, sys
from pathlib import Path
from store.readers.mapping import MappedFile

mapped = MappedFile(Path(sys.argv[1]))
with open(sys.argv[2], "r+b") as file:
    other = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    file.truncate(0)
other[0]
"""


@pytest.mark.skipif(sys.platform not in SYSTEMS, reason="needs a system whose signals are known")
def test_a_fault_that_is_not_in_a_mapped_file_is_left_to_others(tmp_path):
    for name in ("ours", "other"):
        (tmp_path / name).write_bytes(b"abc" * 5000)
    words = [sys.executable, "-X", "faulthandler", "-c", ELSEWHERE, tmp_path / "ours", tmp_path / "other"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == -signal.SIGBUS
    assert "Fatal Python error: Bus error" in done.stderr
    assert "error: " not in done.stderr.replace("Python error: ", "")


FEW_FILES = """
import os, resource, sys
import numpy as np
from store.stream import BatchStream
from tests.examples import tell_tale_images, tell_tale_labels

path, samples = sys.argv[1], int(sys.argv[2])
images, labels = tell_tale_images(samples), tell_tale_labels(samples)
BatchStream(path, split="test", batch_size=8)  # imports and compiles
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
streams = [BatchStream(path, split=split, batch_size=32) for split in ("train", "validation", "test", "train")]
seen = 0
for stream in streams:
    assert stream.reader == ("blocks, by pread" if os.environ["CALOSTREAM_READER"] == "pread" else "blocks")
    for batch in stream:
        assert np.array_equal(batch.image, images[batch.sample])
        assert np.array_equal(batch.label, labels[batch.sample])
        seen += batch.sample.size
print(seen)
"""


@pytest.mark.parametrize("reader", ["map", "pread"])
def test_a_store_with_more_shards_than_files_may_be_open_is_read_by_several_streams(tmp_path, reader):
    sizes = (300, 60, 41)
    path = write_store(tmp_path / "store.zarr", split_sizes=sizes, chunk=1, shard=1)
    assert Layout(sample_bytes=336, chunk=1, shard=1).shard_count(sum(sizes)) == 401
    assert len(list((path / "image").glob("c.*"))) == 401
    words = [sys.executable, "-c", FEW_FILES, path, str(sum(sizes))]
    environment = {**os.environ, "CALOSTREAM_READER": reader}
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=100, env=environment)
    assert done.stdout.split() == [str(2 * sizes[0] + sizes[1] + sizes[2])], done.stderr
