"""Compiling ahead of time, so that times and rates that are shown later do not include the seconds that it takes."""

import contextlib
import functools
from collections.abc import Iterator

import numpy as np

from store import console
from store.compiled import compiler
from store.compiled.decode import ZEROS, decode_samples, read_samples
from store.compiled.permutation import fill_full, fill_group, invert_one, make_keys, permutation, permute_one
from store.compiled.sparse import SLACK, count_hits, expand_hits, extract_hits
from store.compiled.symmetries import apply_random_symmetries, draw_symmetries, move_positions


@functools.cache
def prepare() -> None:
    """Compile what a stream of batches runs, or load it from disk; says so on the terminal if it has to compile."""
    zero, sample, keys = np.zeros(1, np.int64), np.zeros(1, np.float32), make_keys(0)
    shards_of_zeros, chunk_of_zeros = np.array([ZEROS]), np.zeros(2, np.int64)
    with _announced("the decoder"):
        fill_full(0, 0, 1, keys, zero)
        permutation(1, keys)
        permute_one(0, 1, keys)
        invert_one(0, 1, keys)
        fill_group(0, zero, np.arange(2), 1, 0, keys, zero)
        decode_samples(0, zero, shards_of_zeros.ctypes.data, 1, 1, sample.nbytes, zero, sample.ctypes.data)
        entry = np.array([chunk_of_zeros.ctypes.data])
        read_samples(0, 0, zero, entry, 1, sample.nbytes, zero, zero, sample.ctypes.data, 0, 0)


@functools.cache
def prepare_symmetries() -> None:
    """Compile what augmentation runs, or load it from disk; says so on the terminal if it has to compile."""
    image, sample, key = np.zeros((1, 1, 1, 1), np.float32), np.zeros(1, np.int64), make_keys(0)[0]
    with _announced("the augmentation"):
        apply_random_symmetries(image, sample, key, np.zeros(1, np.int64), 0, 0)
        code = np.zeros(1, np.uint8)
        draw_symmetries(sample, key, np.zeros(1, np.int64), code)
        for kind in (np.uint16, np.uint32):
            move_positions(np.zeros(0, kind), np.zeros(2, np.int64), code, np.ones(3, np.int64), 0, 0)


@functools.cache
def prepare_sparse() -> None:
    """Compile what the sparse form of images needs, or load it from disk; says so on the terminal if it compiles."""
    bits, value, offset = np.ones((1, 1), np.uint32), np.empty(1 + SLACK, np.uint32), np.zeros(2, np.int64)
    with _announced("the sparse form"):
        count_hits(bits, offset)
        for position in (np.empty(value.size, np.uint16), np.empty(value.size, np.uint32)):
            offset[:] = 0
            extract_hits(bits, value, position, offset)
            expand_hits(value[:1], position[:1], offset, bits)


@contextlib.contextmanager
def _announced(what: str) -> Iterator[None]:
    """Say that `what` is being compiled, unless a mark in the cache says that this was done before."""
    mark = compiler.CACHE / what.replace(" ", "-") if compiler.CACHE else None
    if mark is None:
        console.say(f"compiling {what}, a few seconds; to do this only once, set NUMBA_CACHE_DIR to a writable folder")
    elif not mark.exists():
        console.say(f"compiling {what}, a few seconds, once per installation")
    yield
    if mark is not None:
        with contextlib.suppress(OSError):
            mark.touch()
