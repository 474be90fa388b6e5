"""The installed programs: each checks that the project's packages are its own, and starts."""

import importlib
import sys

from calostream.shadowing import PACKAGES, find_shadow


def start(module: str, main: str) -> None:
    """Call the function `main` of a module; if another package shadows one of the project's, say so and exit with 1."""
    if problem := find_shadow(*PACKAGES):
        sys.stderr.write(f"error: {problem}\n")
        sys.exit(1)
    getattr(importlib.import_module(module), main)()


def ingest() -> None:
    """Run ``ingest``."""
    start("ingest.cli", "main")


def train_torch() -> None:
    """Run ``train-torch``."""
    start("train.pytorch.cli", "main")


def train_keras() -> None:
    """Run ``train-keras``."""
    start("train.keras.cli", "main")


def train_trees() -> None:
    """Run ``train-trees``."""
    start("train.baselines.cli", "main_trees")


def train_logistic() -> None:
    """Run ``train-logistic``."""
    start("train.baselines.cli", "main_logistic")


def export_onnx() -> None:
    """Run ``export-onnx``."""
    start("train.pytorch.cli", "main_onnx")


def evaluate() -> None:
    """Run ``evaluate``."""
    start("evaluate.cli", "main")
