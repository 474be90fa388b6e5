"""A disk that is too small, or becomes full during an ingest."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import Undisturbed, refusal
from tests.faults.program import start
from tests.faults.test_kill import FULL, check_rerun

ENOUGH = 32 << 20


class Disk:
    """A small file system in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def resize(self, size: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", self.path], check=True)

    def fill_up_to(self, free: int) -> None:
        """Fill the file system until only this many bytes are free."""
        status = os.statvfs(self.path)
        self.resize((status.f_blocks - status.f_bfree) * status.f_frsize + free)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ENOUGH}", "none", tmp_path]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    yield Disk(tmp_path)
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


def test_too_small_a_disk_is_refused_with_the_numbers(undisturbed: Undisturbed, disk: Disk, notes: Path) -> None:
    disk.resize(4 << 20)
    run = start(notes, *undisturbed.words, "--output", disk.path / "showers.zarr")
    found = re.search(
        r"the disk is too small: (\d+) MB for temporary files and as much for the store, at most; (\d+) MB are free",
        refusal(run),
    )
    assert found is not None
    needed, free = map(int, found.groups())
    assert free == 4 < 2 * needed
    assert [change.split()[0] for change in run.changes] == ["os.mkdir", "open", "os.remove", "os.rmdir"]
    assert not list(disk.path.iterdir())


@pytest.mark.parametrize(
    "stage",
    [
        r"open .*/spool/.*\.run$",
        r"open .*/\.store\.statistics/std_image/",
        pytest.param(r"open .*/image/\.c\.", marks=FULL),
        pytest.param(r"open .*/spool/.*\.json", marks=FULL),
        pytest.param(r"open .*/source_row/c/", marks=FULL),
        pytest.param(r"open .*/\.SHA256SUMS", marks=FULL),
    ],
)
def test_full_half_way(undisturbed: Undisturbed, disk: Disk, notes: Path, stage: str) -> None:
    store = disk.path / "showers.zarr"
    run = start(notes, *undisturbed.words, "--output", store, stop=stage)
    run.wait_until_stopped()
    disk.fill_up_to(0)
    run.resume()
    assert f"{disk.path}: No space left on device; make room and run this again" in refusal(run)
    assert not store.exists()
    disk.resize(ENOUGH)
    check_rerun(undisturbed, notes, store)
