import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.spool import GROUP, Spool
from store.blosc import Blocks
from store.errors import StoreError

POSITIONS = (7, 3, 30, 12, 5)


@pytest.fixture
def spool(tmp_path):
    return Spool(place=tmp_path, ingest="one ingest")


@pytest.fixture
def run(spool):
    return write(spool, "000001", samples())


def write(spool, name, samples):
    """Write a run of some pairs of position and block."""
    position = np.array([position for position, _ in samples], np.int64)
    return spool.write_run(name, position, Blocks.of(block for _, block in samples))


def read(spool, runs, start, stop):
    """Return the pairs of position and block that some runs have in a range of positions."""
    blocks = spool.read_runs(runs, start, stop)
    assert len(blocks) == stop - start
    return [(position, block) for position, block in enumerate(blocks, start) if block]


def samples():
    random = np.random.default_rng(0)
    return [(position, random.bytes(position)) for position in POSITIONS]


def file_of(spool, run):
    return spool.place / f"{run.name}.run"


def test_a_run_gives_its_samples_by_position(spool, run):
    expected = sorted(samples())
    assert read(spool, [run], 0, 31) == expected
    assert read(spool, [run], 5, 12) == expected[1:3]
    assert read(spool, [run], 13, 30) == []
    assert spool.is_whole(run)


def test_a_run_may_have_no_samples(spool):
    run = write(spool, "000001", [])
    assert read(spool, [run], 0, 100) == []
    assert spool.is_whole(run)


@given(st.data())
def test_any_range_of_positions_is_found_in_any_number_of_runs(tmp_path_factory, data):
    spool = Spool(place=tmp_path_factory.mktemp("spool"), ingest="one ingest")
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    count = data.draw(st.integers(1, 5 * GROUP))
    blocks = {int(position): random.bytes(random.integers(1, 40)) for position in random.permutation(2 * count)[:count]}
    pairs = list(blocks.items())
    cuts = sorted(data.draw(st.lists(st.integers(0, count), max_size=3)))
    runs = [write(spool, "000001", pairs[a:b]) for a, b in zip([0, *cuts], [*cuts, count], strict=True)]
    start = data.draw(st.integers(0, 2 * count))
    stop = data.draw(st.integers(start, 2 * count + 1))
    expected = [(position, blocks[position]) for position in range(start, stop) if position in blocks]
    assert read(spool, runs, start, stop) == expected
    assert all(map(spool.is_whole, runs))


def test_a_flipped_bit_anywhere_in_a_run_is_noticed(spool, run):
    path = file_of(spool, run)
    good = path.read_bytes()
    for place in range(len(good)):
        path.write_bytes(good[:place] + bytes([good[place] ^ 4]) + good[place + 1 :])
        assert not spool.is_whole(run)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes() + b"\0"),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: path.symlink_to(path.rename(path.with_name("elsewhere"))),
        lambda path: (path.unlink(), os.mkfifo(path)),
    ],
    ids=["missing", "empty", "shorter", "longer", "folder", "link", "pipe"],
)
def test_a_run_that_is_not_the_file_that_was_written_is_noticed(spool, run, damage):
    damage(file_of(spool, run))
    assert not spool.is_whole(run)


def test_two_runs_that_were_exchanged_are_noticed(spool, run):
    other = write(spool, "000002", [(position, block[::-1]) for position, block in samples()])
    first, second = file_of(spool, run), file_of(spool, other)
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    assert not spool.is_whole(run)
    assert not spool.is_whole(other)


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data[:-1] + b"x", lambda data: data[:20]])
def test_damage_while_the_ingest_runs_is_noticed_too(spool, run, damage):
    path = file_of(spool, run)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(StoreError, match=rf"{path}: was damaged after it was written; run this again"):
        read(spool, [run], 0, 31)


def test_only_what_records_stand_for_is_kept(spool, run):
    write(spool, "000002", samples())
    spool.write_record("000001", {"runs": [vars(run)]})
    spool.write_record("shard-000000", {"sha256": "0"})
    Spool(place=spool.place, ingest="another ingest").write_record("000003", {"runs": []})
    (spool.place / "000004.json").write_bytes(b"")
    (spool.place / "000005.json").mkdir()
    (spool.place / "000006.run").symlink_to("nowhere")
    spool.delete_unfinished()
    kept = {path.name for path in spool.place.iterdir()}
    assert kept == {"000001.json", f"{run.name}.run", "shard-000000.json"}


def test_a_run_and_its_name_are_on_the_disk_before_the_record(spool, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor)))

    def check(path, content, ingest):
        inodes = [(status.st_ino, status.st_size) for status in synced]
        written, folder = file_of(spool, run).stat(), spool.place.stat()
        assert inodes.index((written.st_ino, written.st_size)) < inodes.index((folder.st_ino, folder.st_size))
        checked.append(path.name)

    checked = []
    monkeypatch.setattr("ingest.spool.write_record", check)
    run = write(spool, "000001", samples())
    spool.write_record("000001", {"runs": [vars(run)]})
    assert checked == ["000001.json"]
