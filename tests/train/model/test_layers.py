import pytest

from store.errors import ConfigError
from train.model.layers import BatchNorm, Conv, Dense, ShapeError, WeightSpec
from train.model.token_layers import Attention, Patches, Tokens

SHOWERS = (32, 32, 2)
JETS = (125, 125, 3)


@pytest.mark.parametrize(
    ("conv", "shape"),
    [
        (Conv(filters=4), (32, 31, 4)),
        (Conv(filters=4, padding="valid"), (30, 29, 4)),
        (Conv(filters=4, stride=2), (16, 16, 4)),
        (Conv(filters=4, stride=2, kernel=(1, 1)), (16, 16, 4)),
        (Conv(filters=4, kernel=(9, 1), padding="valid"), (24, 31, 4)),
        (Conv(filters=4, kernel=(1, 3)), (32, 31, 4)),
        (Conv(filters=4, kernel=(2, 4), padding="valid"), (31, 28, 4)),
    ],
)
def test_size_of_a_convolution(conv: Conv, shape: tuple[int, ...]) -> None:
    assert conv.output_shape((32, 31, 2)) == shape


def test_same_padding_needs_an_odd_kernel() -> None:
    with pytest.raises(ConfigError, match=r"conv: kernel=\(2, 3\) is not odd"):
        Conv(filters=2, kernel=(2, 3))


def test_patches_are_padded_to_a_grid() -> None:
    patches = Patches(width=128)
    assert (patches.patch_size(SHOWERS), patches.zero_padding(SHOWERS)) == ((4, 4), (0, 0))
    assert (patches.patch_size(JETS), patches.zero_padding(JETS)) == ((16, 16), (3, 3))


def test_a_dense_layer_takes_tokens_and_no_images() -> None:
    assert Dense(units=5).output_shape((64, 128)) == (64, 5)
    with pytest.raises(ShapeError, match="is a flatten layer missing"):
        Dense(units=5).output_shape(SHOWERS)


def test_tokens_are_the_cells_of_an_image_row_by_row() -> None:
    assert Tokens().output_shape((8, 31, 64)) == (248, 64)
    assert Tokens().weight_specs((1, 31, 64)) == {"position": WeightSpec((31, 64), "position")}


def test_weights_of_batch_normalisation_and_attention() -> None:
    trainable = {name: weight.trainable for name, weight in BatchNorm().weight_specs(SHOWERS).items()}
    assert trainable == {"scale": True, "bias": True, "moving_mean": False, "moving_variance": False}
    attention = Attention(heads=4).weight_specs((64, 8))
    assert [f"{part}.{kind}" for part in ("query", "key", "value", "output") for kind in ("kernel", "bias")] == [
        *attention
    ]
    assert {weight.shape for weight in attention.values()} == {(8, 8), (8,)}
