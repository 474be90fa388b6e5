"""Which sample goes to which split, and in what order: decided before any image is read."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from store.compiled.permutation import make_keys, permutation
from store.datasets import SPLITS
from store.errors import ConfigError, SourceError

CHALLENGE = (160_000, 25_600, 25_600)  # samples a class, in file order, as the challenge's own notebook splits them
BETWEEN_CLASSES = 1000  # tells the keys of the order inside a split from those of the classes


@dataclass(frozen=True, kw_only=True)
class Split:
    """How the samples of each class are divided.

    Attributes
    ----------
    scheme
        As given on the command line.
    fractions
        Of train, validation and test; each class is divided alike, at random.
    in_order
        Take samples in file order, and the challenge's numbers instead of fractions.
    scaled
        Lower the challenge's numbers in proportion if there are fewer samples.
    """

    scheme: str
    fractions: tuple[float, float, float] = (0.0, 0.0, 0.0)
    in_order: bool = False
    scaled: bool = False

    @classmethod
    def parse(cls, scheme: str) -> "Split":
        """Read ``challenge``, ``challenge-scaled`` or three fractions such as ``0.7,0.1,0.2``.

        Raises
        ------
        ConfigError
            If it is neither, or the fractions are not positive or do not add up to 1.
        """
        if scheme in ("challenge", "challenge-scaled"):
            return cls(scheme=scheme, in_order=True, scaled=scheme == "challenge-scaled")
        try:
            train, validation, test = (float(part) for part in scheme.split(","))
        except ValueError:
            raise ConfigError(f"split={scheme!r} is neither 'challenge' nor fractions such as 0.7,0.1,0.2") from None
        if not (min(train, validation, test) > 0 and abs(train + validation + test - 1) <= 1e-9):
            raise ConfigError(f"split={scheme!r}: the three fractions must be positive and add up to 1")
        return cls(scheme=scheme, fractions=(train, validation, test))

    def sizes(self, samples: int, class_name: str) -> tuple[int, int, int]:
        """Return how many of a class's samples go to each split.

        Raises
        ------
        SourceError
            If the class is too small for it.
        """
        if self.in_order:
            scale = min(1.0, samples / sum(CHALLENGE)) if self.scaled else 1.0
            sizes = (int(CHALLENGE[0] * scale), int(CHALLENGE[1] * scale), int(CHALLENGE[2] * scale))
        else:
            cuts = [round(samples * share) for share in np.cumsum(self.fractions)]
            sizes = (cuts[0], cuts[1] - cuts[0], samples - cuts[1])
        if sum(sizes) > samples or min(sizes) < 1:
            wanted = ", ".join(f"{size} for {name}" for name, size in zip(SPLITS, sizes, strict=True))
            raise SourceError(f"{samples} samples of class {class_name} are too few for split={self.scheme} ({wanted})")
        return sizes


def arrange(
    label: npt.NDArray[np.uint8], split: Split, seed: int, classes: tuple[str, ...]
) -> tuple[npt.NDArray[np.int64], tuple[int, int, int]]:
    """Decide the order of a store: split after split, stratified by class, shuffled inside each split.

    Parameters
    ----------
    label
        uint8 (n,), class of every row of all sources together.
    split, seed
        How to divide, and what chooses the permutations.
    classes
        Names, for messages.

    Returns
    -------
    order : int64 (m,)
        Row at each position of the store; m < n if the split leaves rows out.
    sizes : tuple of int
        Samples of each split.

    Raises
    ------
    SourceError
        If a class is missing or too small.
    """
    parts: list[list[npt.NDArray[np.int64]]] = [[], [], []]
    for code, name in enumerate(classes):
        rows = np.flatnonzero(label == code)
        sizes = split.sizes(rows.size, name)
        if not split.in_order:
            rows = rows[permutation(rows.size, make_keys(seed, code))]
        for part, chosen in zip(parts, np.split(rows, np.cumsum(sizes))[:3], strict=True):
            part.append(chosen)
    joined = [np.concatenate(part) for part in parts]
    mixed = [rows[permutation(rows.size, make_keys(seed, BETWEEN_CLASSES + at))] for at, rows in enumerate(joined)]
    train, validation, test = (rows.size for rows in mixed)
    return np.concatenate(mixed), (train, validation, test)
