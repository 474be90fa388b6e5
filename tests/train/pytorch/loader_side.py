"""One rank of several: writes the samples that a Loader gives it, without and with workers.

Usage: python -m tests.train.pytorch.loader_side STORE FOLDER, with the environment of torchrun
"""

import json
import sys
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from calostream.torch import Loader
from store.stream import BatchStream


def main(path: Path, folder: Path) -> None:
    loader = Loader(BatchStream(path, split="train", batch_size=16))  # before the ranks have met
    torch.distributed.init_process_group("gloo")
    epochs = [loader, DataLoader(loader, batch_size=None, num_workers=1), loader]
    samples = [[(image[:, 0, 0, 0].long() - 1).tolist() for image, _ in epoch] for epoch in epochs]
    state = loader.state_dict()
    alone = Loader(BatchStream(path, split="validation", batch_size=16), rank=0, world_size=1)
    found = {"epochs": samples, "length": len(loader), "state": state, "alone": sum(len(label) for _, label in alone)}
    (folder / f"{torch.distributed.get_rank()}.json").write_text(json.dumps(found))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
