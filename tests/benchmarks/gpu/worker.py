"""A process that measures one framework: ``python -m tests.benchmarks.gpu.worker FRAMEWORK DEVICE FOLDER THREADS``.

It answers each line of JSON on its standard input with a line on its standard output.
"""

import gc
import importlib
import json
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from tests.benchmarks.gpu import training
from tests.benchmarks.gpu.auc import compare_devices
from tests.benchmarks.gpu.training import Setting


def main(framework: str, device: str, folder: str, threads: str) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # keeps what libraries print apart from the answers
    worker: Worker | None = None
    for line in sys.stdin:
        command = json.loads(line)
        try:
            worker = worker or Worker(framework, device, Path(folder), int(threads))
            answer = getattr(worker, command.pop("do"))(**command)
        except Exception as error:
            traceback.print_exc()
            reason = str(error).strip().splitlines() or [""]
            answer = {
                "failed": f"{type(error).__name__}: {reason[0][:300]}",
                "usable": worker is not None and isinstance(error, ImportError),
            }
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


class Worker:
    """Carries out commands: every public method is one."""

    def __init__(self, framework: str, device: str, folder: Path, threads: int) -> None:
        self._side: Any = importlib.import_module(f"tests.benchmarks.gpu.{framework}_side")
        if device == "auto":
            device = "cuda" if self._side.machine("cuda")["gpus"] else "cpu"
        self._framework, self._device, self._folder, self._threads = framework, device, folder, threads

    def machine(self) -> dict[str, Any]:
        """Return the versions, and what is known of the device."""
        return dict(self._side.machine(self._device))

    def rate(self, kind: str, amount: int, seconds: float, precision: str = "float32") -> dict[str, Any]:
        """Measure what the device does without us; see `rate` of the framework's side."""
        rate, unit = self._side.rate(self._device, kind, amount, seconds, precision)
        return {"rate": rate, "unit": unit}

    def feed(self, store: str, feed: str, batch: int, seconds: float, warm_up: int) -> dict[str, Any]:
        """Measure a feed alone."""
        return training.measure_feed(self._side, self._setting(store, batch=batch, feed=feed), seconds, warm_up)

    def train(
        self, store: str, model: str, batch: int, precision: str, mode: str, seconds: float, warm_up: int
    ) -> dict[str, Any]:
        """Measure the training of a network."""
        setting = self._setting(store, model=model, batch=batch, precision=precision, mode=mode)
        return training.measure_training(self._side, setting, seconds, warm_up)

    def epoch(self, store: str, model: str, batch: int, seconds: float) -> dict[str, Any]:
        """Measure whole epochs."""
        setting = self._setting(store, model=model, batch=batch, precision=self._fastest, mode="graph")
        return training.measure_epochs(self._side, setting, seconds)

    def dense(self, kind: str, batch: int, images: int, dataset: str, seconds: float) -> dict[str, Any]:
        """Measure reading of images that are in memory as they are."""
        from tests.benchmarks.gpu import dense

        return dense.measure(self._device, kind, batch, images, dataset, seconds)

    def peer(self, store: str, peer: str, images: int, batch: int, seconds: float) -> dict[str, Any]:
        """Measure another reader, whose batches are copied to the device."""
        from tests.benchmarks.gpu import dense

        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            return dense.measure_peer(self._device, peer, Path(store), Path(folder), images, batch, seconds)

    def auc(self, epochs: int, showers: int, on_gpu: bool) -> dict[str, Any]:
        """Train on the device and on the CPU, and compare."""
        devices = ("cuda", "cpu") if on_gpu else ("cpu",)
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            return compare_devices(self._framework, devices, Path(folder), epochs, showers)

    @property
    def _fastest(self) -> str:
        return "float32" if self._device == "cpu" else "bfloat16"

    def _setting(self, store: str, **chosen: Any) -> Setting:
        gc.collect()
        self._side.release()
        return Setting(store=Path(store), device=self._device, threads=self._threads, **chosen)


if __name__ == "__main__":
    main(*sys.argv[1:])
