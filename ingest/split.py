"""Which sample goes to which split, and in which order: decided before any image is read."""

from dataclasses import dataclass

import numpy as np

from store.arrays import Int64Array, UInt8Array
from store.compiled.permutation import make_keys, permutation
from store.datasets import SPLITS
from store.errors import ConfigError, SourceError

CHALLENGE = (160_000, 25_600, 25_600)  # samples per class, in file order, as in the challenge's own notebook
BETWEEN_CLASSES = 1000  # keeps the keys that shuffle a split apart from those that shuffle a class


@dataclass(frozen=True, kw_only=True)
class Split:
    """How the samples of each class are divided.

    Attributes
    ----------
    scheme
        The text that describes the split on the command line.
    fractions
        Fractions of training, validation and test; each class is divided in the same proportions, at random.
    in_order
        Whether to take samples in file order, in the numbers of the challenge, instead of at random by `fractions`.
    scaled
        Whether to reduce the numbers of the challenge in proportion if a class has fewer samples.
    """

    scheme: str
    fractions: tuple[float, float, float] = (0.0, 0.0, 0.0)
    in_order: bool = False
    scaled: bool = False

    @classmethod
    def parse(cls, scheme: str) -> "Split":
        """Return the split for ``challenge``, ``challenge-scaled`` or three fractions such as ``0.7,0.1,0.2``.

        Raises
        ------
        ConfigError
            If `scheme` is none of these, or the fractions are not positive or do not add up to 1.
        """
        if scheme in ("challenge", "challenge-scaled"):
            return cls(scheme=scheme, in_order=True, scaled=scheme == "challenge-scaled")
        try:
            train, validation, test = (float(part) for part in scheme.split(","))
        except ValueError:
            raise ConfigError(
                f"split={scheme!r} is neither 'challenge', 'challenge-scaled' nor three fractions such as 0.7,0.1,0.2"
            ) from None
        if not (min(train, validation, test) > 0 and abs(train + validation + test - 1) <= 1e-9):
            raise ConfigError(f"split={scheme!r}: the three fractions must be positive and add up to 1")
        return cls(scheme=",".join(part.strip() for part in scheme.split(",")), fractions=(train, validation, test))

    def sizes(self, samples: int, class_name: str) -> tuple[int, int, int]:
        """Return how many samples of a class go to each split.

        Raises
        ------
        SourceError
            If the class has too few samples.
        """
        if self.in_order:
            scale = min(1.0, samples / sum(CHALLENGE)) if self.scaled else 1.0
            sizes = (int(CHALLENGE[0] * scale), int(CHALLENGE[1] * scale), int(CHALLENGE[2] * scale))
        else:
            cuts = [round(samples * fraction) for fraction in np.cumsum(self.fractions)]
            sizes = (cuts[0], cuts[1] - cuts[0], samples - cuts[1])
        if sum(sizes) > samples or min(sizes) < 1:
            wanted = ", ".join(f"{size} for {name}" for name, size in zip(SPLITS, sizes, strict=True))
            remedy = (
                "--split challenge-scaled lowers these numbers in proportion"
                if self.in_order and not self.scaled
                else "each needs at least 1: give more samples, or other fractions with --split"
            )
            raise SourceError(
                f"{samples} samples of class {class_name} are too few for split={self.scheme} ({wanted}); {remedy}"
            )
        return sizes


def arrange(
    label: UInt8Array, split: Split, seed: int, classes: tuple[str, ...]
) -> tuple[Int64Array, tuple[int, int, int]]:
    """Decide the order of a store: one split after another, each stratified by class and shuffled.

    Parameters
    ----------
    label
        uint8 (n,), class of every row, the rows of all sources one after another.
    split
        How to divide the rows of each class.
    seed
        Seed of the permutations.
    classes
        Names of the classes, for messages.

    Returns
    -------
    order : int64 (m,)
        Row at each position of the store; m < n if the split leaves rows out.
    sizes : tuple of int
        Number of samples in train, validation and test.

    Raises
    ------
    SourceError
        If a class is missing or too small.
    """
    parts: list[list[Int64Array]] = [[], [], []]
    for code, name in enumerate(classes):
        rows = np.flatnonzero(label == code)
        sizes = split.sizes(rows.size, name)
        if not split.in_order:
            rows = rows[permutation(rows.size, make_keys(seed, code))]
        for part, chosen in zip(parts, np.split(rows, np.cumsum(sizes))[:3], strict=True):
            part.append(chosen)
    shuffled = []
    for number, part in enumerate(parts):
        rows = np.concatenate(part)
        shuffled.append(rows[permutation(rows.size, make_keys(seed, BETWEEN_CLASSES + number))])
    train, validation, test = (rows.size for rows in shuffled)
    return np.concatenate(shuffled), (train, validation, test)
