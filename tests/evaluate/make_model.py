"""Export an untrained model, and what it gives for images: ``python -m tests.evaluate.make_model torch FOLDER``."""

import sys
from pathlib import Path

import numpy as np

from train.architecture import ARCHITECTURES
from train.normalisation import Normalisation
from train.specification import Specification

SPECIFICATION = Specification(
    architecture=ARCHITECTURES["cnn-small"],
    normalisation=Normalisation(recipe="log", scale=(20.0, 5.0), offset=(0.0, 0.0)),
    image_shape=(32, 32, 2),
)


def weights() -> dict[str, np.ndarray]:
    """Large enough for scores all over [0, 1]."""
    random = np.random.default_rng(0)
    shapes = SPECIFICATION.architecture.weight_shapes(SPECIFICATION.image_shape)
    return {
        name: (random.normal(size=shape) * (len(shape) > 1) * np.sqrt(2 / np.prod(shape[:-1]))).astype(np.float32)
        for name, shape in shapes.items()
    }


def main(framework: str, folder: Path) -> None:
    images = np.load(folder / "images.npy")
    if framework == "torch":
        import torch

        from train import model_torch

        classifier = model_torch.Classifier(SPECIFICATION)
        classifier.set_weights(weights())
        model_torch.save_model(classifier, folder)
        with torch.inference_mode():
            expected = classifier.eval().score(torch.from_numpy(images)).numpy()
    elif framework == "trees":
        from train.trees import Trees

        stump = Trees(
            baseline=np.array(0.1),
            root=np.array([0], np.int32),
            feature=np.array([0, 0, 0], np.int32),
            threshold=np.array([30.0, 0, 0]),
            left=np.array([1, 1, 2], np.int32),
            right=np.array([2, 1, 2], np.int32),
            value=np.array([0, -1.0, 1.0]),
        )
        stump.save(folder)
        expected = stump.score(images)
    else:
        from train import model_keras

        model = model_keras.build_model(SPECIFICATION)
        model_keras.set_weights(model, weights())
        model_keras.save_model(model, folder)
        expected = 1 / (1 + np.exp(-np.asarray(model.predict_on_batch(images), float)[:, 0]))
    np.save(folder / "expected.npy", expected)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
