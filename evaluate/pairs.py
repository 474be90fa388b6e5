"""The samples that two classifiers both scored: from run directories, files of predictions or tables of scores."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluate import class_metrics
from evaluate.results import StoreIdentity
from evaluate.runs import list_classes, load_run
from evaluate.score_tables import PREFIX, find_scores, read_table
from evaluate.scored import checked_probability
from store.arrays import Float64Array, Int64Array, UInt8Array
from store.errors import RunError
from store.predictions import Predictions, as_field


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two classifiers that are compared.

    Attributes
    ----------
    path
        Where its scores come from.
    predictions
        Its scores. For a table of scores, `sample` holds row numbers.
    labelled
        Whether the labels are true classes. They are zeros if a table has no labels.
    store
        The store that the samples belong to; None if a file does not say.
    classes
        Names of the classes; None if a file does not say.
    """

    path: Path
    predictions: Predictions
    labelled: bool = True
    store: StoreIdentity | None = None
    classes: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """The samples that both classifiers scored and whose weight is positive.

    Attributes
    ----------
    sample
        int64 (n,), position in the store, or row of a file.
    label
        uint8 (n,), true classes; None if one of the two has no labels.
    first, second
        Scores of the first and of the second classifier: float64 (n,), or for more than two classes (n, class).
    weight
        float64 (n,), weight of each sample.
    """

    sample: Int64Array
    label: UInt8Array | None
    first: Float64Array
    second: Float64Array
    weight: Float64Array

    def largest(self, difference: Float64Array, count: int) -> Iterator[tuple[int, int, int | None]]:
        """Yield row, sample and label of the samples with the largest differences, (n,), in descending order."""
        for row in np.argsort(-difference, kind="stable")[:count].tolist():
            yield row, int(self.sample[row]), None if self.label is None else int(self.label[row])


def load_side(path: Path, split: str) -> Side:
    """Return the predictions of a run directory for a split, of a file of predictions, or of a table of scores.

    Raises
    ------
    RunError
        If there are no usable predictions; the message names the file.
    ConfigError
        If pyarrow is needed and not installed.
    """
    if path.is_dir():
        run = load_run(path, path.resolve().name)
        return Side(path=path, predictions=run.predictions[split], store=run.store, classes=tuple(run.spec.classes))
    if path.suffix == ".npz" or not path.is_file():
        side = Side(path=path, predictions=Predictions.load(path))
    else:
        side = _load_table(path)
    try:
        check = checked_probability if side.predictions.class_count == 2 else class_metrics.checked
        check(*side.predictions.scored)
    except RunError as error:
        raise RunError(f"{path}: {error}") from None
    if np.unique(side.predictions.sample).size < side.predictions.sample.size:
        raise RunError(f"{path}: samples must be distinct")
    return side


def _load_table(path: Path) -> Side:
    columns = read_table(path)
    scores = find_scores(list(columns)) or ["score"]
    for name in ("row", scores[0]):
        if name not in columns:
            raise RunError(f"{path}: neither predictions (.npz) nor a table of scores: it has no column {name!r}")
    if 1 <= len(scores) - (scores[0] == "score") <= 2:
        raise RunError(
            f"{path}: it has the columns {', '.join(scores)}; a table has the column 'score' for two classes, "
            f"and one column '{PREFIX}CLASS' per class for three or more"
        )
    try:
        score = [as_field("score", columns[name]) for name in scores]
        predictions = Predictions(
            sample=as_field("sample", columns["row"]),
            label=as_field("label", columns.get("label", np.zeros(columns["row"].size))),
            score=score[0] if len(score) == 1 else np.column_stack(score),
        )
    except ValueError as error:
        raise RunError(f"{path}: {error}") from None
    classes = tuple(name.removeprefix(PREFIX) for name in scores) if len(scores) > 2 else None
    return Side(path=path, predictions=predictions, labelled="label" in columns, classes=classes)


def check_sides(first: Side, second: Side) -> None:
    """Raise RunError if two classifiers have different classes or belong to different stores."""
    counts = first.predictions.class_count, second.predictions.class_count
    names = first.classes, second.classes
    if counts[0] != counts[1] or (counts[0] > 2 and None not in names and names[0] != names[1]):
        described = [
            f"{side.path} has {list_classes(side.classes) if side.classes else f'{count} classes'}"
            for side, count in zip((first, second), counts, strict=True)
        ]
        raise RunError(f"cannot compare classifiers of different classes: {', '.join(described)}")
    if first.store and second.store and first.store.digest != second.store.digest:
        raise RunError(
            f"{first.path} and {second.path} belong to different stores ({first.store.path} and {second.store.path})"
        )


def pair_samples(first: Side, second: Side) -> Pairs:
    """Return the samples that both sides have, after checking that they agree on labels and weights."""
    names = f"{first.path} and {second.path}"
    left, right = first.predictions, second.predictions
    _, left_rows, right_rows = np.intersect1d(left.sample, right.sample, assume_unique=True, return_indices=True)
    weight = _weights(left, left_rows)
    if not np.array_equal(weight, _weights(right, right_rows)):
        raise RunError(f"{names} give the same samples different weights")
    used = weight > 0
    left_rows, right_rows = left_rows[used], right_rows[used]
    sample, label = left.sample[left_rows], left.label[left_rows]
    if sample.size < 2:
        raise RunError(f"{names} have {sample.size} samples in common; at least 2 are needed")
    labelled = first.labelled and second.labelled
    differing = sample[label != right.label[right_rows]]
    if labelled and differing.size:
        raise RunError(f"{names} give sample {differing[0]} different labels ({differing.size} in all)")
    return Pairs(
        sample=sample,
        label=label if labelled else None,
        first=left.score[left_rows],
        second=right.score[right_rows],
        weight=weight[used],
    )


def _weights(predictions: Predictions, rows: Int64Array) -> Float64Array:
    return np.ones(rows.size) if predictions.weight is None else predictions.weight[rows]
