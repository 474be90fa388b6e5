"""Where a model looks: how much its score changes when a part of the image is hidden.

Zeiler & Fergus, "Visualizing and understanding convolutional networks", ECCV 2014, with zeros, which is what cells
without a hit hold.
"""

import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from evaluate.metrics import Floats
from store import files
from store.errors import RunError
from store.predictions import Predictions
from store.run_folder import RunFolder

SAME_SCORE = 1e-3


@dataclass(frozen=True, kw_only=True)
class Occlusion:
    """What hiding a patch does to the score, averaged over some test samples.

    Attributes
    ----------
    sample
        int64 (n,), positions in the store.
    score
        float64 (n,), of the whole images.
    change
        float64 (class, y, x), mean absolute change of the score for each patch, by true class; y is along ieta. NaN for
        a class without samples.
    """

    sample: npt.NDArray[np.int64]
    score: Floats
    change: Floats

    def is_of(self, predictions: Predictions) -> bool:
        """Whether the model that gave these predictions is the one that was looked at."""
        _, mine, theirs = np.intersect1d(self.sample, predictions.sample, return_indices=True)
        return mine.size == self.sample.size and np.allclose(
            self.score[mine], predictions.score[theirs], rtol=0, atol=SAME_SCORE
        )

    def save(self, run: Path) -> None:
        """Write it beside the predictions of a run directory."""
        with files.replacing(RunFolder(path=run).occlusion) as partial:
            np.savez(partial, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, run: Path) -> "Occlusion | None":
        """Return what `occlude` left in a run directory, or None if it was not called.

        Raises
        ------
        RunError
            If the file is damaged.
        """
        path = RunFolder(path=run).occlusion
        if not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as file:
                found = cls(**{field.name: file[field.name] for field in fields(cls)})
            shapes = found.sample.shape, found.score.shape, found.change.shape
            if shapes[0] != shapes[1] or len(shapes[0]) != 1 or len(shapes[2]) != 3 or shapes[2][0] != 2:
                raise ValueError(f"shapes {shapes}")
            return found
        except (KeyError, ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
            raise RunError(
                f"{path}: not an occlusion map ({error}); `evaluate occlude {run}` makes a new one"
            ) from None
