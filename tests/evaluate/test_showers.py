from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import LogNorm, Normalize

from evaluate import showers
from store.average_images import average_images, coarsen
from store.datasets import ELECTRON_PHOTON, Channel
from tests.evaluate.sheets import pictures_of, texts_of

DIMS = ("class", "ieta", "iphi", "channel")


def make_statistics(mean, std, minimum=(0.0, -2.0), maximum=(1.5, 2.0)):
    return xr.Dataset(
        {
            "mean_image": (DIMS, mean),
            "std_image": (DIMS, std),
            "pooled_minimum": ("channel", list(minimum)),
            "pooled_maximum": ("channel", list(maximum)),
        }
    )


@pytest.fixture
def statistics():
    rng = np.random.default_rng(0)
    return make_statistics(rng.random((2, 32, 32, 2)), rng.random((2, 32, 32, 2)))


def test_a_positive_channel_is_shown_by_its_mean(statistics):
    kind, images = average_images(statistics, 0)
    assert kind == "mean"
    np.testing.assert_array_equal(images, statistics["mean_image"].values[..., 0])


def test_a_signed_channel_is_shown_by_its_root_mean_square(statistics):
    kind, images = average_images(statistics.transpose("channel", "iphi", "ieta", "class"), 1)
    mean, std = (statistics[name].values[..., 1] for name in ("mean_image", "std_image"))
    assert kind == "RMS"
    np.testing.assert_allclose(images, np.sqrt(mean**2 + std**2))


def test_a_little_noise_below_zero_does_not_make_a_channel_signed(statistics):
    noisy = statistics.assign(pooled_minimum=("channel", [-0.1, -2.0]))
    assert average_images(noisy, 0)[0] == "mean"


def test_classes_share_the_scale_of_a_channel(statistics):
    pictures = [showers.draw_average(statistics, ELECTRON_PHOTON, 0, label).axes[0].images[0] for label in (0, 1)]
    assert pictures[0].norm.vmin == pictures[1].norm.vmin
    assert pictures[0].norm.vmax == pictures[1].norm.vmax
    np.testing.assert_array_equal(pictures[1].get_array(), statistics["mean_image"].values[1, ..., 0])


def test_pixels_are_placed_by_their_offset_from_the_seed(statistics):
    mean = np.zeros((2, 32, 32, 2))
    mean[:, 16, 16], mean[:, 20, 16] = 1.0, 0.5
    picture = showers.draw_average(make_statistics(mean, mean), ELECTRON_PHOTON, 0, 1).axes[0].images[0]
    assert picture.get_cursor_data(event_at(picture, iphi=0, ieta=0)) == 1.0
    assert picture.get_cursor_data(event_at(picture, iphi=0, ieta=4)) == 0.5


def event_at(picture, iphi, ieta):
    x, y = picture.axes.transData.transform((iphi, ieta))
    return type("Event", (), {"x": x, "y": y})


def test_asymmetry_is_the_difference_over_the_sum():
    mean = np.zeros((2, 32, 32, 2))
    mean[:, 16, 17, 0] = 1.0, 3.0
    image = showers.draw_asymmetry(make_statistics(mean, mean), ELECTRON_PHOTON, 0).axes[0].images[0].get_array()
    assert image[16, 17] == pytest.approx(0.5)
    assert np.count_nonzero(image) == 1


def test_a_channel_of_zeros_is_drawn():
    zeros = np.zeros((2, 32, 32, 2))
    statistics = make_statistics(zeros, zeros, minimum=(0, 0), maximum=(0, 0))
    for figure in (
        showers.draw_average(statistics, ELECTRON_PHOTON, 0, 0),
        showers.draw_asymmetry(statistics, ELECTRON_PHOTON, 0),
    ):
        figure.draw_without_rendering()
        assert figure.axes[0].images


def spec_of(shape, classes):
    return replace(
        ELECTRON_PHOTON,
        name="other",
        image_shape=(*shape, 1),
        channels=(Channel(name="charge", long_name="charge"),),
        classes=tuple(f"class {number}" for number in range(classes)),
        seed=(shape[0] // 2, shape[1] // 2),
    )


def statistics_of(shape, classes):
    mean = 1.0 + np.random.default_rng(0).random((classes, *shape, 1))
    return make_statistics(mean, mean, minimum=(0.0,), maximum=(2.0,))


def test_classes_are_side_by_side_above_their_differences_from_the_others():
    statistics, spec = statistics_of((5, 9), 3), spec_of((5, 9), 3)
    figure = showers.draw_averages(statistics, spec, 0)
    pictures = pictures_of(figure)
    mean = statistics["mean_image"].values[..., 0]
    assert [text for text in texts_of(figure) if text in spec.classes] == list(spec.classes) * 2
    for label in range(3):
        np.testing.assert_array_equal(pictures[label].get_array(), mean[label])
        others = mean[[other for other in range(3) if other != label]].mean(axis=0)
        expected = (mean[label] - others) / (mean[label] + others)
        np.testing.assert_allclose(pictures[3 + label].get_array(), expected)
    assert len({(picture.norm.vmin, picture.norm.vmax) for picture in pictures}) == 2
    lefts, tops = ([round(picture.get_extent()[side], 6) for picture in pictures] for side in (0, 3))
    assert lefts == sorted(set(lefts)) * 2
    assert tops == sorted(tops)


@pytest.mark.parametrize(("shape", "classes"), [((1, 1), 3), ((1, 300), 30)])
def test_averages_of_any_size_and_of_many_classes_are_drawn(shape, classes):
    figure = showers.draw_averages(statistics_of(shape, classes), spec_of(shape, classes), 0)
    figure.draw_without_rendering()
    pictures = pictures_of(figure)
    assert len(pictures) == 2 * min(classes, showers.MOST_CLASSES)
    assert all(min(box.width, box.height) > 40 for box in (picture.get_window_extent() for picture in pictures))


def test_a_large_image_is_drawn_as_the_means_of_blocks():
    image = np.arange(700 * 3, dtype=float).reshape(700, 3)
    small = coarsen(image)
    assert small.shape == (234, 1)
    assert small[0, 0] == image[:3].mean()
    assert small[-1, 0] == image[699:].mean()
    np.testing.assert_array_equal(coarsen(image, most=700), image)


def test_a_mean_image_without_large_differences_has_a_linear_scale():
    spec, flat = spec_of((1, 60), 2), 1.0 + np.random.default_rng(0).random((2, 1, 60, 1))
    scales = []
    for mean in (flat, np.geomspace(1, 50, 120).reshape(flat.shape)):
        statistics = make_statistics(mean, mean, minimum=(0.0,), maximum=(2.0,))
        scales.append(showers.draw_average(statistics, spec, 0, 0).axes[0].images[0].norm)
    assert [type(scale) for scale in scales] == [Normalize, LogNorm]
