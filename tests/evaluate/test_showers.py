import numpy as np
import pytest
import xarray as xr

from evaluate import showers
from store.datasets import ELECTRON_PHOTON

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
    kind, images = showers.average_images(statistics, 0)
    assert kind == "mean"
    np.testing.assert_array_equal(images, statistics["mean_image"].values[..., 0])


def test_a_signed_channel_is_shown_by_its_root_mean_square(statistics):
    kind, images = showers.average_images(statistics.transpose("channel", "iphi", "ieta", "class"), 1)
    mean, std = (statistics[name].values[..., 1] for name in ("mean_image", "std_image"))
    assert kind == "RMS"
    np.testing.assert_allclose(images, np.sqrt(mean**2 + std**2))


def test_a_little_noise_below_zero_does_not_make_a_channel_signed(statistics):
    noisy = statistics.assign(pooled_minimum=("channel", [-0.1, -2.0]))
    assert showers.average_images(noisy, 0)[0] == "mean"


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
