"""The installed programs: each checks that the project's packages are its own, and starts."""

import importlib
import os
import signal
import sys

from calostream.shadowing import PACKAGES, find_shadow

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def start(module: str, main: str) -> None:
    """Call the function `main` of a module; if another package shadows one of the project's, say so and exit with 1.

    A request to end the program, such as Ctrl-C, ends it at once while modules are imported, and again after `main`.
    """
    for number in NUMBERS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as it is in the background
            signal.signal(number, _stop)
    if problem := find_shadow(*PACKAGES):
        sys.stderr.write(f"error: {problem}\n")
        sys.exit(1)
    getattr(importlib.import_module(module), main)()


def _stop(number: int, _: object) -> None:
    interrupted = number == signal.SIGINT
    os.write(2, b"interrupted\n" if interrupted else f"ended by {signal.Signals(number).name}\n".encode())
    os._exit(1 if interrupted else 128 + number)


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
