"""Baselines: classifiers on a few features of each sample, to which networks are compared."""

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from store import files
from store.arrays import Float32Array, Float64Array
from store.descriptions import LARGEST_CLASSES
from store.errors import RunError
from store.npz import read_npz
from train.baselines.shower_shapes import SMALLEST
from train.baselines.table import IMAGE_FEATURES, IMAGE_MOMENTS, SHOWER_SHAPES, VARIABLES
from train.metrics import probability


@dataclass(frozen=True, kw_only=True)
class Baseline(ABC):
    """A trained classifier that consists of plain arrays, so that no code is executed when its file is read.

    Attributes
    ----------
    features
        Kind of features that it takes: `SHOWER_SHAPES` or `IMAGE_MOMENTS`, which are computed from images, or
        `VARIABLES`. Files of earlier versions do not name it; their classifiers take shower shapes or variables.
    """

    file_name: ClassVar[str]
    description: ClassVar[str]
    features: str = SHOWER_SHAPES

    def __post_init__(self) -> None:
        if self.features not in (VARIABLES, *IMAGE_FEATURES):
            raise ValueError(f"features must be one of {VARIABLES}, {', '.join(IMAGE_FEATURES)}")
        self.check()

    @abstractmethod
    def check(self) -> None:
        """Raise ValueError if the arrays do not fit each other; the message names the array."""

    @abstractmethod
    def takes(self, features: int) -> bool:
        """Return whether the classifier takes samples of that many features."""

    @property
    @abstractmethod
    def parameter_count(self) -> int:
        """Number of values that were fitted to the training split."""

    @abstractmethod
    def logit(self, feature: Float64Array) -> Float64Array:
        """Return the logits for features (n, feature) in the layout of `FeatureTable`.

        They are float64 (n,), the logits of class 1, or float64 (n, K), the logits of each of K > 2 classes.
        """

    def score(self, image: Float32Array, variables: Float32Array | None = None) -> Float64Array:
        """Return the probability (batch,) of class 1, or the probabilities (batch, K) of K > 2 classes.

        Parameters
        ----------
        image
            float32 (batch, ieta, iphi, channel), with values as in the source files. If there are no variables,
            features are computed from these images.
        variables
            float32 (batch, variable), for a classifier that was trained on variables.

        Raises
        ------
        RunError
            If the classifier was trained on another kind or number of features.
        """
        feature = self._image_features(image) if variables is None else variables.astype(np.float64)
        if not self.takes(feature.shape[1]) or (variables is not None and self.features == IMAGE_MOMENTS):
            raise RunError(f"{self.file_name}: was not trained on samples of {feature.shape[1]} features")
        return probability(self.logit(feature))

    def _image_features(self, image: Float32Array) -> Float64Array:
        if self.features == VARIABLES:
            raise RunError(f"{self.file_name}: was trained on variables, which are missing")
        ieta, iphi, channels = image.shape[1:]
        if self.features == SHOWER_SHAPES and not (ieta >= SMALLEST[0] and iphi >= SMALLEST[1] and channels == 2):
            raise RunError(
                f"{self.file_name}: needs images of energy and time with at least {SMALLEST[0]} x {SMALLEST[1]} cells, "
                f"got {ieta} x {iphi} with {channels} channels"
            )
        return IMAGE_FEATURES[self.features](image)

    def save(self, folder: Path) -> None:
        """Write the classifier to its file in a run directory."""
        with files.replacing(folder / self.file_name) as partial:
            np.savez(partial, **dataclasses.asdict(self))

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read the classifier of a run directory.

        Raises
        ------
        RunError
            If its file is missing, or is not the file of such a classifier.
        """
        path = Path(folder) / cls.file_name
        names = [field.name for field in dataclasses.fields(cls) if field.name != "features"]
        try:
            arrays = read_npz(path, names, optional=("features",))
            features = str(arrays.pop("features", SHOWER_SHAPES))
            return cls(**arrays, features=features)
        except FileNotFoundError:
            raise RunError(f"{path}: no such file; has the training run ended?") from None
        except ValueError as error:
            raise RunError(f"{path}: not {cls.description} ({error})") from None


def check_array(name: str, values: npt.NDArray[Any], kind: str, shape: tuple[int, ...]) -> None:
    """Raise ValueError if an array is not of a kind (``i`` or ``f``) and shape, or has a value that is not finite."""
    kinds = {"i": "iu", "f": "f"}[kind]
    if values.dtype.kind not in kinds or values.shape != shape or not np.isfinite(values).all():
        expected = "whole numbers" if kind == "i" else "finite numbers"
        raise ValueError(f"{name} must be {expected} of shape {shape}, got {values.dtype} of shape {values.shape}")


def check_outputs(name: str, values: npt.NDArray[Any]) -> None:
    """Raise ValueError if an array is neither one finite number, for two classes, nor one for each of more classes."""
    check_array(name, values, "f", values.shape[:1])
    if values.ndim and not 2 < len(values) <= LARGEST_CLASSES:
        raise ValueError(f"{name} must be one number, or one for each of 3 to {LARGEST_CLASSES} classes")
