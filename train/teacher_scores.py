"""What teachers say about the training images, as one file of the run directory, and the targets made of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from store import files
from store.arrays import Float32Array, Float64Array, Int64Array, UInt8Array
from store.errors import RunError
from store.npz import read_npz
from train.config import TrainConfig
from train.weighting import select_samples

if TYPE_CHECKING:
    from store.opening import Store
    from train.backend import Backend

VERSION = 1
IDENTITY = "identity"


@dataclass(frozen=True, kw_only=True, eq=False)
class TeacherScores:
    """Mean probabilities of the teachers for the training samples.

    Attributes
    ----------
    sample
        int64 (n,), positions in the store.
    score
        float64 (n,), mean probability of class 1, or float64 (n, K), mean probabilities of K > 2 classes.
    store
        Content digest of the store.
    teachers
        The runs: their paths as the user gave them, and the digests of their files.
    """

    sample: Int64Array
    score: Float64Array
    store: str
    teachers: Sequence[dict[str, str]]

    def of_all_ranks(self, backend: "Backend") -> "TeacherScores":
        """Return those of all ranks, in the order of the store. Collective: every rank must call this."""
        sample, score = backend.all_gather(self.sample), backend.all_gather(self.score)
        order = np.argsort(sample, kind="stable")
        return replace(self, sample=sample[order], score=score[order])

    def targets(self, label: UInt8Array, share: float) -> Float32Array:
        """Return what the model is trained towards: ``(1 - share) * label + share * score``.

        Parameters
        ----------
        label
            uint8 (sample,), the class of every sample of the store.
        share
            Share of the teachers, from 0 to 1.

        Returns
        -------
        Float32Array
            float32 (sample,), for K > 2 classes float32 (sample, K), for every sample of the store; NaN where the
            teachers were not asked.
        """
        own = label[self.sample]
        truth = own.astype(np.float64) if self.score.ndim == 1 else np.eye(self.score.shape[1])[own]
        targets = np.full((len(label), *self.score.shape[1:]), np.nan, np.float32)
        targets[self.sample] = (1 - share) * truth + share * self.score
        return targets

    def save(self, path: Path) -> None:
        """Write the scores as an uncompressed ``.npz`` file.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        identity = {"version": VERSION, "store": self.store, "teachers": list(self.teachers)}
        with files.replacing(path) as partial:
            np.savez(
                partial,
                allow_pickle=False,
                sample=self.sample,
                score=self.score,
                **{IDENTITY: np.array(json.dumps(identity))},
            )

    @classmethod
    def load(cls, path: Path, config: TrainConfig, store: "Store") -> "TeacherScores":
        """Read the scores of the run that is resumed.

        Parameters
        ----------
        path
            The file.
        config, store
            Settings of the run, and its store.

        Raises
        ------
        RunError
            If the file is missing or damaged, or holds the scores of other teachers or samples.
        """
        try:
            arrays = read_npz(path, ("sample", "score", IDENTITY))
            identity = _parse_identity(str(arrays.pop(IDENTITY)))
            scores = cls(**arrays, store=identity["store"], teachers=identity["teachers"])
            scores._check(config, store)
        except FileNotFoundError:
            raise RunError(
                f"{path}: no such file, but the run has teachers; --overwrite starts it again from the teachers"
            ) from None
        except ValueError as error:
            raise RunError(f"{path}: not the scores of this run's teachers ({error})") from None
        return scores

    def _check(self, config: TrainConfig, store: "Store") -> None:
        """Raise ValueError unless these are scores of the configured teachers for the training samples of the store."""
        classes = len(store.spec.classes)
        shape = (self.sample.size,) if classes == 2 else (self.sample.size, classes)
        if self.store != store.digest:
            raise ValueError(f"of a store with the digest {self.store[:12]}, {store.path} has {store.digest[:12]}")
        if [teacher["run"] for teacher in self.teachers] != list(config.teach):
            raise ValueError(f"of the teachers {', '.join(teacher['run'] for teacher in self.teachers)}")
        if self.sample.dtype != np.int64 or not np.array_equal(self.sample, select_samples(config, store, "train")):
            raise ValueError("its samples are not the training samples of the run")
        if self.score.dtype != np.float64 or self.score.shape != shape:
            raise ValueError(
                f"score has type {self.score.dtype} and shape {self.score.shape}, expected float64 {shape}"
            )
        if not ((self.score >= 0) & (self.score <= 1)).all():
            raise ValueError("a score is not a probability")


def _parse_identity(text: str) -> dict[str, Any]:
    """Return the identity of teachers and store; raise ValueError if it is not that of this version."""
    identity = json.loads(text)
    try:
        version, store, teachers = (identity[name] for name in ("version", "store", "teachers"))
        runs = [teacher["run"] for teacher in teachers]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{IDENTITY}: {error!r}") from None
    if version != VERSION:
        raise ValueError(f"its version is {version!r}, expected {VERSION}")
    if not all(isinstance(value, str) for value in (store, *runs)):
        raise ValueError(f"{IDENTITY} names a run or a store by something else than text")
    return {"store": store, "teachers": teachers}
