import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.split import CHALLENGE, Split, arrange
from store.errors import ConfigError, SourceError

CLASSES = ("photon", "electron")
GOLDEN = [2, 13, 8, 11, 19, 3, 15, 6, 18, 9, 17, 4, 1, 14, 7, 0, 12, 5, 16, 10]


@pytest.mark.parametrize(
    "scheme",
    ["", "0.7", "0.7,0.3", "0.7,0.1,0.1,0.1", "a,b,c", "challenges", "0.7;0.1;0.2"],
)
def test_a_scheme_that_is_none_is_refused_with_an_example(scheme):
    message = f"split={scheme!r} is neither 'challenge', 'challenge-scaled' nor .* such as 0.7,0.1,0.2"
    with pytest.raises(ConfigError, match=message):
        Split.parse(scheme)


@pytest.mark.parametrize(
    "scheme", ["0.7,0.1,0.3", "0.7,0.1,0.1", "0.9,0.1,0", "1.2,-0.1,-0.1", "nan,nan,nan", "0.7,0.3,nan", "inf,0.1,0.2"]
)
def test_fractions_that_do_not_divide_a_whole_are_refused(scheme):
    with pytest.raises(ConfigError, match=f"split={scheme!r}: the three fractions must be positive and add up to 1"):
        Split.parse(scheme)


@given(st.integers(20, 5_000), st.integers(20, 5_000), st.integers(0, 2**31), st.data())
def test_each_class_is_divided_alike_and_no_row_is_lost(photons, electrons, seed, data):
    shares = data.draw(st.sampled_from(["0.7,0.1,0.2", "0.6,0.2,0.2", "0.5,0.25,0.25", "0.34,0.33,0.33"]))
    split = Split.parse(shares)
    label = np.random.default_rng(seed).permutation(np.repeat([0, 1], [photons, electrons])).astype(np.uint8)
    order, sizes = arrange({"label": label}, split, seed, CLASSES)
    assert np.array_equal(np.sort(order), np.arange(label.size))
    assert sum(sizes) == label.size
    for part, share in zip(np.split(order, np.cumsum(sizes)[:2]), split.fractions, strict=True):
        for code, count in enumerate((photons, electrons)):
            assert abs(np.count_nonzero(label[part] == code) - share * count) <= 1


def test_the_same_seed_gives_the_same_order_and_another_another():
    label = np.repeat([0, 1], 500).astype(np.uint8)
    split = Split.parse("0.7,0.1,0.2")
    first, again, other = (arrange({"label": label}, split, seed, CLASSES)[0] for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert set(first[:700].tolist()) != set(other[:700].tolist()), "other samples train"
    assert np.count_nonzero(first == other) < 10


def test_the_order_is_the_promised_one():
    order, sizes = arrange({"label": np.repeat([0, 1], 10).astype(np.uint8)}, Split.parse("0.5,0.2,0.3"), 0, CLASSES)
    assert sizes == (10, 4, 6)
    assert order.tolist() == GOLDEN


def test_the_challenges_numbers_are_the_published_ones():
    assert CHALLENGE == (160_000, 25_600, 25_600)
    assert Split.parse("challenge").sizes(249_000, "photon") == CHALLENGE


def test_the_challenges_split_is_in_file_order_and_leaves_the_rest_out():
    label = np.repeat([1, 0], 249_000).astype(np.uint8)
    order, sizes = arrange({"label": label}, Split.parse("challenge"), 0, CLASSES)
    assert sizes == (320_000, 51_200, 51_200)
    for part, first, last in zip(
        np.split(order, np.cumsum(sizes)[:2]), (0, 160_000, 185_600), (160_000, 185_600, 211_200), strict=True
    ):
        assert np.array_equal(np.sort(part), np.concatenate([np.arange(first, last), 249_000 + np.arange(first, last)]))
        assert np.count_nonzero(np.diff(part) == 1) < 20, "but shuffled inside"


def test_the_challenges_split_is_scaled_only_when_asked():
    with pytest.raises(SourceError, match=r"1000 samples of class photon are too few for split=challenge \(160000 for"):
        Split.parse("challenge").sizes(1_000, "photon")
    assert Split.parse("challenge-scaled").sizes(2_112, "photon") == (1_600, 256, 256)
    assert Split.parse("challenge-scaled").sizes(249_000, "photon") == CHALLENGE


@pytest.mark.parametrize("counts", [(0, 50), (50, 0), (3, 50)])
def test_a_class_that_is_missing_or_too_small_is_named(counts):
    name = CLASSES[int(np.argmin(counts))]
    with pytest.raises(SourceError, match=f"{min(counts)} samples of class {name} are too few for split=0.7,0.1,0.2"):
        arrange({"label": np.repeat([0, 1], counts).astype(np.uint8)}, Split.parse("0.7,0.1,0.2"), 0, CLASSES)
