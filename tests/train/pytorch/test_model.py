import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from store.errors import ConfigError, RunError, StateError
from train.metrics import probability
from train.model.architecture import Architecture
from train.model.layers import BatchNorm, Conv, Dense
from train.model.networks import ARCHITECTURES, CNN, RESNET15, SHOWER
from train.model.normalisation import Normalisation
from train.model.specification import Specification
from train.model.stateless_layers import Flatten, ShowerFeatures
from train.model.weights import initial_weights
from train.pytorch import score as score_module
from train.pytorch.batch_norm import ChannelNorm, TokenNorm
from train.pytorch.layers import ComputeFeatures, EmbedCells, Normalise, attend, attend_written_out
from train.pytorch.model import Classifier, load_model, save_model

LOG = Normalisation(recipe="log", scale=(500.0, 9.0), offset=(0.0, 0.0))
RAW = Normalisation(recipe="none", scale=(1.0, 1.0), offset=(0.0, 0.0))
SPECIFICATION = Specification(architecture=CNN, normalisation=LOG, image_shape=(32, 32, 2))


@pytest.fixture(scope="module")
def model() -> Classifier:
    torch.manual_seed(0)
    return Classifier(SPECIFICATION).eval()


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    random = np.random.default_rng(0)
    hits = np.where(random.random((5, 32, 32, 2)) < 0.05, random.normal(size=(5, 32, 32, 2)), 0)
    return torch.from_numpy(hits.astype(np.float32))


def test_has_the_reference_parameters(model: Classifier) -> None:
    assert sum(parameter.numel() for parameter in model.parameters()) == 868_993


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_empty_images_and_slight_ones_have_a_score(name: str, image: torch.Tensor) -> None:
    specification = Specification(architecture=ARCHITECTURES[name], normalisation=RAW, image_shape=(32, 32, 2))
    model = Classifier(specification).eval()
    model.set_weights(initial_weights(ARCHITECTURES[name], (32, 32, 2), seed=0))
    images = torch.cat([0 * image[:1], 1e-30 * image[:1], 100 * image[:1]])
    logit = model(images)
    assert torch.isfinite(logit).all()
    model.train()
    model(torch.cat([images, image])).sum().backward()
    for weight in model.parameters():
        assert weight.grad is not None
        assert torch.isfinite(weight.grad).all()


def test_three_classes_have_probabilities_in_the_process_that_scores(image: torch.Tensor, tmp_path: Path) -> None:
    specification = replace(SPECIFICATION, architecture=ARCHITECTURES["jet-cnn"].with_outputs(3))
    model = Classifier(specification).eval()
    save_model(model, tmp_path)
    score = score_module.load(tmp_path)(image.numpy())
    assert (score.dtype, score.shape) == (np.float64, (5, 3))
    np.testing.assert_allclose(score, probability(model(image).detach().double().numpy()), atol=1e-6)


@pytest.mark.parametrize("name", ["cnn-small", "resnet15", "vit"])
def test_takes_jets(name: str) -> None:
    plain = Normalisation(recipe="none", scale=(1.0,) * 3, offset=(0.0,) * 3)
    specification = Specification(architecture=ARCHITECTURES[name], normalisation=plain, image_shape=(125, 125, 3))
    assert Classifier(specification).eval()(torch.ones(2, 125, 125, 3)).shape == (2,)


