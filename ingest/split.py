"""Which sample goes to which split, and in which order: decided before any image is read."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ingest.columns import Columns
from ingest.groups import divide_groups
from store.arrays import Int64Array, UInt8Array
from store.compiled.permutation import make_keys, permutation
from store.datasets import SPLITS
from store.errors import ConfigError, SourceError

CHALLENGE = (160_000, 25_600, 25_600)  # samples per class, in file order, as in the challenge's own notebook
BETWEEN_CLASSES = 1000  # keeps the keys that shuffle a split apart from those that shuffle a class


@dataclass(frozen=True, kw_only=True)
class Split:
    """How samples are divided into training, validation and test.

    Attributes
    ----------
    scheme
        The text that describes the split in a store.
    fractions
        Fractions of training, validation and test; each class is divided in the same proportions, at random.
    in_order
        Whether to take samples in file order, in the numbers of the challenge, instead of at random by `fractions`.
    scaled
        Whether to reduce the numbers of the challenge in proportion if a class has fewer samples.
    group
        Name of a variable; all samples with the same value of it go to the same split. None if samples are divided one
        by one.
    by_source
        Split of all samples of each source, 0 train, 1 validation, 2 test, by number of the source; empty if each
        source is divided.
    """

    scheme: str
    fractions: tuple[float, float, float] = (0.0, 0.0, 0.0)
    in_order: bool = False
    scaled: bool = False
    group: str | None = None
    by_source: tuple[int, ...] = ()

    @classmethod
    def parse(cls, scheme: str, group: str | None = None) -> "Split":
        """Return the split for ``challenge``, ``challenge-scaled`` or three fractions such as ``0.7,0.1,0.2``.

        Raises
        ------
        ConfigError
            If `scheme` is none of these, the fractions are not positive or do not add up to 1, or groups are to be kept
            together in the split of the challenge.
        """
        if scheme in ("challenge", "challenge-scaled"):
            if group is not None:
                raise ConfigError(
                    f"split={scheme} takes samples in file order and cannot keep groups of {group} together; "
                    "give fractions such as --split 0.7,0.1,0.2"
                )
            return cls(scheme=scheme, in_order=True, scaled=scheme == "challenge-scaled")
        try:
            train, validation, test = (float(part) for part in scheme.split(","))
        except ValueError:
            raise ConfigError(
                f"split={scheme!r} is neither 'challenge', 'challenge-scaled' nor three fractions such as 0.7,0.1,0.2"
            ) from None
        if not (min(train, validation, test) > 0 and abs(train + validation + test - 1) <= 1e-9):
            raise ConfigError(f"split={scheme!r}: the three fractions must be positive and add up to 1")
        text = ",".join(part.strip() for part in scheme.split(","))
        described = text if group is None else f"{text} by {group}"
        return cls(scheme=described, fractions=(train, validation, test), group=group)

    @classmethod
    def of_sources(cls, train: int, validation: int, test: int) -> "Split":
        """Return the split of sources that are given by split: numbers of sources for training, validation and test."""
        counts = (train, validation, test)
        named = ", ".join(f"{count} {name}" for count, name in zip(counts, SPLITS, strict=True))
        by_source = np.repeat(range(len(SPLITS)), counts).tolist()
        return cls(scheme=f"separate sources ({named})", by_source=tuple(by_source))

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
    columns: Columns, split: Split, seed: int, classes: Sequence[str]
) -> tuple[Int64Array, tuple[int, int, int]]:
    """Decide the order of a store: one split after another, each with its samples of all classes shuffled.

    Parameters
    ----------
    columns
        Columns of the rows of all sources, (n,), one source after another: ``label`` uint8; for a split by source,
        ``source_file``; for a split that keeps groups together, the int64 column of the groups.
    split
        How to divide the rows.
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
        If a class is missing or too small, or a split has no sample of a class.
    """
    label = columns["label"]
    if split.by_source:
        parts = _gather(np.array(split.by_source)[columns["source_file"]], label, split, classes)
    elif split.group is not None:
        assigned = divide_groups(columns[split.group], label, split.fractions, seed, len(classes))
        parts = _gather(assigned, label, split, classes)
    else:
        parts = _divide_classes(label, split, seed, classes)
    shuffled = [rows[permutation(rows.size, make_keys(seed, BETWEEN_CLASSES + k))] for k, rows in enumerate(parts)]
    train, validation, test = (rows.size for rows in shuffled)
    return np.concatenate(shuffled), (train, validation, test)


def _divide_classes(label: UInt8Array, split: Split, seed: int, classes: Sequence[str]) -> list[Int64Array]:
    """Return the rows of each split, each class divided alike."""
    parts: list[list[Int64Array]] = [[], [], []]
    for code, name in enumerate(classes):
        rows = np.flatnonzero(label == code)
        sizes = split.sizes(rows.size, name)
        if not split.in_order:
            rows = rows[permutation(rows.size, make_keys(seed, code))]
        for part, chosen in zip(parts, np.split(rows, np.cumsum(sizes))[:3], strict=True):
            part.append(chosen)
    return [np.concatenate(part) for part in parts]


def _gather(
    assigned: UInt8Array | Int64Array, label: UInt8Array, split: Split, classes: Sequence[str]
) -> list[Int64Array]:
    """Return the rows of each split, which `assigned` gives for every row, and check that each has all classes."""
    parts = [np.flatnonzero(assigned == number) for number in range(len(SPLITS))]
    for part, split_name in zip(parts, SPLITS, strict=True):
        counts = np.bincount(label[part], minlength=len(classes))
        missing = int(np.argmin(counts))
        if not counts[missing]:
            remedy = (
                f"give files of it with --{split_name}"
                if split.by_source
                else f"its groups of {split.group} are too few or too large: give more samples, or other fractions"
            )
            raise SourceError(
                f"split={split.scheme}: {split_name} gets no sample of class {classes[missing]}; {remedy}"
            )
    return parts
