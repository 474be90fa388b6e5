import numpy as np
import pytest
from scipy.stats import chi2

from store.compiled.permutation import invert, make_keys, permutation, permute, sides

LARGE = (257, 1_000, 65_537, 1_000_003)
HUGE = (10**9, 2**40 + 1, 2**62)
GOLDEN_12 = [10, 9, 3, 8, 2, 11, 4, 7, 5, 0, 6, 1]
GOLDEN_BILLION = [212520421, 252716107, 161102870, 538466016]
RARE = 1e-6  # the seeds are fixed, so that a test either always passes or never


def halves(n):
    return tuple(map(np.uint64, sides(n)))  # the compiled callers have them as uint64, too


@pytest.mark.parametrize("sizes", [range(1, 201), LARGE], ids=["1 to 200", "large"])
def test_every_number_below_n_appears_once(sizes):
    for n in sizes:
        for seed in range(3):
            assert np.array_equal(np.sort(permutation(n, make_keys(seed, n))), np.arange(n)), (n, seed)


@pytest.mark.parametrize("n", HUGE)
def test_numbers_stay_below_n_and_apart_where_no_array_could_hold_them(n):
    keys = make_keys(7)
    indices = np.unique(np.random.default_rng(0).integers(0, n, 5_000))
    there = [permute(k, n, *halves(n), keys) for k in indices]
    assert 0 <= min(there) <= max(there) < n
    assert len(set(there)) == indices.size


@pytest.mark.parametrize("n", [*range(1, 30), *LARGE, *HUGE])
def test_invert_undoes_permute(n):
    keys = make_keys(3, n)
    for k in {0, n - 1, *np.random.default_rng(n).integers(0, n, 50).tolist()}:
        assert invert(permute(k, n, *halves(n), keys), n, *halves(n), keys) == k


@pytest.mark.parametrize("n", [*range(1, 200), *LARGE, *HUGE])
def test_sides_enclose_n_tightly(n):
    a, b = map(int, sides(n))
    assert n <= a * b < n + a, "cycle walking would take many rounds"


def test_the_order_is_the_promised_one():
    assert permutation(12, make_keys(0)).tolist() == GOLDEN_12
    assert [permute(k, 10**9, *halves(10**9), make_keys(1, 2, 3)) for k in range(4)] == GOLDEN_BILLION


def test_the_first_position_is_uniform_over_seeds():
    n, seeds = 10, 5_000
    counts = np.bincount([permute(0, n, *halves(n), make_keys(seed)) for seed in range(seeds)], minlength=n)
    assert ((counts - seeds / n) ** 2 / (seeds / n)).sum() < chi2.isf(RARE, n - 1)


def test_neighbours_land_on_any_two_places_alike():
    n, seeds = 10, 30_000  # where six rounds leave pairs some 10 % uneven
    counts = np.zeros((n, n))
    for seed in range(seeds):
        keys = make_keys(0, seed)
        counts[permute(0, n, *halves(n), keys), permute(1, n, *halves(n), keys)] += 1
    assert not counts.diagonal().any()
    expected = seeds / (n * (n - 1))
    statistic = ((counts - expected) ** 2 / expected)[~np.eye(n, dtype=bool)].sum()
    assert statistic < chi2.isf(RARE, n * (n - 1) - 1)


@pytest.mark.parametrize("vary", ["epoch", "seed"])
def test_nothing_of_one_order_is_left_in_the_next(vary):
    n, pairs = 1_000, 200
    fixed, neighbours, correlation = 0, 0, []
    for k in range(pairs):
        words = ((0, k), (0, k + 1)) if vary == "epoch" else ((k, 0), (k + 1, 0))
        before, after = (permutation(n, make_keys(*word)) for word in words)
        place = np.empty(n, np.int64)
        place[after] = np.arange(n)
        fixed += np.count_nonzero(before == after)
        neighbours += np.count_nonzero(np.diff(place[before]) == 1)
        correlation.append(np.corrcoef(before, after)[0, 1])
    # of a random permutation both counts are Poisson with mean 1, and correlations have a deviation of 1 / sqrt(n - 1)
    assert abs(fixed - pairs) < 5 * np.sqrt(pairs)
    assert abs(neighbours - pairs) < 5 * np.sqrt(pairs)
    assert np.abs(correlation).max() < 5 / np.sqrt(n)
    assert abs(np.mean(correlation)) < 5 / np.sqrt(n * pairs)


def test_runs_of_the_stored_order_are_as_rare_as_by_chance():
    n, seeds = 1_000, 200
    kept = sum(np.count_nonzero(np.diff(permutation(n, make_keys(1, seed))) == 1) for seed in range(seeds))
    assert abs(kept - seeds) < 5 * np.sqrt(seeds)
