"""Shower shapes against sums written out cell by cell."""

import math

import numpy as np
import numpy.typing as npt
import pytest

from train.baselines.shower_shapes import shower_shapes

Image = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def image() -> Image:
    random = np.random.default_rng(0)
    hit = random.random((20, 32, 32)) < 0.1
    near = np.hypot(*(np.indices((32, 32)) - 16))
    energy = hit * random.exponential(np.exp(-near / 3), size=hit.shape)
    time = hit * random.normal(0, 0.1, size=hit.shape)
    return np.stack([energy, time], axis=-1).astype(np.float32)


def by_hand(image: Image) -> dict[str, float]:
    cells = {(y, x): image[16 + y, 16 + x].astype(float) for y in range(-15, 16) for x in range(-15, 16)}
    total = sum(energy for energy, _ in cells.values())
    share = {place: energy / total for place, (energy, _) in cells.items()}
    band = {(y, x): f for (y, x), f in share.items() if abs(y) <= 4}
    logarithm = {place: max(0.0, 4.7 + math.log(f)) for place, f in band.items() if f > 0}
    found = {
        "energy": total,
        "hits": sum(f > 0 for f in share.values()),
        "band_hits": sum(f > 0 for f in band.values()),
        "e9": sum(f for (y, x), f in share.items() if max(abs(y), abs(x)) <= 1),
        "e25": sum(f for (y, x), f in share.items() if max(abs(y), abs(x)) <= 2),
        "second": sorted(share.values())[-2],
        "phi_3": sum(f for (_, x), f in band.items() if abs(x) == 3),
        "phi_7_9": sum(f for (_, x), f in band.items() if 7 <= abs(x) <= 9),
        "phi_2_difference": abs(sum(math.copysign(f, x) for (_, x), f in band.items() if abs(x) == 2)),
        "eta_1": sum(f for (y, x), f in share.items() if abs(y) == 1 and abs(x) <= 4),
    }
    for weights, names in ((band, ("phi_width", "eta_width")), (logarithm, ("phi_log_width", "eta_log_width"))):
        norm = sum(weights.values())
        for axis, name in ((1, names[0]), (0, names[1])):
            mean = sum(w * place[axis] for place, w in weights.items()) / norm
            found[name] = math.sqrt(sum(w * (place[axis] - mean) ** 2 for place, w in weights.items()) / norm)
            if weights is band:
                third = sum(w * (place[axis] - mean) ** 3 for place, w in weights.items()) / norm
                found[name.replace("width", "skew")] = abs(third) / found[name] ** 3
                found[name.replace("width", "mean")] = abs(mean)
    norm = sum(band.values())
    y, x = (sum(f * place[axis] for place, f in band.items()) / norm for axis in (0, 1))
    found["tilt"] = abs(sum(f * (place[0] - y) * (place[1] - x) for place, f in band.items()) / norm)
    time = sum(share[place] * t for place, (_, t) in cells.items())
    found["time_mean"] = abs(time)
    found["time_width"] = math.sqrt(sum(share[place] * (t - time) ** 2 for place, (_, t) in cells.items()))
    return found


def test_equal_sums_cell_by_cell(image: Image) -> None:
    shapes = shower_shapes(image)
    for index, one in enumerate(image):
        for name, value in by_hand(one).items():
            assert shapes[name][index] == pytest.approx(value, rel=1e-9, abs=1e-12), name


@pytest.mark.parametrize("axis", [1, 2])
def test_flips_about_the_seed_change_nothing(image: Image, axis: int) -> None:
    flipped = np.roll(np.flip(image, axis), 1, axis)
    np.testing.assert_array_equal(flipped[:, 16, 16], image[:, 16, 16])
    for name, value in shower_shapes(flipped).items():
        np.testing.assert_allclose(value, shower_shapes(image)[name], rtol=1e-9, atol=1e-12, err_msg=name)


def test_an_empty_image_has_zeros(image: Image) -> None:
    for name, value in shower_shapes(0 * image[:2]).items():
        assert value.dtype == np.float64
        np.testing.assert_array_equal(value, 0, err_msg=name)


def test_every_shape_varies(image: Image) -> None:
    assert [name for name, value in shower_shapes(image).items() if value.std() == 0] == []
