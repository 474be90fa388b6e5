"""Score images with trained boosted trees: ``python -m train.score_trees RUN``, images in, scores out."""

import sys
from functools import partial
from pathlib import Path

from train.scoring import Score, serve


def load(run: Path) -> Score:
    """Return what the trees of a run directory give for images, or for variables if they were grown on those."""
    from train.trees import Trees

    return Trees.load(run).score


if __name__ == "__main__":
    serve(partial(load, Path(sys.argv[1])))
