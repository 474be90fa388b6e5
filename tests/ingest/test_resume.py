"""An interrupted ingest continues with what is undamaged and its own, and makes the same store as any other."""

import os
import re
import shutil

import pytest

from ingest import external_shuffle
from ingest.staging import StagingFolder
from tests.examples import run_ingest
from tests.ingest.conftest import write_pair
from tests.ingest.test_convert import content, ingest_to

STRETCH_BYTES = 90 * 32 * 32 * 2 * 4
SOURCES = ("photons.hdf5", "electrons.hdf5")
KINDS = ("ingest.json", "000001.json", "shard-000000.json", "000001-*.run", "c.0.0.0.0")


@pytest.fixture(autouse=True)
def one_stretch_per_source(monkeypatch):
    """Cut stretches so short that the two sources do not share one."""
    monkeypatch.setattr(external_shuffle, "STRETCH_BYTES", STRETCH_BYTES)


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    """Return a store of two sources, made without an interruption; the sources lie beside it."""
    folder = tmp_path_factory.mktemp("once")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(external_shuffle, "STRETCH_BYTES", STRETCH_BYTES)
        ingest_to(folder / "direct.zarr", *write_pair(folder))
    return folder / "direct.zarr"


@pytest.fixture
def pair(made_once, tmp_path):
    """Return copies of the two sources, with the times of the originals."""
    return tuple(shutil.copy2(made_once.parent / name, tmp_path / name) for name in SOURCES)


