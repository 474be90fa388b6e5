import pytest

from train.model.architecture import Architecture
from train.model.graph import Layers, Residual
from train.model.layers import Conv, Dense
from train.model.networks import SHOWER
from train.model.operations import training_operations
from train.model.stateless_layers import Flatten, GlobalPool
from train.model.token_layers import Attention, Patches

CONV = 2 * (3 * 2) * (3 * 3 * 2 * 5)  # of 6 x 4 images with stride 2
SHORTCUT = 2 * (3 * 2) * (5 * 7)
BODY = 2 * (3 * 2) * (3 * 5 * 7)
PATCHES = 2 * 4 * (3 * 2 * 2 * 8)
ATTENTION = 2 * (4 * 4 * 8 * 8 + 4 * 4 * 8 + 4 * 4 * 8)


@pytest.mark.parametrize(
    ("layers", "operations"),
    [
        ((Conv(filters=5, stride=2), Flatten(), Dense(units=1)), 2 * CONV + 3 * 2 * 30),
        (
            (
                Conv(filters=5, stride=2),
                Residual(body=(Conv(filters=7, kernel=(1, 3)),), shortcut=(Conv(filters=7, kernel=(1, 1)),)),
                GlobalPool(),
                Dense(units=1),
            ),
            2 * CONV + 3 * (BODY + SHORTCUT + 2 * 7),
        ),
        (
            (Patches(width=8, grid=2), Attention(heads=2), Dense(units=3), GlobalPool(), Dense(units=1)),
            2 * PATCHES + 3 * (ATTENTION + 2 * 4 * 8 * 3 + 2 * 3),
        ),
    ],
)
def test_operations_of_a_training_step(layers: Layers, operations: int) -> None:
    architecture = Architecture(name="few", source="tests", layers=layers, initialiser="he")
    assert training_operations(architecture, (6, 4, 2)) == operations


def test_a_step_of_the_network_for_showers_takes_27_million_operations_per_image() -> None:
    assert training_operations(SHOWER, (32, 32, 2)) == pytest.approx(26.7e6, rel=0.01)
