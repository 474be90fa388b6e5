"""Shower shapes against sums written out cell by cell."""

import math

import numpy as np
import pytest

from store.arrays import Float32Array
from train.baselines.shower_shapes import compute_shower_shapes, shower_shape_matrix


@pytest.fixture(scope="module")
def image() -> Float32Array:
    random = np.random.default_rng(0)
    hit = random.random((20, 32, 32)) < 0.1
    near = np.hypot(*(np.indices((32, 32)) - 16))
    energy = hit * random.exponential(np.exp(-near / 3), size=hit.shape)
    time = hit * random.normal(0, 0.1, size=hit.shape)
    return np.stack([energy, time], axis=-1).astype(np.float32)


def by_hand(image: Float32Array) -> dict[str, float]:
    cells = {(y, x): image[16 + y, 16 + x].astype(float) for y in range(-15, 16) for x in range(-15, 16)}
    total = sum(energy for energy, _ in cells.values())
    fraction = {cell: energy / total for cell, (energy, _) in cells.items()}
    band = {(y, x): f for (y, x), f in fraction.items() if abs(y) <= 4}
    logarithm = {cell: max(0.0, 4.7 + math.log(f)) for cell, f in band.items() if f > 0}
    shapes = {
        "energy": total,
        "hits": sum(f > 0 for f in fraction.values()),
        "band_hits": sum(f > 0 for f in band.values()),
        "e9": sum(f for (y, x), f in fraction.items() if max(abs(y), abs(x)) <= 1),
        "e25": sum(f for (y, x), f in fraction.items() if max(abs(y), abs(x)) <= 2),
        "second": sorted(fraction.values())[-2],
        "phi_3": sum(f for (_, x), f in band.items() if abs(x) == 3),
        "phi_7_9": sum(f for (_, x), f in band.items() if 7 <= abs(x) <= 9),
        "phi_2_difference": abs(sum(math.copysign(f, x) for (_, x), f in band.items() if abs(x) == 2)),
        "eta_1": sum(f for (y, x), f in fraction.items() if abs(y) == 1 and abs(x) <= 4),
    }
    for weights, names in ((band, ("phi_width", "eta_width")), (logarithm, ("phi_log_width", "eta_log_width"))):
        norm = sum(weights.values())
        for axis, name in ((1, names[0]), (0, names[1])):
            mean = sum(w * cell[axis] for cell, w in weights.items()) / norm
            shapes[name] = math.sqrt(sum(w * (cell[axis] - mean) ** 2 for cell, w in weights.items()) / norm)
            if weights is band:
                third = sum(w * (cell[axis] - mean) ** 3 for cell, w in weights.items()) / norm
                shapes[name.replace("width", "skew")] = abs(third) / shapes[name] ** 3
                shapes[name.replace("width", "mean")] = abs(mean)
    norm = sum(band.values())
    y, x = (sum(f * cell[axis] for cell, f in band.items()) / norm for axis in (0, 1))
    shapes["tilt"] = abs(sum(f * (cell[0] - y) * (cell[1] - x) for cell, f in band.items()) / norm)
    time = sum(fraction[cell] * t for cell, (_, t) in cells.items())
    shapes["time_mean"] = abs(time)
    shapes["time_width"] = math.sqrt(sum(fraction[cell] * (t - time) ** 2 for cell, (_, t) in cells.items()))
    return shapes


def test_equal_sums_cell_by_cell(image: Float32Array) -> None:
    shapes = compute_shower_shapes(image)
    for index, single in enumerate(image):
        for name, value in by_hand(single).items():
            assert shapes[name][index] == pytest.approx(value, rel=1e-9, abs=1e-12), name


@pytest.mark.parametrize("axis", [1, 2])
def test_flips_about_the_seed_change_nothing(image: Float32Array, axis: int) -> None:
    flipped = np.roll(np.flip(image, axis), 1, axis)
    np.testing.assert_array_equal(flipped[:, 16, 16], image[:, 16, 16])
    for name, value in compute_shower_shapes(flipped).items():
        np.testing.assert_allclose(value, compute_shower_shapes(image)[name], rtol=1e-9, atol=1e-12, err_msg=name)


def test_an_empty_image_has_zeros(image: Float32Array) -> None:
    for name, value in compute_shower_shapes(0 * image[:2]).items():
        assert value.dtype == np.float64
        np.testing.assert_array_equal(value, 0, err_msg=name)


def test_the_matrix_has_a_column_per_shower_shape(image: Float32Array) -> None:
    shapes = compute_shower_shapes(image)
    np.testing.assert_array_equal(shower_shape_matrix(image), np.transpose(list(shapes.values())))


def test_every_shower_shape_varies(image: Float32Array) -> None:
    assert [name for name, value in compute_shower_shapes(image).items() if value.std() == 0] == []
