"""One file of predictions, written by every trainer and read by the evaluation."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from store import files
from store.errors import RunError

FIELDS = {"sample": np.int64, "label": np.uint8, "score": np.float64, "weight": np.float64}


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Scores of one split.

    Attributes
    ----------
    sample
        int64 (n,), position of each sample in the store.
    label
        uint8 (n,), true class, 0 or 1.
    score
        float64 (n,), the model's probability of class 1, in [0, 1].
    weight
        float64 (n,), how much each sample counts in metrics, not negative; None if all count alike. No trainer writes
        weights; a file may bring them.
    """

    sample: npt.NDArray[np.int64]
    label: npt.NDArray[np.uint8]
    score: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        lengths = {name: column.shape for name, column in self._columns().items()}
        if any(shape != self.sample.shape or len(shape) != 1 for shape in lengths.values()):
            raise RunError(f"predictions must be columns of one length, got {lengths}")

    @property
    def scored(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64], npt.NDArray[np.float64] | None]:
        """Labels, scores and weights: what metrics are made of."""
        return self.label, self.score, self.weight

    def _columns(self) -> dict[str, npt.NDArray[Any]]:
        columns = {name: getattr(self, name) for name in FIELDS}
        return {name: column for name, column in columns.items() if column is not None}

    def save(self, path: Path) -> None:
        """Write the columns, in order of `sample`, as an uncompressed ``.npz``."""
        order = np.argsort(self.sample, kind="stable")
        columns = {name: column.astype(FIELDS[name])[order] for name, column in self._columns().items()}
        with files.replacing(path) as partial:
            np.savez(partial, allow_pickle=False, **columns)

    @classmethod
    def load(cls, path: Path) -> "Predictions":
        """Read a file that `save` wrote.

        Raises
        ------
        RunError
            If the file is missing, is not such a file, or lacks a column.
        """
        try:
            with path.open("rb") as stream:
                if not zipfile.is_zipfile(stream):
                    raise ValueError("no .npz")
                stream.seek(0)
                with np.load(stream, allow_pickle=False) as file:
                    names = [name for name in FIELDS if name in file or name != "weight"]
                    return cls(**{name: as_field(name, file[name]) for name in names})
        except FileNotFoundError:
            raise RunError(f"{path}: no such predictions; has the training run ended?") from None
        except (KeyError, ValueError, TypeError, EOFError, OSError, zipfile.BadZipFile) as error:
            raise RunError(f"{path}: not a predictions file ({error})") from None


def as_field(name: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a column of predictions in its type.

    Raises
    ------
    ValueError
        If it does not hold numbers, or a label or sample has no place in its type.
    """
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{name} has dtype {values.dtype}, expected numbers")
    with np.errstate(invalid="ignore"):
        column = values.astype(FIELDS[name])
    if column.dtype.kind in "iu" and not np.array_equal(column, values):
        row = int(np.argmax(np.ravel(column != values)))
        raise ValueError(f"{name}[{row}] = {np.ravel(values)[row]} is no {column.dtype}")
    return column
