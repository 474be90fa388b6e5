"""A permutation of n numbers that is computed, not stored: any element in constant time, the same on every machine.

It is a generalised Feistel network (Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002). A number
below n is written as ``left + a * right``, with ``a * b`` just above n. Six rounds, or twelve for small n, add a keyed
hash of one half to the other. The few results that are not below n are permuted again until they are (cycle walking).
"""

import math

import numpy as np
import numpy.typing as npt

from store.compiled.compiler import compiled

ROUNDS = 6
SMALL, SMALL_ROUNDS = 4096, 12  # below SMALL, the images of neighbours are still correlated after six rounds
Keys = npt.NDArray[np.uint64]


def make_keys(*words: int) -> Keys:
    """Return the round keys, uint64 (12,), for some non-negative integers, such as a seed and an epoch."""
    return np.random.SeedSequence(words).generate_state(SMALL_ROUNDS, np.uint64).astype(np.uint64)


@compiled
def sides(n):
    """Return (a, b), both close to the square root of n, with ``a * b >= n``."""
    a = max(1, math.ceil(math.sqrt(n)))
    return np.uint64(a), np.uint64(-(-n // a))


@compiled
def hash_below(value, key, bound):
    """Return a hash of `value` in [0, bound).

    The finaliser of splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014),
    scaled to the bound.
    """
    x = value + key
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (((x ^ (x >> np.uint64(31))) >> np.uint64(32)) * bound) >> np.uint64(32)


@compiled
def permute(index, n, a, b, keys):
    """Return the image of `index` under the permutation of [0, n); ``a, b = sides(n)``."""
    x = np.uint64(index)
    rounds = ROUNDS if n >= SMALL else SMALL_ROUNDS
    while True:
        left, right = x % a, x // a
        for r in range(0, rounds, 2):
            left += hash_below(right, keys[r], a)
            if left >= a:
                left -= a
            right += hash_below(left, keys[r + 1], b)
            if right >= b:
                right -= b
        x = left + a * right
        if x < np.uint64(n):
            return np.int64(x)


@compiled
def invert(index, n, a, b, keys):
    """Return the number whose image under the permutation of [0, n) is `index`; ``a, b = sides(n)``."""
    x = np.uint64(index)
    rounds = ROUNDS if n >= SMALL else SMALL_ROUNDS
    while True:
        left, right = x % a, x // a
        for r in range(rounds - 2, -1, -2):
            step = hash_below(left, keys[r + 1], b)
            right = right - step if right >= step else right + b - step
            step = hash_below(right, keys[r], a)
            left = left - step if left >= step else left + a - step
        x = left + a * right
        if x < np.uint64(n):
            return np.int64(x)


@compiled
def permute_one(index, n, keys):
    """Return the image of `index` under the permutation of [0, n), for callers that are not compiled."""
    a, b = sides(n)
    return permute(index, n, a, b, keys)


@compiled
def invert_one(index, n, keys):
    """Return the number whose image under the permutation of [0, n) is `index`, for callers that are not compiled."""
    a, b = sides(n)
    return invert(index, n, a, b, keys)


@compiled
def permutation(n, keys):
    """Return the images of 0 to n - 1: int64 (n,)."""
    a, b = sides(n)
    out = np.empty(n, np.int64)
    for k in range(n):
        out[k] = permute(k, n, a, b, keys)
    return out


@compiled
def fill_full(lower, start, n, keys, out):
    """Fill `out`, int64 (m,), with `start` plus the images of ``lower, ..., lower + m - 1`` under the permutation."""
    a, b = sides(n)
    for k in range(out.size):
        out[k] = start + permute(lower + k, n, a, b, keys)


@compiled
def fill_group(lower, begin, before, chunk, window_chunks, keys, out):
    """Fill `out`, int64 (m,), with elements ``lower, ..., lower + m - 1`` of the samples of some chunks.

    The chunks have at most `chunk` samples each. Chunk k begins with sample ``begin[k]``, and ``before[k]`` samples of
    the group come before it. If `window_chunks` is 0, the samples keep this order; otherwise the chunks are divided
    into as many windows of at least `window_chunks` chunks as there can be, and the samples of each are permuted.
    """
    chunks = begin.size
    windows = max(1, chunks // window_chunks) if window_chunks > 0 else 0
    window, first, last = -1, 0, 0
    a, b = sides(1)
    window_keys = keys.copy()
    for k in range(out.size):
        position = lower + k
        place = place_of(position, before, chunk)
        if windows > 0:
            if position >= last:
                window = ((place + 1) * windows - 1) // chunks
                first, last = before[chunks * window // windows], before[chunks * (window + 1) // windows]
                a, b = sides(last - first)
                for r in range(keys.size):
                    window_keys[r] = keys[r] + np.uint64(window + 1) * np.uint64(0x9E3779B97F4A7C15)
            position = first + permute(position - first, last - first, a, b, window_keys)
            place = place_of(position, before, chunk)
        out[k] = begin[place] + position - before[place]


@compiled
def place_of(position, before, chunk):
    """Return the number of the chunk that has a position, for chunks of at most `chunk` samples."""
    place = position // chunk
    while before[place + 1] <= position:
        place += 1
    return place
