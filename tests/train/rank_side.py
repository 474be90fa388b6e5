"""One rank of several: trains a step on its part of the first batch and saves the gradients of all.

``torchrun --nproc-per-node N -m tests.train.rank_side STORE BATCH_SIZE FOLDER``
"""

import sys
from pathlib import Path

import numpy as np

from store.reader import open_store
from train.config import TrainConfig
from train.fit import open_stream, specify
from train.fit_torch import TorchLearner


def main(store: str, batch_size: str, folder: str) -> None:
    config = TrainConfig(
        run=Path("unused"),
        store=Path(store),
        model="cnn-small",
        normalisation="log",
        batch_size=int(batch_size),
        device="cpu",
    )
    learner = TorchLearner(specify(config, open_store(store)), config)
    learner.set_learning_rate(0.0)  # so that every batch meets the same weights
    stream = open_stream(config, "train", "full", (learner.rank, learner.world_size))
    for batch, image, label in learner.feed(stream):
        learner.train(image, label)
        samples = learner.gather(batch.sample)
        gradients = {name: value.grad.numpy() for name, value in learner.model.named_parameters()}
        if learner.rank == 0:
            np.savez(Path(folder) / f"{learner.world_size}-{len(samples)}.npz", samples=samples, **gradients)


if __name__ == "__main__":
    main(*sys.argv[1:])