def test_shower_features(image: torch.Tensor) -> None:
    features, with_time = (
        ComputeFeatures(ShowerFeatures(time=time))(image.permute(0, 3, 1, 2)).numpy() for time in (False, True)
    )
    energy, time = np.maximum(image[..., 0].numpy(), 0).astype(np.float64), image[..., 1].numpy()
    total = energy.sum((1, 2), keepdims=True)
    expected = [
        energy / total,
        np.sqrt(energy / total),
        np.log(1 + energy / 0.002) / np.log(501),
        np.broadcast_to(total, energy.shape),
        time * energy / 6e-4,
    ]
    np.testing.assert_allclose(with_time, np.stack(expected, axis=1), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(features, with_time[:, :4])


def test_beyond_the_crop_only_the_total_energy_counts(image: torch.Tensor) -> None:
    model = Classifier(Specification(architecture=SHOWER, normalisation=RAW, image_shape=(32, 32, 2))).eval()
    model.set_weights(initial_weights(SHOWER, (32, 32, 2), seed=0))
    moved = image.abs()
    other = moved.clone()
    other[:, 2, 5], other[:, 25, 9] = moved[:, 25, 9], moved[:, 2, 5]
    np.testing.assert_allclose(model(moved).detach(), model(other).detach(), rtol=1e-4)


def test_moving_averages_are_of_the_batch_itself() -> None:
    random = np.random.default_rng(0)
    image = random.normal(3, 2, size=(4, 5, 3, 2)).astype(np.float32)
    layer = ChannelNorm(5, BatchNorm(momentum=0.75))
    result = layer(torch.from_numpy(image)).detach().numpy()
    mean, variance = image.mean((0, 2, 3)), image.var((0, 2, 3))  # the variance is divided by n
    expected = (image - mean[:, None, None]) / np.sqrt(variance + 1e-5)[:, None, None]
    np.testing.assert_allclose(result, expected, atol=1e-5)
    np.testing.assert_allclose(layer.running_mean, 0.25 * mean, rtol=1e-5)
    np.testing.assert_allclose(layer.running_var, 0.75 + 0.25 * variance, rtol=1e-5)


def test_tokens_are_normalised_like_images_of_one_row() -> None:
    token = torch.from_numpy(np.random.default_rng(0).normal(3, 2, size=(4, 6, 5)).astype(np.float32))
    of_tokens, of_images = TokenNorm(5, BatchNorm()), ChannelNorm(5, BatchNorm())
    result = of_tokens(token)
    expected = (token - token.mean((0, 1))) / (token.var((0, 1), unbiased=False) + 1e-5).sqrt()
    torch.testing.assert_close(result, expected)
    torch.testing.assert_close(of_images(token.mT[:, :, None]), result.mT[:, :, None])
    for moment in ("running_mean", "running_var"):
        torch.testing.assert_close(getattr(of_tokens, moment), getattr(of_images, moment))


def test_tokens_are_the_cells_and_their_positions() -> None:
    layer = EmbedCells(6, 5)
    torch.nn.init.normal_(layer.position)
    image = torch.randn(4, 5, 2, 3)
    token = layer(image)
    assert token.shape == (4, 6, 5)
    torch.testing.assert_close(token[3, 3 * 1 + 2], image[3, :, 1, 2] + layer.position[5])


@pytest.mark.parametrize(("precision", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 0.02)])
def test_attention_in_each_precision_is_that_of_pytorch(precision: torch.dtype, tolerance: float) -> None:
    inputs = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 8, 4, 31, 16))).to(precision)
    expected = torch.nn.functional.scaled_dot_product_attention(*inputs.double())
    for result in (attend(*inputs), attend_written_out(*inputs)):
        assert result.dtype == precision
        torch.testing.assert_close(result.double(), expected, rtol=tolerance, atol=tolerance)
    assert expected.std() > 0.1


def test_moving_averages_are_carried(tmp_path: Path, image: torch.Tensor) -> None:
    model = Classifier(Specification(architecture=RESNET15, normalisation=LOG, image_shape=(32, 32, 2)))
    model(image)  # in training mode, which updates the moving averages
    assert model.weights()["batchnorm1.moving_mean"].any()
    save_model(model, tmp_path)
    for name, value in load_model(tmp_path).weights().items():
        np.testing.assert_array_equal(value, model.weights()[name])


def test_flattens_channel_last() -> None:
    architecture = Architecture(
        name="flat", source="tests", layers=(Flatten(), Dense(units=1, activation="linear")), initialiser="he"
    )
    plain = Normalisation(recipe="none", scale=(1.0, 1.0), offset=(0.0, 0.0))
    model = Classifier(Specification(architecture=architecture, normalisation=plain, image_shape=(3, 4, 2)))
    kernel = np.arange(24, dtype=np.float32).reshape(24, 1)
    model.set_weights({"dense1.kernel": kernel, "dense1.bias": np.zeros(1, np.float32)})
    image = np.random.default_rng(0).normal(size=(3, 3, 4, 2)).astype(np.float32)
    result = model(torch.from_numpy(image)).detach().numpy()
    np.testing.assert_allclose(result, image.reshape(3, 24) @ kernel[:, 0], rtol=1e-5)


