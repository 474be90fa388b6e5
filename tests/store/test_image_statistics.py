import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.image_statistics import PROBABILITIES, ImageStatistics, to_dataset
from tests.examples import shape_spec

SHAPE = (6, 7, 2)
SPEC = shape_spec(SHAPE)


def showers(count, seed=0, density=0.3):
    """Float32 images like showers: mostly zeros, a positive channel and a signed one, values over many octaves."""
    random = np.random.default_rng(seed)
    values = random.standard_normal((count, *SHAPE)) * 10.0 ** random.uniform(-4, 0, (count, *SHAPE))
    values[..., 0] = np.abs(values[..., 0])
    images = np.where(random.random(values.shape) < density, values, 0).astype(np.float32)
    images[3] = images[count // 2] = 0
    return images, random.integers(0, 2, count, np.uint8)


def of(images, label):
    statistics = ImageStatistics.zero(SPEC)
    statistics.update(images, label)
    return statistics


@pytest.fixture(scope="module")
def example():
    images, label = showers(3_000)
    return images, label, to_dataset(of(images, label), SPEC)


def groups(images, label):
    """Yield (class, channel, float64 values) for every class and channel."""
    for code in range(2):
        for channel in range(SHAPE[2]):
            yield code, channel, images[label == code][..., channel].astype(np.float64)


def test_sums_equal_a_float64_computation(example):
    images, label, dataset = example
    for code, channel, values in groups(images, label):
        one = dataset.isel({"class": code, "channel": channel})
        assert one["images"] == (label == code).sum()
        assert one["count"] == values.size
        assert one["minimum"] == values.min()
        assert one["maximum"] == values.max()
        np.testing.assert_allclose(one["mean"], values.mean(), rtol=1e-9)
        np.testing.assert_allclose(one["std"], values.std(), rtol=1e-9)
        np.testing.assert_allclose(one["nonzero_share"], np.count_nonzero(values) / values.size, rtol=1e-15)
        np.testing.assert_allclose(one["mean_image"], values.mean(axis=0), rtol=1e-9, atol=1e-17)
        np.testing.assert_allclose(one["std_image"], values.std(axis=0), rtol=1e-9)


def test_pooled_values_are_those_of_both_classes_together(example):
    images, _, dataset = example
    values = images.astype(np.float64)
    pixels = (0, 1, 2)
    np.testing.assert_allclose(dataset["pooled_mean"], values.mean(pixels), rtol=1e-9)
    np.testing.assert_allclose(dataset["pooled_std"], values.std(pixels), rtol=1e-9)
    assert np.array_equal(dataset["pooled_minimum"], values.min(pixels))
    assert np.array_equal(dataset["pooled_maximum"], values.max(pixels))


def test_images_without_a_hit_are_counted(example):
    images, label, dataset = example
    empty = ~images.any(axis=(1, 2, 3))
    assert empty.sum() >= 2
    assert dataset["empty_images"].values.tolist() == [(empty & (label == code)).sum() for code in range(2)]


def test_quantiles_are_within_1_part_in_256_of_the_exact_ones(example):
    images, label, dataset = example
    for code, channel, values in groups(images, label):
        ordered = np.sort(values[values != 0])
        for probability, got in zip(
            PROBABILITIES, dataset["quantile"].isel({"class": code, "channel": channel}).values, strict=True
        ):
            rank = probability * ordered.size  # between the value of this rank and the next any quantile is right
            low, high = ordered[max(0, int(np.ceil(rank)) - 1)], ordered[min(ordered.size - 1, int(rank))]
            assert low - abs(low) / 256 <= got <= high + abs(high) / 256


def test_the_histogram_counts_every_non_zero_value_in_its_bin(example):
    images, label, dataset = example
    assert np.all(dataset["bin_lower"].values[1:] >= dataset["bin_upper"].values[:-1])
    for code, channel, values in groups(images, label):
        values = values[values != 0]
        expected = [
            np.count_nonzero((values >= low) & (values < high))
            for low, high in zip(dataset["bin_lower"].values, dataset["bin_upper"].values, strict=True)
        ]
        got = dataset["histogram"].isel({"class": code, "channel": channel}).values
        assert got.tolist() == expected
        assert got.sum() == values.size


def test_the_histogram_has_four_bins_per_octave_and_no_empty_ones():
    images = np.zeros((2, *SHAPE), np.float32)
    images[:, 0, :, 0] = 1, 1.2, 1.3, 1.6, 1.99, 2, -0.9
    dataset = to_dataset(of(images, np.array([0, 1], np.uint8)), SPEC)
    assert dataset["bin_lower"].values.tolist() == [-np.nextafter(np.float32(1), np.float32(0)), 1, 1.25, 1.5, 1.75, 2]
    assert dataset["bin_upper"].values[1:].tolist() == [1.25, 1.5, 1.75, 2, 2.5]
    assert dataset["histogram"].values[0, 0].tolist() == [1, 2, 1, 1, 1, 1]


@given(st.lists(st.floats(width=32, min_value=-(2.0**100), max_value=2.0**100), min_size=1, max_size=40))
def test_the_histogram_holds_for_any_values(values):
    images = np.zeros((1, *SHAPE), np.float32)
    images[0, ..., 0].flat[: len(values)] = values
    dataset = to_dataset(of(np.concatenate([images, images]), np.array([0, 1], np.uint8)), SPEC)
    stored = images[images != 0].astype(np.float64)
    low, high = dataset["bin_lower"].values, dataset["bin_upper"].values
    expected = [np.count_nonzero((stored >= a) & (stored < b)) for a, b in zip(low, high, strict=True)]
    assert dataset["histogram"].isel({"class": 0, "channel": 0}).values.tolist() == expected
    assert dataset["minimum"].values[0, 0] == images[..., 0].min()
    assert dataset["maximum"].values[0, 0] == images[..., 0].max()


@given(st.lists(st.integers(0, 200), max_size=4), st.integers(0, 5))
def test_the_statistics_of_parts_add_up_to_those_of_the_whole(cuts, seed):
    images, label = showers(200, seed)
    bounds = [0, *sorted(cuts), 200]
    parts = [of(images[a:b], label[a:b]) for a, b in itertools.pairwise(bounds)]
    total = sum(parts[1:], parts[0])
    whole = of(images, label)
    for name in ("images", "empty", "minimum", "maximum"):
        assert np.array_equal(getattr(total, name), getattr(whole, name)), name
    assert np.array_equal(total.count_keys(256), whole.count_keys(256))
    np.testing.assert_allclose(total.sums, whole.sums, rtol=1e-12, atol=1e-15)


def test_adding_leaves_the_parts_as_they_were():
    images, label = showers(50)
    one, other = of(images, label), of(2 * images, label)
    before = one.sums.copy(), other.keys.copy()
    total = one + other
    total.update(images, label)
    assert np.array_equal(one.sums, before[0])
    assert np.array_equal(other.keys, before[1])


@pytest.mark.parametrize("value", [0.0, 0.1, -2.5, 1e-20])
def test_constant_images_have_no_spread_and_no_nan(value):
    images = np.full((40, *SHAPE), value, np.float32)
    dataset = to_dataset(of(images, np.arange(40, dtype=np.uint8) % 2), SPEC)
    exact = float(np.float32(value))
    for name in dataset.data_vars:
        if name != "quantile":
            assert np.all(np.isfinite(dataset[name])), name
    np.testing.assert_allclose(dataset["mean"], exact, rtol=1e-12)
    np.testing.assert_allclose(dataset["std"], 0, atol=1e-7 * abs(exact))
    # nothing can be said of the non-zero values where there are none
    expected = np.nan if value == 0 else exact
    np.testing.assert_allclose(dataset["quantile"], expected, rtol=1 / 256)


def test_negative_zero_is_a_zero():
    images = np.full((4, *SHAPE), -0.0, np.float32)
    images[0, 0, 0, 0] = 1
    dataset = to_dataset(of(images, np.array([0, 0, 1, 1], np.uint8)), SPEC)
    assert dataset["nonzero_share"].values[1].tolist() == [0, 0]
    assert dataset["empty_images"].values.tolist() == [1, 2]


def test_a_channel_without_zeros_has_its_least_value_as_minimum():
    images = np.full((4, *SHAPE), 0.5, np.float32)
    images[..., 1] = -3
    dataset = to_dataset(of(images, np.array([0, 0, 1, 1], np.uint8)), SPEC)
    assert dataset["pooled_minimum"].values.tolist() == [0.5, -3]
    assert dataset["pooled_maximum"].values.tolist() == [0.5, -3]


def test_every_variable_is_described(example):
    dataset = example[2]
    for name, variable in dataset.data_vars.items():
        assert variable.attrs["long_name"], name
        assert variable.attrs["units"] == "1", name
    assert dataset["class"].values.tolist() == ["photon", "electron"]
    assert dataset["ieta"].values.tolist() == [-3, -2, -1, 0, 1, 2]


def test_hundreds_of_channels_take_little_memory():
    shape = (4, 5, 300)
    images = np.random.default_rng(0).exponential(1, (30, *shape)).astype(np.float32)
    label = np.arange(30, dtype=np.uint8) % 2
    statistics = ImageStatistics.zero(shape_spec(shape))
    for part in (slice(1), slice(1, 30)):
        statistics.update(images[part], label[part])
    assert statistics.keys.nbytes < 64 << 20, "a table of all keys would take 1 MiB for each class and channel"
    dataset = to_dataset(statistics, shape_spec(shape))
    means = [images[label == code].mean((0, 1, 2), dtype=np.float64) for code in (0, 1)]
    np.testing.assert_allclose(dataset["mean"], means, rtol=1e-9)
    assert dataset["histogram"].sum() == images.size
