"""The file of predictions for a split, which every trainer writes and the evaluation reads."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from store import files
from store.arrays import Float64Array, Int64Array, UInt8Array
from store.errors import RunError
from store.npz import read_npz

FIELDS = {"sample": np.int64, "label": np.uint8, "score": np.float64, "weight": np.float64}
SUM_TOLERANCE = 1e-3  # how far from 1 the probabilities of a sample may add up; those of float16 are off by this much


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Scores of the samples of a split.

    Attributes
    ----------
    sample
        int64 (n,), position of each sample in the store.
    label
        uint8 (n,), true class of each sample.
    score
        Probabilities according to the model, in [0, 1]. For two classes float64 (n,), the probability of class 1; for
        K > 2 classes float64 (n, K), one column per class in the order of the data set, which adds up to 1 in each row.
    weight
        float64 (n,), weight of each sample in metrics, not negative; None if all samples have the same weight. Trainers
        write the weights of the data set, if it has any and the training uses them; others may be added to a file.

    Raises
    ------
    RunError
        If the columns do not have the same length, or with more than two classes, the scores of a sample are not
        probabilities that add up to 1, or a label is not the number of a column.

    Examples
    --------
    >>> sample, label = np.arange(2), np.array([0, 1], np.uint8)
    >>> cs.Predictions(sample=sample, label=label, score=np.array([0.2, 0.9])).save(Path("test.npz"))
    >>> cs.Predictions.load(Path("test.npz")).score
    array([0.2, 0.9])
    """

    sample: Int64Array
    label: UInt8Array
    score: Float64Array
    weight: Float64Array | None = None

    def __post_init__(self) -> None:
        shapes = {name: column.shape for name, column in self._columns().items()}
        lengths = {**shapes, "score": shapes["score"][:1]}
        if len(shapes["score"]) > 2 or any(shape != self.sample.shape or len(shape) != 1 for shape in lengths.values()):
            raise RunError(f"predictions must be columns of the same length, got {shapes}")
        if self.score.ndim == 2:
            self._check_classes()

    def _check_classes(self) -> None:
        """Raise RunError unless the scores are probabilities of more than two classes, which the labels number."""
        classes = self.score.shape[1]
        if classes < 3:
            raise RunError(f"score has shape {self.score.shape}; with two classes it must be (n,), with K > 2 (n, K)")
        with np.errstate(invalid="ignore"):
            total, lowest = self.score.sum(1), self.score.min(1)
            bad = ~((lowest >= 0) & (np.abs(total - 1) <= SUM_TOLERANCE))  # NaN is bad too
        if bad.any():
            row = int(np.argmax(bad))
            raise RunError(
                f"score[{row}] adds up to {total[row]:g}, and its lowest value is {lowest[row]:g}; the probabilities "
                f"of a sample must be at least 0 and add up to 1 within {SUM_TOLERANCE}"
            )
        if (self.label >= classes).any():
            row = int(np.argmax(self.label >= classes))
            raise RunError(f"label[{row}] = {self.label[row]}, but score has the columns of classes 0 to {classes - 1}")

    @property
    def class_count(self) -> int:
        """Number of classes: 2, or that of the columns of `score`."""
        return 2 if self.score.ndim == 1 else self.score.shape[1]

    @property
    def scored(self) -> tuple[UInt8Array, Float64Array, Float64Array | None]:
        """Labels, scores and weights, the arguments of metrics."""
        return self.label, self.score, self.weight

    def _columns(self) -> dict[str, npt.NDArray[Any]]:
        columns = {name: getattr(self, name) for name in FIELDS}
        return {name: column for name, column in columns.items() if column is not None}

    def save(self, path: Path) -> None:
        """Write the columns as an uncompressed ``.npz`` file, ordered by `sample`.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        order = np.argsort(self.sample, kind="stable")
        columns = {name: column.astype(FIELDS[name])[order] for name, column in self._columns().items()}
        with files.replacing(path) as partial:
            np.savez(partial, allow_pickle=False, **columns)

    @classmethod
    def load(cls, path: Path) -> "Predictions":
        """Read a file written by `save`.

        Raises
        ------
        RunError
            If the file is missing, has another format, or lacks a column; the message names the file.
        """
        try:
            columns = read_npz(path, ("sample", "label", "score"), optional=("weight",))
            return cls(**{name: as_field(name, values) for name, values in columns.items()})
        except FileNotFoundError:
            raise RunError(f"{path}: no such predictions; has the training run ended?") from None
        except ValueError as error:
            raise RunError(f"{path}: not a predictions file ({error})") from None


def as_field(name: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a column of predictions, converted to its type.

    Parameters
    ----------
    name
        A key of `FIELDS`.
    values
        Numbers of any type.

    Raises
    ------
    ValueError
        If `values` are not numbers, or a label or position is not an integer in the range of its type.
    """
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{name} has dtype {values.dtype}, expected numbers")
    with np.errstate(invalid="ignore"):
        column = values.astype(FIELDS[name])
    if column.dtype.kind in "iu" and not np.array_equal(column, values):
        row = int(np.argmax(np.ravel(column != values)))
        raise ValueError(f"{name}[{row}] = {np.ravel(values)[row]} cannot be stored as {column.dtype}")
    return column
