"""A permutation of n numbers by arithmetic: any element in constant time, nothing stored, the same on every machine.

A generalised Feistel network (Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002): numbers below
n are written as left + a * right with a * b just above n, six rounds add a keyed hash of one half to the other, and the
few results that fall outside are sent through again (cycle walking).
"""

import math

import numba
import numpy as np
import numpy.typing as npt

ROUNDS = 6
Keys = npt.NDArray[np.uint64]


def make_keys(*words: int) -> Keys:
    """Return the uint64 (6,) round keys for a row of non-negative integers such as (seed, epoch)."""
    return np.random.SeedSequence(words).generate_state(ROUNDS, np.uint64).astype(np.uint64)


@numba.njit(cache=True, nogil=True)
def sides(n):
    """Return (a, b), about the square root of n each, with a * b >= n."""
    a = max(1, math.ceil(math.sqrt(n)))
    return np.uint64(a), np.uint64(-(-n // a))


@numba.njit(cache=True, nogil=True)
def hash_below(value, key, bound):
    """Return a hash of `value` in [0, bound): the finaliser of splitmix64 (Steele, Lea and Flood, 2014), scaled."""
    x = value + key
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (((x ^ (x >> np.uint64(31))) >> np.uint64(32)) * bound) >> np.uint64(32)


@numba.njit(cache=True, nogil=True)
def permute(index, n, a, b, keys):
    """Return where the permutation of [0, n) puts `index`; (a, b) = sides(n)."""
    x = np.uint64(index)
    while True:
        left, right = x % a, x // a
        for r in range(0, ROUNDS, 2):
            left += hash_below(right, keys[r], a)
            if left >= a:
                left -= a
            right += hash_below(left, keys[r + 1], b)
            if right >= b:
                right -= b
        x = left + a * right
        if x < np.uint64(n):
            return np.int64(x)


@numba.njit(cache=True, nogil=True)
def invert(index, n, a, b, keys):
    """Return what `permute` puts at `index`."""
    x = np.uint64(index)
    while True:
        left, right = x % a, x // a
        for r in range(ROUNDS - 2, -1, -2):
            step = hash_below(left, keys[r + 1], b)
            right = right - step if right >= step else right + b - step
            step = hash_below(right, keys[r], a)
            left = left - step if left >= step else left + a - step
        x = left + a * right
        if x < np.uint64(n):
            return np.int64(x)


@numba.njit(cache=True, nogil=True)
def permutation(n, keys):
    """Return the whole permutation: int64 (n,)."""
    a, b = sides(n)
    out = np.empty(n, np.int64)
    for k in range(n):
        out[k] = permute(k, n, a, b, keys)
    return out
