import json
from pathlib import Path
from typing import Any

import pytest

from store.errors import ConfigError
from train.config import TrainConfig


def test_defaults_are_the_reference() -> None:
    config = TrainConfig(run=Path("runs/x"))
    assert (config.model, config.batch_size, config.epochs, config.learning_rate) == ("cnn", 512, 50, 1e-3)
    assert (config.schedule, config.patience) == ("plateau", 4)


def test_survives_json() -> None:
    config = TrainConfig(run=Path("runs/x"), batch_size=3, memory="1GiB", seed=2**32 - 1)
    record = {**json.loads(json.dumps(config.to_json())), "framework": "torch", "parameters": 1}
    assert TrainConfig.from_json(record) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model": "vgg"}, "unknown model 'vgg'; known: cnn"),
        ({"schedule": "cosinus"}, "unknown schedule 'cosinus'; known: plateau, constant"),
        ({"normalisation": "median"}, "known: none, max, standard, log"),
        ({"shuffle": "half"}, "known: auto, full, window, chunks, none"),
        ({"device": "tpu"}, "known: auto, cpu, cuda"),
        ({"epochs": 0}, "epochs=0 is below 1"),
        ({"batch_size": 0}, "batch_size=0 is below 1"),
        ({"patience": 0}, "patience=0 is below 1"),
        ({"threads": 0}, "threads=0 is below 1"),
        ({"seed": -1}, "seed=-1 is below 0"),
        ({"seed": 2**32}, "is not below 2..32"),
        ({"learning_rate": 0.0}, "learning_rate=0.0 is not above 0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan"),
        ({"memory": "much"}, "memory='much' is not a size"),
    ],
)
def test_bounds(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainConfig(run=Path("runs/x"), **values)


def test_refuses_other_json() -> None:
    with pytest.raises(ConfigError, match="not the configuration"):
        TrainConfig.from_json({"epochs": 3})
