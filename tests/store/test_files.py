"""Writing files whole, locking folders, and sizes as text."""

import errno
import fcntl
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from store.errors import ConfigError
from store.files import (
    LOCK,
    clear_folder,
    folder_bytes,
    is_partial,
    is_regular,
    locked,
    make_folder,
    parse_size,
    remove,
    replacing,
    sync_tree,
    write_whole,
)

ROOT = Path(__file__).parents[2]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_by_what_the_block_wrote(tmp_path):
    path = tmp_path / "file.json"
    for content in (b"first", b"second"):
        write_whole(path, content)
        assert path.read_bytes() == content
    assert names(tmp_path) == ["file.json"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_an_exception_leaves_the_old_content_and_nothing_else(tmp_path, error):
    path = tmp_path / "file"
    path.write_text("old")

    def write_half():
        with replacing(path) as partial:
            partial.write_text("half of the n")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_the_file_is_on_disk_before_it_has_its_name(tmp_path, monkeypatch):
    path, synced = tmp_path / "file", []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append((os.fstat(descriptor).st_ino, names(tmp_path))))
    with replacing(path) as partial:
        partial.touch()
    assert synced == [(path.stat().st_ino, [partial.name]), (tmp_path.stat().st_ino, ["file"])]


def test_several_writers_at_once_leave_the_whole_content_of_one(tmp_path):
    path, contents = tmp_path / "file", [bytes([k]) * 300_000 for k in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            list(pool.map(lambda content: write_whole(path, content), contents))
            assert path.read_bytes() in contents
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("name", ["a.npz", "model.safetensors", "c.3.0.0.0", "SHA256SUMS", "zarr.json", "a b.tar.gz"])
def test_the_temporary_name_keeps_the_suffix_and_can_be_told(tmp_path, name):
    with replacing(tmp_path / name) as partial:
        assert partial.parent == tmp_path
        assert partial.suffix == (Path(name).suffix or ".partial")
        assert is_partial(partial)
        partial.touch()
    assert not is_partial(tmp_path / name)


@pytest.mark.parametrize("name", [".hidden", "my.partial", ".my.partial.txt", ".a.partial", ".lock"])
def test_a_file_of_somebody_else_is_not_taken_for_a_temporary_one(name):
    assert not is_partial(Path(name))


def test_numpy_writes_where_it_is_told(tmp_path):
    with replacing(tmp_path / "a.npz") as partial:
        np.savez(partial, x=np.arange(3))
    assert names(tmp_path) == ["a.npz"]


def no_folder(path):
    write_whole(path / "nothing" / "file", b"")


def a_folder_of_that_name(path):
    (path / "nothing" / "file").mkdir(parents=True)
    write_whole(path / "nothing" / "file", b"")


def nothing_written(path):
    (path / "nothing").mkdir()
    with replacing(path / "nothing" / "file"):
        pass


def no_space(path):
    with replacing(path / "nothing" / "file"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("write", [no_folder, a_folder_of_that_name, nothing_written, no_space])
def test_an_error_names_the_file_and_not_the_temporary_one(tmp_path, write):
    with pytest.raises(OSError, match=r"nothing/file") as caught:
        write(tmp_path)
    assert caught.value.filename == str(tmp_path / "nothing" / "file")
    assert caught.value.errno


def test_an_error_of_another_file_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, replacing(tmp_path / "file"):
        (tmp_path / "other").read_bytes()
    assert caught.value.filename == str(tmp_path / "other")


HOLD = """
import sys, time
from pathlib import Path
from store.files import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(100)
"""


def test_a_second_process_is_refused_until_the_first_is_killed(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True) as first:
        try:
            assert first.stdout.readline() == "held\n"
            with pytest.raises(BlockingIOError) as caught, locked(tmp_path):
                pass
            assert caught.value.filename == str(tmp_path)
        finally:
            first.kill()
        first.wait()
    with locked(tmp_path):
        assert names(tmp_path) == [".lock"]
    assert names(tmp_path) == []


def test_a_lock_ends_with_the_block_however_it_ends(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        raise ZeroDivisionError
    with locked(tmp_path), pytest.raises(BlockingIOError), locked(tmp_path):
        pass


def test_a_folder_that_is_removed_is_not_locked(tmp_path):
    with pytest.raises(BlockingIOError), locked(tmp_path / "nothing"):
        pass
    assert not (tmp_path / "nothing").exists()


def test_a_lock_file_that_its_owner_removes_meanwhile_is_no_lock(tmp_path, monkeypatch):
    flock = fcntl.flock

    def remove_then_lock(handle, operation):
        (tmp_path / ".lock").unlink()  # as a process does that ends between our opening and locking
        flock(handle, operation)

    monkeypatch.setattr(fcntl, "flock", remove_then_lock)
    with pytest.raises(BlockingIOError), locked(tmp_path):
        pass


def test_the_folder_may_be_removed_by_the_one_that_holds_it(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    with locked(folder):
        (folder / ".lock").unlink()
        folder.rmdir()
    assert not folder.exists()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.EBADF])
def test_without_locks_the_block_runs_and_a_line_says_so_once(tmp_path, monkeypatch, capsys, number):
    def refuse(handle, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    ran = 0
    for _ in range(3):
        with locked(tmp_path):
            ran += 1
    assert ran == 3
    printed = capsys.readouterr().err
    assert printed.count("this file system has no locks") == 1
    assert printed.startswith(str(tmp_path))


def test_another_error_of_the_lock_is_raised_with_its_file(tmp_path, monkeypatch):
    def fail(handle, operation):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(OSError, match="error") as caught, locked(tmp_path):
        pass
    assert caught.value.filename == str(tmp_path / ".lock")


def test_whatever_has_a_name_is_removed_and_what_links_point_to_stays(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    path = tmp_path / "x"
    for make in (
        path.touch,
        path.mkdir,
        lambda: shutil.copytree(tmp_path / "kept", path),
        lambda: path.symlink_to("kept"),
        lambda: path.symlink_to("nowhere"),
        lambda: os.mkfifo(path),
        lambda: None,
    ):
        make()
        remove(path)
        assert [left.name for left in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept" / "file").exists()


def test_a_folder_is_made_where_anything_else_was_and_stays_where_it_is(tmp_path):
    (tmp_path / "kept").mkdir()
    path = tmp_path / "x"
    for make in (lambda: None, path.touch, lambda: path.symlink_to("kept"), lambda: path.symlink_to("nowhere")):
        make()
        make_folder(path)
        assert path.is_dir()
        assert not path.is_symlink()
        (path / "file").touch()
        make_folder(path)
        assert (path / "file").exists()
        remove(path)
    assert not list((tmp_path / "kept").iterdir())


def test_only_a_file_itself_is_regular(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    names = ["file", "link", "pipe", ".", "nothing"]
    assert [name for name in names if is_regular(tmp_path / name)] == ["file"]


def test_a_folder_is_synced_with_everything_in_it(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").touch()
    (tmp_path / "file").touch()
    sync_tree(tmp_path)
    assert sorted(synced) == sorted(path.stat().st_ino for path in (tmp_path, *tmp_path.rglob("*")))


def test_a_folder_in_the_place_of_a_lock_is_refused_with_what_to_do(tmp_path):
    (tmp_path / LOCK).mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder, where a lock belongs; delete it"), locked(tmp_path):
        pass


def test_clearing_a_folder_leaves_its_lock_and_what_links_point_to(tmp_path):
    folder, other = tmp_path / "folder", tmp_path / "other"
    (folder / "a" / "b").mkdir(parents=True)
    other.mkdir()
    for path in (folder / ".lock", folder / "a" / "b" / "file", folder / "file", other / "file"):
        path.write_text("x")
    (folder / "link").symlink_to(other)
    clear_folder(folder)
    assert names(folder) == [".lock"]
    assert names(other) == ["file"]


def test_the_size_of_a_folder_is_that_of_its_files(tmp_path):
    assert folder_bytes(tmp_path / "nothing") == 0
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "file").write_bytes(b"123")
    (tmp_path / "a" / "b" / "file").write_bytes(b"4567")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    assert folder_bytes(tmp_path) == 7


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (77, 77),
        ("100", 100),
        ("7 B", 7),
        ("512MiB", 512 * 2**20),
        ("2 GB", 2 * 10**9),
        ("1.5g", 1_500_000_000),
        ("0.5 gib", 2**29),
        ("5k", 5000),
        ("1TiB", 2**40),
        (" 1e6 ", 10**6),
    ],
)
def test_a_size_is_a_number_of_bytes(size, expected):
    assert parse_size("memory", size) == expected


@pytest.mark.parametrize(
    "size", ["", "lots", "12 apples", "-3", "0", "0.2", "nan", "inf", "MiB", "1 i", "1e400", "9999999 TB", 0, -1]
)
def test_what_is_no_size_is_refused_with_its_name(size):
    with pytest.raises(ConfigError, match=re.escape(f"memory={size!r} is not a size such as '512MiB'")):
        parse_size("memory", size)
