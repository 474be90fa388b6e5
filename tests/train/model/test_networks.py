import json
import math
from pathlib import Path

import pytest

from store.errors import ConfigError
from train.model.architecture import Architecture, count_parameters
from train.model.networks import (
    ARCHITECTURES,
    CNN,
    CNN_SMALL,
    JET_CNN,
    JET_CNN_DEEP,
    JET_TRANSFORMER,
    RESNET15,
    SHOWER,
    SHOWER_TIME,
    SHOWER_TRANSFORMER,
    VIT,
    find_architecture,
)
from train.model.normalisation import Normalisation
from train.model.specification import Specification

SHAPE = (32, 32, 2)
JETS = (125, 125, 3)
RESULTS = Path(__file__).parents[3] / "docs" / "results"
PUBLISHED = sorted(RESULTS.glob("*.json"))


def test_reference_has_the_published_parameters() -> None:
    counts: dict[str, int] = {}
    for name, shape in CNN.weight_shapes(SHAPE).items():
        layer = name.split(".")[0]
        counts[layer] = counts.get(layer, 0) + math.prod(shape)
    assert list(counts.values()) == [608, 9248, 18496, 36928, 73856, 147584, 524544, 32896, 16512, 8256, 65]
    assert CNN.parameter_count(SHAPE) == 868_993


# Kernels k x k of a convolution from a to b channels hold k k a b values; a batch normalisation trains 2 b.
@pytest.mark.parametrize(
    ("architecture", "layers"),
    [
        (CNN_SMALL, [608, 18_496, 36_928, 36_928, 36_928, 4 * 4 * 64 * 64 + 64, 64 * 64 + 64, 64 + 1]),
        (
            RESNET15,
            [
                *(9 * 2 * 16, 2 * 16),
                *(2 * (9 * 16 * 16 + 2 * 16), 2 * (9 * 16 * 16 + 2 * 16)),
                9 * 16 * 32 + 9 * 32 * 32 + 16 * 32 + 3 * 2 * 32,
                2 * (9 * 32 * 32 + 2 * 32),
                9 * 32 * 64 + 9 * 64 * 64 + 32 * 64 + 3 * 2 * 64,
                2 * (9 * 64 * 64 + 2 * 64),
                64 + 1,
            ],
        ),
    ],
)
def test_published_networks_have_the_parameters_of_their_layers(architecture: Architecture, layers: list[int]) -> None:
    counts = [
        count_parameters(node.layer.weight_specs(node.input_shape).values()) for node in architecture.nodes(SHAPE)
    ]
    assert [parameters for parameters in counts if parameters] == layers
    assert architecture.parameter_count(SHAPE) == sum(layers)


def test_moving_averages_are_no_parameters() -> None:
    assert sum(math.prod(shape) for shape in RESNET15.weight_shapes(SHAPE).values()) == (
        RESNET15.parameter_count(SHAPE) + 2 * (5 * 16 + 5 * 32 + 5 * 64)
    )


def encoder_parameters(width: int, hidden: int) -> int:
    attention, mlp = 4 * (width * width + width), width * hidden + hidden + hidden * width + width
    return 2 * (2 * width) + attention + mlp


def test_transformer_is_as_large_as_the_reference() -> None:
    blocks = 4 * encoder_parameters(128, 512)
    assert VIT.parameter_count(SHAPE) == 4 * 4 * 2 * 128 + 64 * 128 + blocks + 2 * 128 + 129
    assert VIT.parameter_count(SHAPE) == pytest.approx(CNN.parameter_count(SHAPE), rel=0.1)


def test_networks_for_showers_have_the_parameters_of_their_layers() -> None:
    stem = 9 * 4 * 24 + 2 * 24 + (9 * 24 * 24 + 2 * 24)
    rows = 9 * 24 * 64 + 2 * 64
    end = (31 * 32 * 64 + 64) + (64 + 1)
    line = 3 * 2 * (3 * 64 * 64 + 2 * 64) + 64 * 32 + 2 * 32
    assert SHOWER.parameter_count(SHAPE) == stem + rows + line + end == 160_321
    assert SHOWER_TIME.parameter_count(SHAPE) == 160_321 + 9 * 24
    line -= 2 * (3 * 64 * 64 + 2 * 64) + 64 * 32
    line += 31 * 64 + encoder_parameters(64, 128) + 2 * 64 + (64 * 32 + 32)
    assert SHOWER_TRANSFORMER.parameter_count(SHAPE) == stem + rows + line + end == 171_105
    plain_stem = find_architecture(str(RESULTS / "shower-plainstem.json"))
    assert plain_stem.parameter_count(SHAPE) == 155_089, "what `shower` was before it had a residual in its stem"


@pytest.mark.parametrize("name", ["cnn", "cnn-small", "resnet15", "vit", "jet-cnn", "jet-cnn-deep", "jet-transformer"])
def test_fits_jets(name: str) -> None:
    assert ARCHITECTURES[name].parameter_count(JETS) > 100_000


def test_networks_for_jets_have_the_parameters_of_their_layers() -> None:
    assert JET_CNN.parameter_count(JETS) == (9 * 3 + 1) + (62 * 62 * 64 + 64) + (64 + 1)
    flat = 3 * 3 * 128 - 4 * 4 * 128  # beside the reference, which flattens 4 x 4
    stem = (9 * 3 * 32 + 32) + (9 * 32 * 32 - 9 * 2 * 32)
    assert JET_CNN_DEEP.parameter_count(JETS) == CNN.parameter_count(SHAPE) + stem + flat * 256
    convolutions = 9 * (3 * 32 + 32 * 64 + 64 * 64) + 2 * (32 + 64 + 64)
    tokens = 8 * 8 * 64 + 3 * encoder_parameters(64, 128) + 2 * 64
    assert JET_TRANSFORMER.parameter_count(JETS) == convolutions + tokens + 64 + 1


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_survives_json(name: str) -> None:
    architecture = ARCHITECTURES[name]
    assert Architecture.from_dict(json.loads(json.dumps(architecture.to_dict()))) == architecture


def test_found_by_name_or_in_a_file(tmp_path: Path) -> None:
    assert find_architecture("cnn-small") is CNN_SMALL
    (path := tmp_path / "mine.json").write_text(json.dumps(SHOWER.to_dict()))
    assert find_architecture(str(path)) == SHOWER


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_published_files_build_models_of_showers(path: Path) -> None:
    architecture = find_architecture(str(path))
    assert architecture.to_dict() == json.loads(path.read_text())
    assert architecture.parameter_count(SHAPE) > 10_000


def test_a_run_without_variables_is_read() -> None:
    unscaled = Normalisation(recipe="none", scale=(1.0, 1.0), offset=(0.0, 0.0))
    specification = Specification(architecture=CNN, normalisation=unscaled, image_shape=SHAPE)
    recorded = {name: value for name, value in specification.to_dict().items() if name != "variables"}
    assert Specification.from_dict(recorded) == specification


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"unknown model .cnn-large.; known: cnn, cnn-small, .* ending in \.json"):
        find_architecture("cnn-large")


@pytest.mark.parametrize("content", ["{", "[]", '{"name": "mine"}', "\xff"])
def test_a_file_without_an_architecture_is_refused_by_name(tmp_path: Path, content: str) -> None:
    (path := tmp_path / "mine.json").write_text(content, encoding="latin-1")
    with pytest.raises(ConfigError, match=r"mine\.json: not the description of an architecture"):
        find_architecture(str(path))
    with pytest.raises(ConfigError, match=r"none\.json: not the description of an architecture"):
        find_architecture(str(tmp_path / "none.json"))
