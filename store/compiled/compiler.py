"""How functions are compiled: one decorator, whose machine code on disk is never older than a source file.

numba keeps the machine code of a function on disk and reuses it as long as the function's own file is unchanged. It
does not notice a change in another file whose functions it calls. Therefore the folder of the machine code is named
after the contents of all files of this package: a change in any of them leads to another, empty folder.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import llvmlite.binding
import numba

SOURCES = Path(__file__).parent
PROBE = 1 << 20  # bytes; machine code of all functions takes less
settings: Any = numba.config


def fingerprint() -> str:
    """Return a digest of what machine code is made from: the sources of this package, numba and the processor."""
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.binding.get_host_cpu_name()}".encode())
    for path in sorted(SOURCES.glob("*.py")):
        source = path.read_bytes()
        digest.update(f"\n{path.name} {len(source)}\n".encode() + source)
    return digest.hexdigest()[:16]


def cache_folder() -> Path | None:
    """Return the folder for machine code, in the first of these folders that can be written, or None if none can.

    ``$NUMBA_CACHE_DIR``, ``__pycache__`` beside the sources, and the user's cache folder. Never a folder that all users
    share, such as /tmp: numba unpickles what it finds, so another user could make it run anything.
    """
    name = fingerprint()
    for parent in _writable_by_the_user():
        try:
            (parent / name).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=parent / name) as file:
                file.write(bytes(PROBE))  # beyond a quota, files can be created but not filled
        except OSError:
            continue
        return parent / name
    return None


def _writable_by_the_user() -> Iterator[Path]:
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(chosen).absolute() / "calostream"
    yield SOURCES / "__pycache__"
    user_cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not user_cache.is_absolute():  # the XDG specification says to ignore relative paths
        try:
            user_cache = Path.home() / ".cache"
        except RuntimeError:  # no home directory is known
            return
    yield user_cache / "calostream"


CACHE = cache_folder()


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function at its first call for each combination of argument types; it releases Python's global lock."""
    before = settings.CACHE_DIR
    try:
        settings.CACHE_DIR = str(CACHE or "")  # numba looks it up here, when a function is decorated
        return numba.njit(cache=CACHE is not None, nogil=True)(function)
    finally:
        settings.CACHE_DIR = before
