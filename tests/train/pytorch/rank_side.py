"""One rank of several: saves the gradients of all ranks in each batch, and the moving averages.

``python -m tests.train.pytorch.rank_side BATCH_SIZE FOLDER MODEL STORE ...`` with the environment of ``torchrun``.

A single rank forms a process group, too: in one thread, PyTorch's own batch normalisation is exact to only four digits.
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
from train.pytorch.devices import choose_precision
from train.resolve import make_specification
from train.run import open_stream


def save_gradients(store: Path, batch_size: int, folder: Path, model: str) -> None:
    config = TrainConfig(
        run=Path("unused"),
        store=store,
        model=model,
        normalisation="none" if model.startswith("shower") else "log",
        batch_size=batch_size,
        device="cpu",
        precision="float32",
    )
    specification = make_specification(config, open_store(store))
    architecture = without_dropout(specification.architecture)
    backend = TorchBackend(replace(specification, architecture=architecture), config)
    stream = open_stream(config, "train", "full", (backend.rank, backend.world_size))
    for batch in backend.feed(stream):
        backend.train(batch, [0.0])  # so that the weights are the same in every batch
        samples = backend.all_gather(batch.sample)
        arrays = {name: value.grad.numpy() for name, value in backend.model.named_parameters()}
        arrays |= {name: value.numpy() for name, value in backend.model.named_buffers() if "running" in name}
        if backend.rank == 0:
            np.savez(folder / f"{model}-{backend.world_size}-{len(samples)}.npz", samples=samples, **arrays)


def main(batch_size: str, folder: str, *models: str) -> None:
    torch.distributed.init_process_group("gloo")
    # A device that has never multiplied in bfloat16, on the last rank alone and on none.
    devices = [torch.device("mps" if rank else "cpu") for rank in (torch.distributed.get_rank(), 0)]
    chosen = [choose_precision("auto", device) for device in devices]
    (Path(folder) / f"precision-{torch.distributed.get_world_size()}-{torch.distributed.get_rank()}").write_text(
        " ".join(chosen)
    )
    for model, store in zip(models[::2], models[1::2], strict=True):
        save_gradients(Path(store), int(batch_size), Path(folder), model)


if __name__ == "__main__":
    main(*sys.argv[1:])