@pytest.fixture(scope="module")
def interrupted_once(made_once):
    """Return the folder that an interrupted ingest of the two sources left."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(external_shuffle, "STRETCH_BYTES", STRETCH_BYTES)
        return interrupt([made_once.with_name(name) for name in SOURCES], made_once.with_name("out.zarr"))


@pytest.fixture
def interrupted(interrupted_once, pair, tmp_path):
    """Return a copy of that folder, where an interrupted ingest of `pair` would have left it."""
    return shutil.copytree(interrupted_once, tmp_path / interrupted_once.name, symlinks=True)


def interrupt(sources, output, *options):
    """Run an ingest that ends after its shards were written, and return its folder."""

    def fail(*_):
        raise OSError(5, "Input/output error", "table")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ingest.completion.write_tables", fail)
        assert run_ingest(*sources, "--output", output, *options).status == 1
    return output.with_name(f".{output.name}.ingest")


@pytest.fixture(scope="module")
def expected(made_once):
    return content(made_once)


@pytest.fixture
def read_stretches(monkeypatch):
    """Return the numbers of the stretches that are read from now on."""
    numbers, compress = [], external_shuffle._compress

    def watch(stretch, *rest):
        numbers.append(stretch.number)
        return compress(stretch, *rest)

    monkeypatch.setattr(external_shuffle, "_compress", watch)
    return numbers


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def replace_by_folder(path):
    path.unlink()
    path.mkdir()
    (path / "inside").touch()


DAMAGES = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "one bit": flip,
    "folder": replace_by_folder,
    "link": lambda path: path.symlink_to(path.rename(path.with_name("elsewhere"))),
    "pipe": lambda path: (path.unlink(), os.mkfifo(path)),
}


def find(staging, pattern):
    return next(staging.rglob(pattern))


def test_what_is_undamaged_is_not_done_again(interrupted, pair, tmp_path, expected, read_stretches):
    shard = find(interrupted, "c.0.0.0.0").stat()
    ingest_to(tmp_path / "out.zarr", *pair)
    assert read_stretches == []
    assert find(tmp_path / "out.zarr", "c.0.0.0.0").stat().st_ino == shard.st_ino
    assert content(tmp_path / "out.zarr") == expected


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("pattern", KINDS)
def test_what_is_damaged_is_done_again(interrupted, pair, tmp_path, expected, pattern, damage):
    DAMAGES[damage](find(interrupted, pattern))
    if pattern.endswith(".run"):
        find(interrupted, "c.0.0.0.0").unlink()  # runs are needed only for shards that are missing
    ingest_to(tmp_path / "out.zarr", *pair)
    assert content(tmp_path / "out.zarr") == expected
    assert not any(path.is_symlink() for path in (tmp_path / "out.zarr").rglob("*"))
    assert not interrupted.exists()


def test_a_damaged_record_of_the_ingest_costs_no_finished_work(interrupted, pair, tmp_path, read_stretches):
    shard = find(interrupted, "c.0.0.0.0").stat()
    flip(interrupted / "ingest.json")
    outcome = ingest_to(tmp_path / "out.zarr", *pair)
    assert f"{interrupted / 'ingest.json'}: is damaged" in outcome.err.replace("\n", "")
    assert read_stretches == []
    assert find(tmp_path / "out.zarr", "c.0.0.0.0").stat().st_ino == shard.st_ino


def test_files_of_an_ingest_with_another_seed_and_split_do_not_count(interrupted, pair, tmp_path, expected):
    own, other = interrupted, interrupt(pair, tmp_path / "other.zarr", "--seed", 1, "--split", "0.6,0.2,0.2")
    shutil.rmtree(own / "spool")
    shutil.copytree(other / "spool", own / "spool")
    shutil.copy(find(other, "c.0.0.0.0"), find(own, "c.0.0.0.0"))
    ingest_to(tmp_path / "out.zarr", *pair)
    assert content(tmp_path / "out.zarr") == expected


@pytest.mark.parametrize("folder", ["spool", "store", "store/image", ".store.statistics"])
@pytest.mark.parametrize("kind", ["file", "link"])
def test_something_else_in_the_place_of_a_folder_is_removed(interrupted, pair, tmp_path, expected, folder, kind):
    (interrupted / ".store.statistics").mkdir(exist_ok=True)
    moved = (interrupted / folder).rename(tmp_path / "moved")
    if kind == "file":
        (interrupted / folder).write_bytes(b"x")
    elif kind == "link":
        (interrupted / folder).symlink_to(moved)
    ingest_to(tmp_path / "out.zarr", *pair)
    assert content(tmp_path / "out.zarr") == expected
    assert moved.is_dir()
    assert not interrupted.exists()


def test_nothing_strange_gets_into_the_store(interrupted, pair, tmp_path, made_once, expected):
    root = interrupted / "store"
    (root / "image" / "c.1.0.0.0").write_bytes(b"a shard too many")
    (root / "image" / "c.00.0.0.0").mkdir()
    (root / "image" / "note").symlink_to("nowhere")
    (root / "label").symlink_to(tmp_path)
    (root / "elsewhere").symlink_to(tmp_path)
    ingest_to(tmp_path / "out.zarr", *pair)

    def names(store):
        return sorted(path.relative_to(store) for path in store.rglob("*"))

    assert names(tmp_path / "out.zarr") == names(made_once)
    assert content(tmp_path / "out.zarr") == expected


def test_rows_of_a_source_that_was_written_meanwhile_are_read_again(
    interrupted, pair, tmp_path, expected, read_stretches
):
    os.utime(pair[1], ns=(0, 10**18))
    ingest_to(tmp_path / "out.zarr", *pair)
    assert read_stretches == [1]
    assert content(tmp_path / "out.zarr") == expected


def test_rows_are_not_recorded_if_their_source_was_written_while_they_were_read(pair, tmp_path, monkeypatch):
    compress = external_shuffle._compress

    def write_meanwhile(stretch, *rest):
        yield from compress(stretch, *rest)
        if stretch.number == 1:
            os.utime(pair[1], ns=(0, 10**18))

    monkeypatch.setattr(external_shuffle, "_compress", write_meanwhile)
    staging = interrupt(pair, tmp_path / "out.zarr")
    assert (staging / "spool" / "000000.json").exists()
    assert not (staging / "spool" / "000001.json").exists()


def test_a_file_in_the_place_of_the_whole_folder_is_refused_with_what_to_do(pair, tmp_path):
    staging = tmp_path / ".out.zarr.ingest"
    for make in (staging.touch, lambda: staging.symlink_to(tmp_path), lambda: staging.symlink_to("nowhere")):
        make()
        outcome = run_ingest(*pair, "--output", tmp_path / "out.zarr")
        assert outcome.status == 1
        assert re.search(rf"error: {staging}: is not a folder.* delete it$", outcome.err)
        staging.unlink()


def test_a_folder_in_the_place_of_the_lock_is_refused_with_what_to_do(pair, tmp_path):
    lock = tmp_path / ".out.zarr.ingest" / ".lock"
    lock.mkdir(parents=True)
    outcome = run_ingest(*pair, "--output", tmp_path / "out.zarr")
    assert outcome.status == 1
    assert re.search(rf"error: {lock}: is a folder, where a lock belongs; delete it$", outcome.err)


def test_an_old_store_that_was_kept_longer_than_needed_is_no_obstacle(interrupted, pair, tmp_path, made_once, expected):
    shutil.copytree(made_once, interrupted / "replaced")
    shutil.copytree(made_once, tmp_path / "out.zarr")
    ingest_to(tmp_path / "out.zarr", *pair, "--overwrite")
    assert content(tmp_path / "out.zarr") == expected


def test_the_whole_store_is_on_the_disk_before_it_has_its_name(pair, tmp_path, monkeypatch):
    synced, publish = set(), StagingFolder.publish

    def note(descriptor):
        status = os.fstat(descriptor)
        synced.add((status.st_ino, status.st_mtime_ns))

    def check(staging):
        publish(staging)
        written = [staging.output, *staging.output.rglob("*")]
        checked.extend(path for path in written if identity(path.stat()) in before)

    def identity(status):
        return status.st_ino, status.st_mtime_ns

    checked, before, rename = [], set(), type(tmp_path).rename

    def note_before_renaming(path, target):
        if path.name == "store":
            before.update(synced)
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(type(tmp_path), "rename", note_before_renaming)
    monkeypatch.setattr(StagingFolder, "publish", check)
    ingest_to(tmp_path / "out.zarr", *pair)
    assert set(checked) == {tmp_path / "out.zarr", *(tmp_path / "out.zarr").rglob("*")}
