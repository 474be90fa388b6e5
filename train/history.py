"""Writing the history of a run: one line per epoch in ``history.jsonl``, and the same figures as TensorBoard events."""

from dataclasses import asdict

from store.epoch_record import EpochRecord
from store.errors import StateError
from store.run_folder import RunFolder


class HistoryWriter:
    """Adds epochs to the history of a run.

    Parameters
    ----------
    folder
        The run directory.
    epochs
        Number of epochs to keep of an existing history; later ones are dropped.

    Attributes
    ----------
    records
        The epochs so far.

    Raises
    ------
    RunError
        If the history cannot be read.
    StateError
        If the history has fewer epochs.
    """

    def __init__(self, folder: RunFolder, epochs: int = 0) -> None:
        from tensorboardX import SummaryWriter

        self._folder = folder
        self.records = folder.read_history(epochs) if epochs else []
        if len(self.records) != epochs:
            raise StateError(
                f"{folder.history}: has {len(self.records)} epochs, but the checkpoint is of epoch {epochs}; "
                "restore the history, or start another --run"
            )
        self._board = SummaryWriter(str(folder.tensorboard), purge_step=epochs + 1)

    def write(self, record: EpochRecord) -> None:
        """Add an epoch."""
        self.records.append(record)
        self._folder.write_history(self.records)
        for name, value in asdict(record).items():
            if name != "epoch" and isinstance(value, int | float):
                self._board.add_scalar(name.replace("_", "/", 1), value, record.epoch)
        self._board.flush()

    def close(self) -> None:
        """Close the event file."""
        self._board.close()
