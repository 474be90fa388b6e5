"""The same model in both frameworks: parameters, outputs with the same weights, initial weights, exported files."""

import importlib.util

import numpy as np
import numpy.typing as npt
import pytest
import torch

from tests.parity.cases import (
    ANY_SIZE,
    MODELS,
    SHOWER_RECIPES,
    example_inputs,
    large_weights,
    model_specification,
    odd_images,
    odd_specification,
    specification,
)
from tests.parity.conftest import Sides, run_python
from train.metrics import probability
from train.model.specification import Specification
from train.model.weights import load_weights
from train.pytorch.model import Classifier, save_model


def carried(sides: Sides, spec: Specification, file: str) -> Classifier:
    model = Classifier(spec).eval()
    model.set_weights(load_weights(sides.folder / file))
    return model


def logits(model: Classifier, sides: Sides, name: str = "cnn") -> npt.NDArray[np.float32]:
    with torch.no_grad():
        return model(*map(torch.from_numpy, example_inputs(sides.folder, name))).numpy()


def assert_same(in_torch: npt.NDArray[np.float32], in_keras: npt.NDArray[np.float32], tolerance: float = 1e-4) -> None:
    assert in_torch.std() > 0.02  # the logits differ from image to image
    np.testing.assert_allclose(in_torch, in_keras, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", MODELS)
def test_same_parameter_count(sides: Sides, name: str) -> None:
    spec = model_specification(sides.folder, name)
    model = Classifier(spec)
    counts = {
        spec.architecture.parameter_count(spec.image_shape),
        sum(weight.numel() for weight in model.parameters()),
    }
    assert counts == {sides.keras["parameters"][name]}


@pytest.mark.parametrize("origin", ["torch", "keras"])
@pytest.mark.parametrize("name", MODELS)
def test_same_logits_after_carrying_weights(sides: Sides, name: str, origin: str) -> None:
    model = carried(sides, model_specification(sides.folder, name), f"{name}-{origin}.npz")
    assert_same(logits(model, sides, name), np.load(sides.folder / f"{name}-logits.npz")[f"of_{origin}"])


@pytest.mark.parametrize("name", MODELS)
def test_same_logits_and_averages_in_a_step_of_training(sides: Sides, name: str) -> None:
    model = carried(sides, model_specification(sides.folder, name), f"{name}-keras.npz").train()
    # In a single thread PyTorch sums the moments of a batch to four digits.
    assert_same(logits(model, sides, name), np.load(sides.folder / f"{name}-logits.npz")["training"], 1e-3)
    after = load_weights(sides.folder / f"{name}-after.npz")
    for weight, value in model.weights().items():
        np.testing.assert_allclose(value, after[weight], rtol=1e-3, atol=1e-4, err_msg=weight)


@pytest.mark.parametrize("name", ANY_SIZE)
def test_same_logits_for_images_of_another_size(sides: Sides, name: str) -> None:
    spec = odd_specification(name)
    model = Classifier(spec).eval()
    model.set_weights(large_weights(spec, seed=3))
    with torch.no_grad():
        assert_same(model(torch.from_numpy(odd_images())).numpy(), np.load(sides.folder / f"{name}-odd-logits.npy"))


@pytest.mark.parametrize("recipe", SHOWER_RECIPES)
def test_same_logits_with_each_normalisation(sides: Sides, recipe: str) -> None:
    model = carried(sides, specification(sides.folder, recipe), "cnn-torch.npz")
    assert_same(logits(model, sides), np.load(sides.folder / f"{recipe}-logits.npy"))


@pytest.mark.parametrize("name", MODELS)
def test_weights_survive_the_journey(sides: Sides, name: str) -> None:
    file = f"{name}-keras.npz"
    start = load_weights(sides.folder / file)
    for weight, value in carried(sides, model_specification(sides.folder, name), file).weights().items():
        np.testing.assert_array_equal(value, start[weight])


KERAS = """
import os, sys, keras, numpy as np
assert keras.backend.backend() == os.environ["KERAS_BACKEND"]
for name in sys.argv[1:]:
    model = keras.models.load_model(f"{name}/model.keras", safe_mode=True)
    inputs = list(np.load(f"{name}/inputs.npz").values())
    scores = model.predict(inputs if inputs[1:] else inputs[0], verbose=0)
    np.save(f"{name}/scores.npy", scores[:, 0] if scores.shape[1] == 1 else scores)
assert not {"store", "train"} & set(sys.modules)
"""
TORCH = """
import sys, numpy as np, torch
from train.pytorch.model import load_model
for name in sys.argv[1:]:
    inputs = map(torch.from_numpy, np.load(f"{name}/inputs.npz").values())
    with torch.inference_mode():
        np.save(f"{name}/scores.npy", load_model(name).score(*inputs).numpy())
"""


@pytest.fixture(scope="module")
def exported(sides: Sides) -> Sides:
    """Both sides, with the models of Keras on TensorFlow and of PyTorch exported, and inputs for each."""
    for name in MODELS:
        np.savez(sides.folder / name / "inputs.npz", *example_inputs(sides.folder, name))
        save_model(carried(sides, model_specification(sides.folder, name), f"{name}-keras.npz"), sides.folder / name)
    return sides


def assert_scores_of_a_fresh_process(exported: Sides, program: str, *words: str, backend: str = "tensorflow") -> None:
    """Run a program that scores with the exported models, and compare with the scores of the models in training."""
    (exported.folder / "reload.py").write_text(program)
    run_python(*words, "reload.py", *MODELS, cwd=exported.folder, backend=backend)
    for name in MODELS:
        expected = np.load(exported.folder / f"{name}-logits.npz")["of_keras"].astype(np.float64)
        scores = np.load(exported.folder / name / "scores.npy")
        np.testing.assert_allclose(scores, probability(expected), atol=1e-5, err_msg=name)


def test_exported_torch_models_score_alike_in_a_fresh_process(exported: Sides) -> None:
    assert_scores_of_a_fresh_process(exported, TORCH)


# With -I, Python does not look for modules in the current folder, so that this project cannot be imported.
@pytest.mark.parametrize("backend", ["tensorflow", "torch", "jax"])
def test_exported_keras_models_score_alike_on_every_backend(exported: Sides, backend: str) -> None:
    if not importlib.util.find_spec(backend):
        pytest.skip(f"{backend} is not installed")
    assert_scores_of_a_fresh_process(exported, KERAS, "-I", backend=backend)
