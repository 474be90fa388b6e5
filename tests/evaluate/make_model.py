"""Export untrained models, and their scores: ``python -m tests.evaluate.make_model torch FOLDER ...``.

Each folder is a run directory with ``images.npy``, and ``variables.npy`` if the model should take variables. It is
checked that the example in the run's model card, and the function behind ``evaluate score``, give the same scores. The
description of the data set in the run directory says how many classes there are.
"""

import re
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from evaluate.card import write_card
from evaluate.runs import load_runs
from evaluate.stores import find_stores
from evaluate.summary import summarise
from store.run_folder import SCORERS
from train.model.networks import ARCHITECTURES
from train.model.normalisation import Normalisation
from train.model.specification import Specification
from train.variables import VariableInputs

SPECIFICATION = Specification(
    architecture=ARCHITECTURES["cnn-small"],
    normalisation=Normalisation(recipe="log", scale=(20.0, 5.0), offset=(0.0, 0.0)),
    image_shape=(32, 32, 2),
)
NAMES = ("pt", "m0")


def weights(specification: Specification) -> dict[str, np.ndarray]:
    """Return weights that are large enough for the scores to spread over [0, 1]."""
    random = np.random.default_rng(0)
    shapes = specification.architecture.weight_shapes(specification.image_shape)
    return {
        name: (random.normal(size=shape) * (len(shape) > 1) * np.sqrt(2 / np.prod(shape[:-1]))).astype(np.float32)
        for name, shape in shapes.items()
    }


def specify(names: tuple[str, ...], classes: int) -> Specification:
    """Return a model of some classes that takes those variables."""
    architecture = SPECIFICATION.architecture.with_variables(len(names)).with_outputs(classes)
    variables = VariableInputs(names=names, mean=(0.5,) * len(names), deviation=(2.0,) * len(names))
    return replace(SPECIFICATION, architecture=architecture, variables=variables)


def run_example(folder: Path, given: dict[str, Any]) -> np.ndarray:
    """Run the Python in the model card of a run directory and return its scores."""
    runs = load_runs([folder])
    document = summarise(find_stores(runs), runs)
    (example,) = re.findall(r"```python\n(.*?)```", write_card(document, document.runs[0]), flags=re.DOTALL)
    exec(example, given)
    return np.asarray(given["score"], float)


def export(framework: str, folder: Path) -> None:
    arrays: dict[str, Any] = {path.stem: np.load(path) for path in sorted(folder.glob("*.npy"))}
    given = dict(arrays)
    names = NAMES[: given["variables"].shape[1]] if "variables" in given else ()
    classes = len(load_runs([folder])[0].spec.classes)
    specification = specify(names, classes)
    if framework == "torch":
        import torch

        from train.pytorch import model as model_torch

        classifier = model_torch.Classifier(specification)
        classifier.set_weights(weights(specification))
        model_torch.save_model(classifier, folder)
        given = {name: torch.from_numpy(array) for name, array in given.items()}
        with torch.inference_mode():
            expected = classifier.eval().score(*given.values()).numpy()
    elif framework == "trees":
        from train.baselines.trees import Trees

        stump = Trees(
            baseline=np.array(0.1),
            root=np.array([0], np.int32),
            feature=np.array([0, 0, 0], np.int32),
            threshold=np.array([0.4 if names else 30.0, 0, 0]),
            left=np.array([1, 1, 2], np.int32),
            right=np.array([2, 1, 2], np.int32),
            value=np.array([0, -1.0, 1.0]),
        )
        stump.save(folder)
        expected = stump.score(*given.values())
    elif framework == "logistic":
        from train.baselines.logistic import Logistic

        sum_of_variables = Logistic(weight=np.ones(len(names)), bias=np.array(-1.0))
        sum_of_variables.save(folder)
        expected = sum_of_variables.score(*given.values())
    else:
        from train.keras import model as model_keras

        model = model_keras.build_model(specification)
        model_keras.set_weights(model, weights(specification))
        model_keras.save_model(model, folder)
        inputs = [*given.values()]
        logit = np.asarray(model.predict_on_batch(inputs if names else inputs[0]), float)
        power = np.exp(logit)
        expected = (power / (1 + power))[:, 0] if classes == 2 else power / power.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(run_example(folder, given), expected, atol=1e-5)
    serve = import_module(SCORERS[framework]).load(folder)
    np.testing.assert_allclose(serve(*arrays.values()), expected, atol=1e-5)
    np.save(folder / "expected.npy", expected)


if __name__ == "__main__":
    for folder in sys.argv[2:]:
        export(sys.argv[1], Path(folder))
