"""One rank of several: trains on its part of every batch and saves the gradients of all, and the moving averages.

``torchrun --nproc-per-node N -m tests.train.pytorch.rank_side STORE MODEL BATCH_SIZE FOLDER``

A single rank computes as one of several does: in one thread, PyTorch's own batch normalisation sums to four digits.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from store.opening import open_store
from tests.parity.cases import without_dropout
from train.config import TrainConfig
from train.pytorch.backend import TorchBackend
from train.run import make_specification, open_stream


def main(store: str, model: str, batch_size: str, folder: str) -> None:
    torch.distributed.init_process_group("gloo")
    config = TrainConfig(
        run=Path("unused"),
        store=Path(store),
        model=model,
        normalisation="log" if model == "cnn-small" else "none",
        batch_size=int(batch_size),
        device="cpu",
    )
    described = make_specification(config, open_store(store))
    backend = TorchBackend(replace(described, architecture=without_dropout(described.architecture)), config)
    backend.set_learning_rate(0.0)  # so that every batch meets the same weights
    stream = open_stream(config, "train", "full", (backend.rank, backend.world_size))
    for batch, image, label in backend.feed(stream):
        backend.train(image, label)
        samples = backend.all_gather(batch.sample)
        found = {name: value.grad.numpy() for name, value in backend.model.named_parameters()}
        found |= {name: value.numpy() for name, value in backend.model.named_buffers() if "running" in name}
        if backend.rank == 0:
            np.savez(Path(folder) / f"{backend.world_size}-{len(samples)}.npz", samples=samples, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
