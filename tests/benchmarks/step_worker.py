"""The process that takes training steps in one framework, so that no process loads two."""

import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from train.backend import Backend, Steps
from train.config import TrainConfig
from train.model.networks import ARCHITECTURES
from train.model.normalisation import Normalisation
from train.model.specification import Specification
from train.pytorch.memory import keep_memory

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
MATRIX = "matrix product"
SHAPES = {name: (125, 125, 3) for name in ARCHITECTURES if name.startswith("jet")}  # the others take showers


def serve(requests: Connection, framework: str, seconds: float) -> None:
    """Answer each (network or `MATRIX`, precision, batch) with units per second of processor time, until None comes."""
    for name in THREADS:
        os.environ[name] = "1"
    if framework == "torch":
        keep_memory()
    steps: dict[tuple[str, str, int], Callable[[], float]] = {}
    while (request := requests.recv()) is not None:
        if request not in steps:
            network, precision, batch = request
            if network == MATRIX:
                steps[request] = matrix_product(precision, batch)
            else:
                steps[request] = training_step(framework, network, precision, batch)
            steps[request]()
        requests.send(rate(steps[request], seconds))


def rate(step: Callable[[], float], seconds: float) -> float:
    """Return the units per second of processor time of a step, repeated for some seconds."""
    units, began = 0.0, time.process_time()
    while (elapsed := time.process_time() - began) < seconds or not units:
        units += step()
    return units / elapsed


def matrix_product(precision: str, size: int) -> Callable[[], float]:
    """Return a function that multiplies two square matrices with PyTorch and returns the number of operations."""
    import torch

    left, right = (torch.randn(size, size).to(getattr(torch, precision)) for _ in range(2))

    def step() -> float:
        torch.mm(left, right)
        return 2.0 * size**3

    return step


def training_step(framework: str, network: str, precision: str, batch: int) -> Callable[[], float]:
    """Return a function that trains a network on one batch and returns the number of its images."""
    shape, architecture = SHAPES.get(network, (32, 32, 2)), ARCHITECTURES[network]
    channels = shape[-1]
    specification = Specification(
        architecture=architecture,
        normalisation=Normalisation(
            recipe="none" if architecture.takes_raw_images else "log", scale=(1.0,) * channels, offset=(0.0,) * channels
        ),
        image_shape=shape,
    )
    config = TrainConfig(run=Path("unused"), model=network, precision=precision, device="cpu", batch_size=batch)
    random = np.random.default_rng(0)
    image = random.gamma(1, 0.1, (batch, *shape)) * (random.random((batch, *shape)) < 0.05)
    image, label = image.astype(np.float32), random.integers(0, 2, batch).astype(np.uint8)
    if framework == "torch":
        import torch

        from train.pytorch.backend import TorchBackend

        backend: Backend = TorchBackend(specification, config)
        inputs, target = (torch.from_numpy(image),), torch.from_numpy(label)
    else:
        import tensorflow as tf

        from train.keras.backend import KerasBackend

        backend = KerasBackend(specification, config)
        inputs, target = (tf.constant(image),), tf.constant(label)
    steps = Steps(sample=np.arange(batch), label=label, count=1, inputs=inputs, target=target)

    def step() -> float:
        np.asarray(backend.train(steps, [1e-3]))  # waits for Keras
        return float(batch)

    return step
