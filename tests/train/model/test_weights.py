from pathlib import Path

import numpy as np
import pytest

from store.errors import StateError
from train.model.architecture import Architecture
from train.model.networks import CNN, RESNET15, SHOWER, SHOWER_TRANSFORMER, VIT
from train.model.weights import (
    Weights,
    check_weights,
    from_torch,
    initial_weights,
    load_weights,
    save_weights,
    to_torch,
)

SHAPES = CNN.weight_shapes((32, 32, 2))


def random_weights() -> Weights:
    random = np.random.default_rng(0)
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}


def test_torch_has_outputs_first() -> None:
    neutral = random_weights()
    converted = to_torch(neutral)
    assert converted["conv3.weight"].shape == (64, 32, 3, 3)
    assert converted["conv3.weight"][5, 7, 0, 2] == neutral["conv3.kernel"][0, 2, 7, 5]
    assert converted["dense1.weight"][5, 7] == neutral["dense1.kernel"][7, 5]
    assert converted["dense1.bias"] is neutral["dense1.bias"]


@pytest.mark.parametrize("architecture", [CNN, RESNET15, VIT, SHOWER, SHOWER_TRANSFORMER])
def test_converted_to_torch_and_back(architecture: Architecture) -> None:
    random = np.random.default_rng(0)
    shapes = architecture.weight_shapes((32, 32, 2))
    neutral = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    back = from_torch(to_torch(neutral))
    assert back.keys() == neutral.keys()
    assert all(np.array_equal(back[name], neutral[name]) for name in neutral)


def test_file_keeps_every_bit(tmp_path: Path) -> None:
    neutral = random_weights()
    save_weights(tmp_path / "weights.npz", neutral)
    loaded = load_weights(tmp_path / "weights.npz")
    assert loaded.keys() == neutral.keys()
    assert all(np.array_equal(loaded[name], neutral[name]) for name in neutral)


def test_refuses_other_architectures() -> None:
    neutral = random_weights()
    check_weights(neutral, SHAPES)
    extra = {**neutral, "dense6.bias": np.zeros(3, np.float32)}
    missing = {name: value for name, value in neutral.items() if name != "conv1.bias"}
    reshaped = {**neutral, "dense5.kernel": np.zeros((32, 1), np.float32)}
    for wrong, message in (
        (extra, "the model has no dense6.bias"),
        (missing, r"conv1.bias with shape \(32,\) is missing"),
        (reshaped, r"dense5.kernel has shape \(32, 1\), not \(64, 1\)"),
    ):
        with pytest.raises(StateError, match=message):
            check_weights(wrong, SHAPES)


def test_refuses_other_files(tmp_path: Path) -> None:
    other = tmp_path / "other.npz"
    other.write_text("not an archive")
    for path in (other, tmp_path / "missing.npz"):
        with pytest.raises(StateError, match=path.name):
            load_weights(path)


def test_initial_kernels_are_normal_and_cut_at_two_deviations() -> None:
    drawn = initial_weights(CNN, (32, 32, 2), seed=0)
    assert {name: array.shape for name, array in drawn.items()} == SHAPES
    for name, array in drawn.items():
        if name.endswith("bias"):
            assert not array.any()
        else:
            # Cut at two standard deviations, a normal distribution of deviation 0.05 has a deviation of 0.0440.
            assert np.abs(array).max() <= 0.1
            assert array.std() == pytest.approx(0.0440, rel=5 / np.sqrt(array.size))


@pytest.mark.parametrize(("architecture", "outputs"), [(RESNET15, 0), (VIT, 1)])
def test_initial_kernels_keep_variance(architecture: Architecture, outputs: int) -> None:
    for name, array in initial_weights(architecture, (32, 32, 2), seed=0).items():
        if name.endswith("kernel"):
            *cells, fan_in, fan_out = array.shape
            wanted = np.sqrt(2 / (np.prod(cells) * (fan_in + outputs * fan_out)))
            assert array.std() == pytest.approx(wanted, rel=5 / np.sqrt(array.size))


def test_initial_layers_pass_on_what_they_get() -> None:
    drawn = initial_weights(RESNET15, (32, 32, 2), seed=0)
    starts = {"scale": 1, "bias": 0, "moving_mean": 0, "moving_variance": 1}
    for name, array in drawn.items():
        kind = name.rpartition(".")[2]
        if kind in starts:
            assert (array == starts[kind]).all()
    positions = initial_weights(VIT, (32, 32, 2), seed=0)["patches1.bias"]
    assert positions.shape == (8, 8, 128)
    assert positions.std() == pytest.approx(0.02 * 0.88, rel=0.05)
    positions = initial_weights(SHOWER_TRANSFORMER, (32, 32, 2), seed=0)["tokens1.position"]
    assert positions.shape == (31, 64)
    assert positions.std() == pytest.approx(0.02 * 0.88, rel=0.1)


def test_initial_weights_follow_the_seed() -> None:
    first, same, other = (initial_weights(CNN, (32, 32, 2), seed)["conv1.kernel"] for seed in (1, 1, 2))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)
