"""The history of a run: one line an epoch in ``history.jsonl``, and the same figures as TensorBoard events."""

from dataclasses import asdict

from store.errors import StateError
from store.run_folder import EpochRecord, RunFolder


class HistoryWriter:
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

    def __init__(self, folder: RunFolder, epochs: int = 0) -> None:
        from tensorboardX import SummaryWriter

        self._folder = folder
        self._records = folder.read_history()[:epochs] if epochs else []
        if len(self._records) != epochs:
            raise StateError(
                f"{folder.history}: holds {len(self._records)} epochs, the checkpoint is of epoch {epochs}"
            )
        self._board = SummaryWriter(str(folder.tensorboard), purge_step=epochs + 1)

    def write(self, epoch: EpochRecord) -> None:
        """Add an epoch."""
        self._records.append(epoch)
        self._folder.write_history(self._records)
        for name, value in asdict(epoch).items():
            if name != "epoch" and value is not None:
                self._board.add_scalar(name.replace("_", "/", 1), value, epoch.epoch)
        self._board.flush()

    def close(self) -> None:
        """Close the event file."""
        self._board.close()
