"""A backend without a framework."""

import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from store.stream import Batch, BatchStream
from tests.jets import write_jet_store
from tests.three_classes import write_three_class_store
from tests.train.line_score import line_features
from train.backend import Steps
from train.config import TrainConfig
from train.metrics import probability
from train.model.specification import Specification
from train.presets import preset
from train.resident import ResidentSplit

# An environment for GPUs has one framework; the tests of the other are not collected there.
collect_ignore = []
if not importlib.util.find_spec("torch"):
    collect_ignore += ["pytorch", "test_feeds.py", "test_precision.py", "test_variables.py"]
if not importlib.util.find_spec("tensorflow"):
    collect_ignore += ["keras/test_devices.py", "keras/test_feeds.py"]


@pytest.fixture
def config(tmp_path: Path, showers: Path) -> TrainConfig:
    settings = preset("challenge") | {"epochs": 4, "batch_size": 50, "learning_rate": 0.5}
    return TrainConfig(run=tmp_path / "run", store=showers, **settings)


@pytest.fixture(scope="session")
def jets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_jet_store(tmp_path_factory.mktemp("jets"))


@pytest.fixture(scope="session")
def three_classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_three_class_store(tmp_path_factory.mktemp("three-classes"))


class LineBackend:
    """Logistic regression on the summed squares of each channel: the simplest backend, in a few lines of numpy."""

    device, precision, rank, world_size, takes_sparse = "paper", "float32", 0, 1, False

    def __init__(self, specification: Specification, config: TrainConfig, weights: Any = None) -> None:
        classes = specification.class_count
        shape = (specification.image_shape[-1] + 1, *([classes] if classes > 2 else []))
        self.weights = np.random.default_rng(config.seed).normal(size=shape) / 100
        self.targets: npt.NDArray[np.float32] | None = None
        self.rate = np.nan
        self.rates: list[float] = []
        self.trained: list[npt.NDArray[np.int64]] = []
        self.broken_from = np.inf

    def free_memory(self) -> int | None:
        return None

    def teach(self, targets: npt.NDArray[np.float32]) -> None:
        self.targets = targets

    def hold(self, split: str, images: ResidentSplit) -> None:
        raise NotImplementedError

    def feed(self, stream: BatchStream) -> Iterator[Steps]:
        for batch in stream:
            yield Steps.of_batch(batch, batch, batch.label if self.targets is None else self.targets[batch.sample])

    def train(self, steps: Steps, rates: Sequence[float]) -> npt.NDArray[np.float64]:
        (self.rate,) = rates
        self.rates.append(self.rate)
        self.trained.append(steps.sample)
        target, logit = steps.target, self.predict(steps.inputs)
        slope = probability(logit) - (target if target.ndim == logit.ndim else np.eye(logit.shape[1])[target])
        self.weights = self.weights - self.rate * line_features(steps.inputs.image).T @ slope / len(target)
        return logit if len(self.trained) < self.broken_from else np.full_like(logit, np.nan)

    def predict(self, batch: Batch) -> npt.NDArray[np.float64]:
        return line_features(batch.image) @ self.weights

    def copy_to_host(self, logits: Sequence[npt.NDArray[np.float64]]) -> Callable[[], npt.NDArray[np.float64]]:
        return partial(np.concatenate, logits)

    def all_gather(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return values

    def barrier(self) -> None:
        pass

    def state_dict(self) -> dict[str, npt.NDArray[Any]]:
        return {"weights": self.weights}

    def load_state_dict(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        if arrays["weights"].shape != self.weights.shape:
            raise ValueError(f"weights have shape {arrays['weights'].shape}")
        self.weights = arrays["weights"]

    def export(self, folder: Path) -> None:
        with (folder / "model.safetensors").open("wb") as file:  # under a name that a trainer writes
            np.save(file, self.weights)
