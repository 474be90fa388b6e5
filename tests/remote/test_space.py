"""The space of the cache: what is deleted when its bound would be exceeded, and what is not."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from store.remote.space import NoRoomError, Space


def fill(space: Space, name: str, size: int, used: float) -> Path:
    """Put a file of some size into the cache that was used at some time."""
    path = space.folder / name
    partial = space.reserve(size)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial.path.replace(path)
    partial.close()
    os.utime(path, (used, 1))
    return path


def test_what_was_used_longest_ago_is_deleted(tmp_path: Path) -> None:
    space = Space(tmp_path, 1000)
    paths = {name: fill(space, f"files/{name}", 300, used) for name, used in (("a", 5), ("b", 1), ("c", 3))}
    space.touch(paths["b"])
    assert paths["b"].stat().st_mtime == 1
    fill(space, "files/d", 300, 9)
    assert [name for name, path in paths.items() if path.exists()] == ["a", "b"]


def test_a_store_goes_as_a_whole_unless_it_is_in_use(tmp_path: Path) -> None:
    space = Space(tmp_path, 1000)
    for key in ("used", "unused"):
        fill(space, f"stores/{key}/zarr.json", 100, 1)
        fill(space, f"stores/{key}/label/c/0", 200, 1)
        fill(space, f"stores/{key}/image/c.0.0.0.0", 150, 1)
    pin = space.pin("used")
    os.close(space.pin("unused"))
    fill(space, "files/a", 500, 1)
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("*/**/*") if path.is_file())
    assert [name for name in left if not name.startswith("locks/")] == [
        "files/a",
        "stores/used/label/c/0",
        "stores/used/zarr.json",
    ]
    with pytest.raises(NoRoomError):
        space.reserve(701)
    os.close(pin)
    space.reserve(701).close()


def test_what_is_larger_than_the_bound_has_no_room(tmp_path: Path) -> None:
    space = Space(tmp_path, 1000)
    path = fill(space, "files/a", 1000, 1)
    with pytest.raises(NoRoomError):
        space.reserve(1001)
    assert path.exists()


def test_what_is_being_fetched_stays_and_is_waited_for(tmp_path: Path) -> None:
    space = Space(tmp_path, 1000)
    first = space.reserve(600)
    waiting = threading.Thread(target=lambda: space.reserve(600).close())
    waiting.start()
    time.sleep(0.2)
    assert waiting.is_alive()
    assert first.path.stat().st_size == 600
    first.close()
    waiting.join(timeout=30)
    assert not waiting.is_alive()


def test_what_a_killed_process_was_fetching_is_deleted(tmp_path: Path) -> None:
    code = f"""
import os, signal
from pathlib import Path
from store.remote.space import Space
partial = Space(Path({str(tmp_path)!r}), 1000).reserve(900)
os.utime(partial.path, (1, 1))
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    assert [path.stat().st_size for path in (tmp_path / "partial").iterdir()] == [900]
    Space(tmp_path, 1000).reserve(1000).close()
    assert not list((tmp_path / "partial").iterdir())


def test_by_default_half_of_the_free_space(tmp_path: Path) -> None:
    fill(Space(tmp_path, 10**9), "files/a", 10**8, 1)
    status = os.statvfs(tmp_path)
    free = status.f_bavail * status.f_frsize
    assert Space(tmp_path, None).limit == pytest.approx((free + 10**8) / 2, rel=0.05)