def test_a_shifted_image_shifts_the_feature_map() -> None:
    # ieta stays rows and iphi columns: a kernel that looks one column to the left moves the image to the right.
    architecture = Architecture(
        name="shift",
        source="tests",
        layers=(Conv(filters=1, activation="linear"), Flatten(), Dense(units=1, activation="linear")),
        initialiser="he",
    )
    plain = Normalisation(recipe="none", scale=(1.0,), offset=(0.0,))
    model = Classifier(Specification(architecture=architecture, normalisation=plain, image_shape=(4, 5, 1)))
    kernel = np.zeros((3, 3, 1, 1), np.float32)
    kernel[1, 0] = 1
    pick = np.zeros((20, 1), np.float32)
    pick[2 * 5 + 3] = 1  # row 2, column 3
    bias = np.zeros(1, np.float32)
    model.set_weights({"conv1.kernel": kernel, "conv1.bias": bias, "dense1.kernel": pick, "dense1.bias": bias})
    image = np.random.default_rng(0).normal(size=(1, 4, 5, 1)).astype(np.float32)
    assert model(torch.from_numpy(image)).item() == pytest.approx(image[0, 2, 2, 0])


@pytest.mark.parametrize("recipe", ["none", "max", "standard", "log"])
def test_normalises(recipe: str, image: torch.Tensor) -> None:
    layer = Normalise(Normalisation(recipe=recipe, scale=(3.0, 0.5), offset=(0.25, -1.0)))
    expected = image.numpy() * np.float32([3.0, 0.5]) + np.float32([0.25, -1.0])
    if recipe == "log":
        expected = np.sign(expected) * np.log1p(np.abs(expected))
    np.testing.assert_allclose(layer(image).numpy(), expected, rtol=1e-6, atol=1e-7)
    assert not layer.state_dict()


def test_saved_model_takes_images_as_they_are(model: Classifier, image: torch.Tensor, tmp_path: Path) -> None:
    save_model(model, tmp_path)
    loaded = load_model(tmp_path)
    assert not loaded.training
    np.testing.assert_array_equal(loaded.score(image).detach().numpy(), model.score(image).detach().numpy())
    assert json.loads((tmp_path / "architecture.json").read_text())["normalisation"]["scale"] == [500.0, 9.0]


def test_load_model_names_what_is_wrong(model: Classifier, tmp_path: Path) -> None:
    with pytest.raises(
        RunError, match=r"architecture\.json: no such file; is .* a run directory, and has the run ended"
    ):
        load_model(tmp_path)
    save_model(model, tmp_path)
    description, state = tmp_path / "architecture.json", tmp_path / "model.safetensors"
    text, whole = description.read_text(), state.read_bytes()
    state.write_bytes(whole[:1000])
    with pytest.raises(RunError, match="not an exported model"):
        load_model(tmp_path)
    state.write_bytes(whole)
    description.write_text(text.replace('"units": 64', '"units": 65'))
    with pytest.raises(RunError, match="not an exported model"):
        load_model(tmp_path)
    description.write_text(text.replace('"dense"', '"sparse"'))
    with pytest.raises(ConfigError, match="'sparse'"):
        load_model(tmp_path)


def test_refuses_weights_of_another_architecture(model: Classifier) -> None:
    with pytest.raises(StateError, match=r"weights of another architecture: dense5\.bias with shape \(1,\) is missing"):
        model.set_weights({name: value for name, value in model.weights().items() if name != "dense5.bias"})


def test_export_to_onnx_without_the_extra_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from train.pytorch import onnx

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"is not installed; `pip install 'calostream\[onnx\]'` does it"):
        onnx.export_onnx(tmp_path)
