"""Score images with a trained logistic regression: ``python -m train.score_logistic RUN``, images in, scores out."""

import sys
from functools import partial
from pathlib import Path

from train.scoring import Score, serve


def load(run: Path) -> Score:
    """Return what the regression of a run directory gives for images, or for variables if it was fitted to those."""
    from train.logistic import Logistic

    return Logistic.load(run).score


if __name__ == "__main__":
    serve(partial(load, Path(sys.argv[1])))
