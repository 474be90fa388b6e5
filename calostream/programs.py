"""The installed programs: each checks that the project's packages are its own, and starts."""

import importlib
import os
import signal
import sys

from calostream.shadowing import PACKAGES, find_shadow


def start(module: str, main: str) -> None:
    """Call the function `main` of a module; if another package shadows one of the project's, say so and exit with 1.

    While the module is imported, an interrupt ends the process at once, with one line.
    """
    interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # it is ignored in the background
    if interruptible:
        signal.signal(signal.SIGINT, _stop)
    if problem := find_shadow(*PACKAGES):
        sys.stderr.write(f"error: {problem}\n")
        sys.exit(1)
    function = getattr(importlib.import_module(module), main)
    if interruptible:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    function()


def _stop(*_: object) -> None:
    os.write(2, b"interrupted\n")
    os._exit(1)


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
