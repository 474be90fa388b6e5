"""Score images with a trained baseline, for ``evaluate score``: ``python -m train.baselines.score RUN``."""

import sys
from functools import partial
from pathlib import Path

from store.run_folder import RunFolder
from train.scoring import ScoreFunction, serve


def load(run: Path) -> ScoreFunction:
    """Return the scoring function of the classifier in a run directory."""
    from train.baselines.logistic import Logistic
    from train.baselines.trees import Trees

    return Trees.load(run).score if RunFolder(path=run).framework == "trees" else Logistic.load(run).score


if __name__ == "__main__":
    serve(partial(load, Path(sys.argv[1])))
