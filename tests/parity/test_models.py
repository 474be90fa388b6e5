"""The same model twice: parameters, outputs from carried weights, initial weights, exported files."""

import numpy as np
import numpy.typing as npt
import pytest
import torch

from tests.parity.cases import images, specification
from tests.parity.conftest import Sides, run_python
from train import weights
from train.config import TrainConfig
from train.fit_torch import TorchLearner
from train.model_torch import Classifier
from train.normalisation import RECIPES


def torch_logits(sides: Sides, recipe: str, file: str) -> npt.NDArray[np.float32]:
    model = Classifier(specification(sides.store, recipe)).eval()
    model.set_weights(weights.load(sides.folder / file))
    with torch.inference_mode():
        return model(torch.from_numpy(images(sides.store))).numpy()


@pytest.mark.parametrize("recipe", RECIPES)
def test_same_parameter_count(sides: Sides, recipe: str) -> None:
    assert sides.keras["parameters"][recipe] == 868_993


@pytest.mark.parametrize("direction", ["of_torch", "of_keras"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_same_logits_after_carrying_weights(sides: Sides, recipe: str, direction: str) -> None:
    file = "torch-weights.npz" if direction == "of_torch" else f"keras-{recipe}-weights.npz"
    here = torch_logits(sides, recipe, file)
    there = np.load(sides.folder / f"keras-{recipe}-logits.npz")[direction]
    assert here.std() > 0.05  # the images do not all look alike to the model
    np.testing.assert_allclose(here, there, rtol=1e-4, atol=1e-4)


def test_weights_survive_the_journey(sides: Sides) -> None:
    start = weights.load(sides.folder / "keras-log-weights.npz")
    model = Classifier(specification(sides.store, "log"))
    model.set_weights(start)
    for name, value in model.weights().items():
        np.testing.assert_array_equal(value, start[name])


def test_both_start_from_the_same_weights(sides: Sides) -> None:
    learner = TorchLearner(specification(sides.store, "log"), TrainConfig(run=sides.folder, seed=1))
    there = weights.load(sides.folder / "keras-start.npz")
    here = {name.removeprefix("weights/"): a for name, a in learner.state().items() if name.startswith("weights/")}
    assert here.keys() == there.keys()
    for name, array in here.items():
        np.testing.assert_array_equal(array, there[name])


RELOAD = """
import sys, keras, numpy as np
images = np.load("images.npy")
for recipe in sys.argv[1:]:
    model = keras.models.load_model(f"{recipe}/model.keras", safe_mode=True)
    np.save(f"{recipe}/scores.npy", model.predict(images, verbose=0)[:, 0])
assert not {"store", "train"} & set(sys.modules)
"""


def test_exported_keras_model_loads_without_this_project(sides: Sides) -> None:
    np.save(sides.folder / "images.npy", images(sides.store))
    (sides.folder / "reload.py").write_text(RELOAD)
    run_python("-I", "reload.py", *RECIPES, cwd=sides.folder)
    for recipe in RECIPES:
        logits = np.load(sides.folder / f"keras-{recipe}-logits.npz")["of_keras"]
        scores = np.load(sides.folder / recipe / "scores.npy")
        np.testing.assert_allclose(scores, 1 / (1 + np.exp(-logits.astype(np.float64))), atol=1e-5)
