"""Occlusion maps: how much a score changes when a part of the image is hidden.

The score is that of two classes, or with more classes the probability of the true class.

After Zeiler & Fergus, "Visualizing and understanding convolutional networks", ECCV 2014. Hidden cells are set to
zero, the value of a cell without a hit.
"""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from store import files
from store.arrays import Float64Array, Int64Array
from store.errors import RunError
from store.npz import read_npz
from store.predictions import Predictions, as_field
from store.run_folder import RunFolder

SAME_SCORE = 1e-3
"""Largest difference between two scores that may come from the same model."""


@dataclass(frozen=True, kw_only=True)
class Occlusion:
    """Change of a score when a patch of the image is hidden, averaged over some test samples.

    Attributes
    ----------
    sample
        int64 (n,), positions in the store.
    score
        Scores of the complete images, float64 (n,), or for more than two classes (n, class).
    change
        float64 (class, y, x), mean absolute change of the score for each patch, by true class; y runs along ieta. NaN
        for a class without samples.
    """

    sample: Int64Array
    score: Float64Array
    change: Float64Array

    def belongs_to(self, predictions: Predictions) -> bool:
        """Return whether the map and these predictions come from the same model."""
        _, mine, theirs = np.intersect1d(self.sample, predictions.sample, return_indices=True)
        same_classes = self.score.shape[1:] == predictions.score.shape[1:]
        return (
            same_classes
            and mine.size == self.sample.size
            and np.allclose(self.score[mine], predictions.score[theirs], rtol=0, atol=SAME_SCORE)
        )

    def save(self, run: Path) -> None:
        """Write the map into a run directory."""
        with files.replacing(RunFolder(path=run).occlusion) as partial:
            np.savez(partial, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, run: Path) -> "Occlusion | None":
        """Read the map of a run directory; None if there is none.

        Raises
        ------
        RunError
            If the file is damaged.
        """
        path = RunFolder(path=run).occlusion
        if not path.exists():
            return None
        try:
            arrays = read_npz(path, [field.name for field in fields(cls)])
            columns = {name: as_field(name, arrays.pop(name)) for name in ("sample", "score")}
            occlusion = cls(**columns, **arrays)
            shapes = occlusion.sample.shape, occlusion.score.shape, occlusion.change.shape
            classes = shapes[1][1:] or (2,)
            if len(shapes[0]) != 1 or shapes[1][:1] != shapes[0] or len(shapes[2]) != 3 or shapes[2][:1] != classes:
                raise ValueError(f"shapes {shapes}")
            if occlusion.change.dtype.kind != "f" or np.isinf(occlusion.change).any():
                raise ValueError("change must be numbers")
            return occlusion
        except ValueError as error:
            raise RunError(
                f"{path}: not an occlusion map ({error}); `evaluate occlude {run}` makes a new one"
            ) from None
