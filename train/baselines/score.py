"""Score images with a trained baseline: ``python -m train.baselines.score RUN``, images in, scores out."""

import sys
from functools import partial
from pathlib import Path

from store.run_folder import RunFolder
from train.scoring import ScoreFunction, serve


def load(run: Path) -> ScoreFunction:
    """Return what the classifier of a run directory gives for images, or for variables if it was trained on those."""
    from train.baselines.logistic import Logistic
    from train.baselines.trees import Trees

    return Trees.load(run).score if RunFolder(path=run).framework == "trees" else Logistic.load(run).score


if __name__ == "__main__":
    serve(partial(load, Path(sys.argv[1])))
