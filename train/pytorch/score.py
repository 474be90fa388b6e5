"""Score images with a trained PyTorch model: ``python -m train.pytorch.score RUN``, images in, scores out."""

import os
import sys
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from train.scoring import ScoreFunction, serve


def load(run: Path) -> ScoreFunction:
    """Return what the model of a run directory gives for images, and variables if it takes any."""
    # Threads that spin while they wait take the processor from the process that reads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch

    from train.pytorch.model import load_model

    model = load_model(run)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)

    def score(*inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        with torch.inference_mode():
            tensors = (torch.from_numpy(array).to(device) for array in inputs)
            return model.score(*tensors).double().cpu().numpy()

    return score


if __name__ == "__main__":
    serve(partial(load, Path(sys.argv[1])))
