"""The same short training on the device and on the CPU."""

import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from evaluate.ranking import auc, compare_auc
from store.predictions import Predictions
from tests.showers import write_shower_store
from train.config import TrainConfig
from train.run import run_training

BACKENDS = {"torch": ("train.pytorch.backend", "TorchBackend"), "keras": ("train.keras.backend", "KerasBackend")}


def compare_devices(framework: str, devices: Sequence[str], folder: Path, epochs: int, showers: int) -> dict[str, Any]:
    """Return the AUC on the test split for each device, and the difference between the first two.

    Parameters
    ----------
    framework
        ``torch`` or ``keras``.
    devices
        Devices, the GPU first: where Keras trains on the CPU, it hides the GPU from the rest of the process.
    folder
        Folder for the store and the runs.
    epochs
        Number of epochs.
    showers
        Showers of each class, from the bundled sample.
    """
    module, name = BACKENDS[framework]
    make_backend = getattr(import_module(module), name)
    store = write_shower_store(folder, showers)
    found: dict[str, Any] = {}
    scores = []
    for device in devices:
        run, began = folder / device, time.perf_counter()
        settings: dict[str, Any] = {"epochs": epochs, "batch_size": 64, "threads": 2, "precision": "float32"}
        config = TrainConfig(run=run, store=store, device=device, **settings)
        run_training(config, framework, make_backend)
        test = Predictions.load(run / "predictions" / "test.npz")
        of_device = auc(test.label, test.score)
        found[f"auc_{device}"] = [of_device.value, of_device.standard_error]
        found[f"seconds_{device}"] = time.perf_counter() - began
        scores.append(test.score)
    if len(scores) > 1:
        difference = compare_auc(test.label, *scores).difference
        found["difference"] = [difference.value, difference.standard_error]
    return found
