"""A permutation of n numbers by arithmetic: any element in constant time, nothing stored, the same on every machine.

A generalised Feistel network (Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002): numbers below
n are written as left + a * right with a * b just above n; six rounds, twelve for small n, add a keyed hash of one half
to the other, and the few results that fall outside are sent through again (cycle walking).


"""

import math

import numpy as np
import numpy.typing as npt

from store.compiled.compiler import compiled

ROUNDS = 6
SMALL, SMALL_ROUNDS = 4096, 12  # with few numbers, six rounds leave a trace in where neighbours go
Keys = npt.NDArray[np.uint64]


def make_keys(*words: int) -> Keys:
    """Return the uint64 (12,) round keys for a row of non-negative integers such as (seed, epoch)."""
    return np.random.SeedSequence(words).generate_state(SMALL_ROUNDS, np.uint64).astype(np.uint64)


@compiled
def sides(n):
    """Return (a, b), about the square root of n each, with a * b >= n."""
    a = max(1, math.ceil(math.sqrt(n)))
    return np.uint64(a), np.uint64(-(-n // a))


@compiled
def hash_below(value, key, bound):
    """Return a hash of `value` in [0, bound): the finaliser of splitmix64 (Steele, Lea and Flood, 2014), scaled."""
    x = value + key
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (((x ^ (x >> np.uint64(31))) >> np.uint64(32)) * bound) >> np.uint64(32)


@compiled
def permute(index, n, a, b, keys):
    """Return where the permutation of [0, n) puts `index`; (a, b) = sides(n)."""
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
    """Return what `permute` puts at `index`."""
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
def permutation(n, keys):
    """Return the whole permutation: int64 (n,)."""
    a, b = sides(n)
    out = np.empty(n, np.int64)
    for k in range(n):
        out[k] = permute(k, n, a, b, keys)
    return out


@compiled
def fill_full(lower, start, n, keys, out):
    """Fill `out` with what the permutation of n numbers puts at `lower` and after, counted from `start`."""
    a, b = sides(n)
    for k in range(out.size):
        out[k] = start + permute(lower + k, n, a, b, keys)


@compiled
def fill_chunks(lower, start, stop, chunk, cells, keys, out):
    """Fill `out` from a random order of chunks; windows of `cells` chunks are permuted inside unless `cells` is 0.

    All chunks of the range are whole but perhaps the first and the last, so the number of samples before the q-th chunk
    drawn follows from when those two are drawn.
    """
    head, tail = start // chunk, (stop - 1) // chunk
    count = tail - head + 1
    a, b = sides(count)
    missing_head, missing_tail = start - head * chunk, (tail + 1) * chunk - stop
    drawn_head, drawn_tail = invert(0, count, a, b, keys), invert(count - 1, count, a, b, keys)
    inner = keys.copy()

    for k in range(out.size):
        position = lower + k
        q = position // chunk
        while position >= _before(q + 1, chunk, drawn_head, missing_head, drawn_tail, missing_tail):
            q += 1
        if cells > 0:
            w = q // cells
            first = _before(w * cells, chunk, drawn_head, missing_head, drawn_tail, missing_tail)
            last = _before(min(count, (w + 1) * cells), chunk, drawn_head, missing_head, drawn_tail, missing_tail)
            for r in range(keys.size):
                inner[r] = keys[r] + np.uint64(w + 1) * np.uint64(0x9E3779B97F4A7C15)
            ia, ib = sides(last - first)
            position = first + permute(position - first, last - first, ia, ib, inner)
            q = position // chunk
            while position >= _before(q + 1, chunk, drawn_head, missing_head, drawn_tail, missing_tail):
                q += 1
        drawn = permute(q, count, a, b, keys)
        into = position - _before(q, chunk, drawn_head, missing_head, drawn_tail, missing_tail)
        out[k] = max(start, (head + drawn) * chunk) + into


@compiled
def _before(q, chunk, drawn_head, missing_head, drawn_tail, missing_tail):
    """Return the number of samples in the first q chunks drawn."""
    return q * chunk - (missing_head if drawn_head < q else 0) - (missing_tail if drawn_tail < q else 0)
