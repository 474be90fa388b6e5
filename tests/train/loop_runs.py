"""Runs of the training loop with a backend that needs no framework, and what is left of them."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from store.arrays import Float32Array
from tests.train.conftest import LineBackend
from train.config import TrainConfig


class Factory:
    """Makes backends, and keeps them for the test to look at."""

    def __init__(self, broken_from: float = np.inf) -> None:
        self.made: list[LineBackend] = []
        self.broken_from = broken_from

    def __call__(self, specification: Any, config: TrainConfig, weights: Float32Array | None) -> LineBackend:
        self.made.append(LineBackend(specification, config))
        self.made[-1].broken_from = self.broken_from
        return self.made[-1]


def history(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]


def timeless(run: Path) -> list[dict[str, Any]]:
    clocks = ("samples_per_second", "waiting_share", "seconds")
    return [{name: value for name, value in epoch.items() if name not in clocks} for epoch in history(run)]
