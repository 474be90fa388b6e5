import numpy as np
import pytest

from store.arrays import Float32Array
from train.baselines.image_moments import compute_image_moments, image_moment_matrix


@pytest.fixture
def image() -> Float32Array:
    random = np.random.default_rng(0)
    image = random.normal(size=(4, 5, 8, 3)).astype(np.float32)
    image[random.random(image.shape) < 0.5] = 0
    image[0, :, :, 1] = 0
    return image


def by_hand(channel: Float32Array, everything: float) -> dict[str, float]:
    cells = {(y - 2.0, x - 3.5): float(channel[y, x]) for y in range(5) for x in range(8)}
    total = sum(map(abs, cells.values()))
    weights = {cell: abs(value) / (total or 1) for cell, value in cells.items()}
    means = [sum(w * cell[axis] for cell, w in weights.items()) for axis in (0, 1)]
    widths = [sum(w * (cell[axis] - means[axis]) ** 2 for cell, w in weights.items()) ** 0.5 for axis in (0, 1)]
    return {
        "total": sum(cells.values()),
        "share": total / everything,
        "hits": sum(value != 0 for value in cells.values()),
        "maximum": max(map(abs, cells.values())),
        "eta_mean": means[0],
        "phi_mean": means[1],
        "eta_width": widths[0],
        "phi_width": widths[1],
        "tilt": sum(w * (y - means[0]) * (x - means[1]) for (y, x), w in weights.items()),
    }


def test_equal_sums_cell_by_cell(image: Float32Array) -> None:
    moments = compute_image_moments(image)
    for index, single in enumerate(image):
        for channel in range(3):
            expected = by_hand(single[..., channel], float(np.abs(single, dtype=np.float64).sum()))
            assert expected.keys() == moments.keys()
            for name, value in expected.items():
                assert moments[name][index, channel] == pytest.approx(value, rel=1e-6, abs=1e-12), name


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 3)])
def test_images_of_any_size_and_without_hits_have_finite_moments(shape: tuple[int, int, int]) -> None:
    for image in (np.zeros((2, *shape), np.float32), np.full((2, *shape), 3e38, np.float32)):
        moments = image_moment_matrix(image)
        assert moments.shape == (2, 9 * shape[2])
        assert np.isfinite(moments).all()
