"""The history of a run: one line an epoch in ``history.jsonl``, and the same figures as TensorBoard events."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from store.errors import StateError
from train.checkpoint import replacing


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """Figures of one epoch.

    Attributes
    ----------
    epoch
        Counted from 1.
    train_loss, train_accuracy, train_auc
        Over the outputs that training itself made, with dropout and while the weights changed.
    validation_loss, validation_accuracy, validation_auc
        Over the whole validation split after the epoch.
    learning_rate
        In this epoch.
    samples_per_second
        Training samples a second of training, validation left out.
    waiting_share
        Share of that time that training waited for data.
    seconds
        Of training and validation.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    train_auc: float | None
    validation_loss: float
    validation_accuracy: float
    validation_auc: float | None
    learning_rate: float
    samples_per_second: float
    waiting_share: float
    seconds: float


class Journal:
    """Writes the history of a run.

    Parameters
    ----------
    folder
        The run directory.
    epochs
        Epochs to keep of a history that is there already; later ones are dropped.

    Raises
    ------
    StateError
        If the history does not hold that many epochs.
    """

    def __init__(self, folder: Path, epochs: int = 0) -> None:
        from tensorboardX import SummaryWriter

        self._path = folder / "history.jsonl"
        self._lines = self._path.read_text().splitlines()[:epochs] if epochs else []
        if len(self._lines) != epochs:
            raise StateError(f"{self._path}: holds {len(self._lines)} epochs, the checkpoint is of epoch {epochs}")
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=epochs + 1)

    def write(self, epoch: Epoch) -> None:
        """Add an epoch."""
        values = asdict(epoch)
        self._lines.append(json.dumps(values))
        with replacing(self._path) as file:
            file.write("".join(f"{line}\n" for line in self._lines).encode())
        for name, value in values.items():
            if name != "epoch" and value is not None:
                self._board.add_scalar(name.replace("_", "/", 1), value, epoch.epoch)
        self._board.flush()

    def close(self) -> None:
        """Close the event file."""
        self._board.close()
