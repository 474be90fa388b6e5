"""How compiled functions are made: one decorator, whose machine code on disk is never older than any source file here.

numba keeps the machine code of a function on disk and uses it again while the file of that function is unchanged. It
does not notice a change in another file with functions that the first one calls. The folder of the machine code is
therefore named after the contents of all files of this package: a change in any of them leads to another, empty folder.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import llvmlite.binding
import numba
from numba.core import config

SOURCES = Path(__file__).parent


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function with numba when it is first called; it runs without Python's global lock."""
    with _cache_in(CACHE):
        return numba.njit(cache=CACHE is not None, nogil=True)(function)


def fingerprint() -> str:
    """Return a digest of what the machine code depends on: all sources of this package, numba, and the processor."""
    digest = hashlib.sha256()
    for path in sorted(SOURCES.glob("*.py")):
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    digest.update(f"{numba.__version__}\0{llvmlite.binding.get_host_cpu_name()}".encode())
    return digest.hexdigest()[:16]


def cache_folder() -> Path | None:
    """Return the folder for machine code: the first of these that can be written, or None if none can.

    ``$NUMBA_CACHE_DIR``; ``__pycache__`` beside the sources; the user's cache folder. numba reads pickled objects from
    there, so a folder that other users can write to, such as /tmp, is never taken.
    """
    for parent in _candidates():
        folder = parent / fingerprint()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError:
            continue
        return folder
    return None


def _candidates() -> Iterator[Path]:
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(chosen).absolute() / "calostream"
    yield SOURCES / "__pycache__"
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if given.is_absolute():  # the specification says to ignore a relative one
        yield given / "calostream"
    else:
        try:
            yield Path.home() / ".cache" / "calostream"
        except RuntimeError:  # this user has no home directory
            return


@contextmanager
def _cache_in(folder: Path | None) -> Iterator[None]:
    """Set numba's cache folder, which it looks up once per function, when that is decorated."""
    before = config.CACHE_DIR
    config.CACHE_DIR = str(folder) if folder else before
    try:
        yield
    finally:
        config.CACHE_DIR = before


CACHE = cache_folder()
