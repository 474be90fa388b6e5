"""The programs that are installed: each makes sure that the project's packages are its own, then starts."""

import importlib
import importlib.util
import sys
from pathlib import Path

PACKAGES = ("store", "ingest", "train", "evaluate")
HOME = Path(__file__).resolve().parents[1]
MARK = '"""calostream: '
"""How the `__init__.py` of each of `PACKAGES` begins: another distribution may have written over it."""


def shadowed() -> str:
    """Return what stands in the way of one of the project's packages, or an empty string.

    `evaluate` and others are also names of other distributions, or of a user's own files.
    """
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        origin = Path(spec.origin) if spec and spec.origin else None
        if origin is None:
            return f"package '{name}' of calostream is missing from {HOME}; install calostream again"
        if origin.resolve() != HOME / name / "__init__.py":
            return f"{origin} shadows package '{name}' of calostream; rename or uninstall it, or run elsewhere"
        if not origin.read_text(encoding="utf-8").startswith(MARK):
            return f"{origin} was overwritten by another distribution; uninstall that, then install calostream again"
    return ""


def start(module: str, main: str) -> None:
    """Run the function `main` of a module, or exit with one line and status 1 if a package is not the project's own."""
    if problem := shadowed():
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
