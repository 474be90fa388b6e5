"""Score images with a trained PyTorch model, for ``evaluate score``: ``python -m train.pytorch.score RUN``."""

import os
import sys
from functools import partial
from pathlib import Path

from store.arrays import Float32Array, Float64Array
from store.extras import require
from train.scoring import ScoreFunction, serve


def load(run: Path) -> ScoreFunction:
    """Return the scoring function of the model in a run directory."""
    # Threads that spin while they wait would take processor time from the process that reads the images.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    require("torch", "torch")
    import torch

    from train.pytorch.devices import allow_tf32
    from train.pytorch.model import load_model

    model = load_model(run)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)
    allow_tf32(False)

    def score(*inputs: Float32Array) -> Float64Array:
        with torch.inference_mode():
            tensors = (torch.from_numpy(array).to(device) for array in inputs)
            return model.score(*tensors).double().cpu().numpy()

    return score


if __name__ == "__main__":
    serve(partial(load, Path(sys.argv[1])))
