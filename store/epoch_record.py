"""The numbers recorded for one epoch of a training: a line of ``history.jsonl``."""

import json
import math
from dataclasses import asdict, dataclass, fields
from typing import Any

OPTIONAL = ("seconds", "samples_per_second", "waiting_share", "shuffle")  # keys that a line may lack


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """The numbers recorded for one epoch.

    Attributes
    ----------
    epoch
        Counted from 1.
    train_loss, train_accuracy, train_auc
        Computed from the outputs during training, that is with dropout and with weights that change from batch to
        batch. For more than two classes, the AUC is the mean over the classes of the AUCs of each against all others
        together. It is None if a class has no samples.
    validation_loss, validation_accuracy, validation_auc
        Computed on the whole validation split after the epoch.
    learning_rate
        Learning rate at the end of the epoch.
    seconds
        Duration of training and validation; None if it was not recorded.
    samples_per_second
        Training samples per second of training time, without the validation; None if it was not measured.
    waiting_share
        Fraction of the training time that was spent waiting for data; None if it was not measured.
    shuffle
        Order of the training samples, see `store.plans.plan.BatchPlan`; None if it was not recorded.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    train_auc: float | None
    validation_loss: float
    validation_accuracy: float
    validation_auc: float | None
    learning_rate: float
    seconds: float | None
    samples_per_second: float | None = None
    waiting_share: float | None = None
    shuffle: str | None = None

    def to_json(self) -> str:
        """Return the record as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> "EpochRecord":
        """Return the record in a line of JSON; unknown keys are ignored.

        Raises
        ------
        ValueError
            If the line is not a JSON object, lacks a key, or has a value that is not a finite number (a text, for
            `shuffle`).
        """
        try:
            values = json.loads(line)
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
        if not isinstance(values, dict):
            raise ValueError(f"must be a JSON object, got {type(values).__name__}")
        columns = fields(cls)
        missing = [column.name for column in columns if column.name not in (*OPTIONAL, *values)]
        if missing:
            raise ValueError(f"lacks {', '.join(missing)}")
        record: dict[str, Any] = {column.name: values.get(column.name) for column in columns}
        may_be_null = {column.name for column in columns if column.type == float | None}
        shuffle = record["shuffle"]
        if not (shuffle is None or isinstance(shuffle, str)):
            raise ValueError(f"shuffle={shuffle!r} is not a text")
        for name, value in record.items():
            if name != "shuffle" and not _is_finite(value) and not (value is None and name in may_be_null):
                raise ValueError(f"{name}={value!r} is not a finite number")
        return cls(**record)


def _is_finite(value: object) -> bool:
    """Return whether a value is a number that a float can hold."""
    try:
        return isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:
        return False
