"""The file from which a training run resumes: the arrays of the backend and the state of everything around it."""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from store import files
from store.errors import StateError
from train.schedule import ScheduleState, StoppingState

CHECKPOINT_VERSION = 2
STATE = "state"
OUTPUTS = "outputs/"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The state of a training run, after an epoch or within one.

    Attributes
    ----------
    epoch
        Number of finished epochs.
    schedule, stopping
        State of the learning-rate schedule and of early stopping.
    stream
        State of the training stream, see `store.stream.BatchStream.state_dict`.
    arrays
        State of the backend by name, see `train.backend.Backend.state_dict`.
    outputs
        Within an epoch, the columns of `train.outputs.Outputs` for the batches so far; empty after an epoch.
    """

    epoch: int
    schedule: ScheduleState
    stopping: StoppingState
    stream: Mapping[str, Any]
    arrays: Mapping[str, npt.NDArray[Any]]
    outputs: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write the checkpoint as an uncompressed ``.npz``; an interrupted write leaves the previous file as it was."""
        state = {
            "version": CHECKPOINT_VERSION,
            "epoch": self.epoch,
            "schedule": asdict(self.schedule),
            "stopping": asdict(self.stopping),
            "stream": dict(self.stream),
        }
        outputs = {f"{OUTPUTS}{name}": column for name, column in self.outputs.items()}
        with files.replacing(path) as partial:
            np.savez(partial, **{STATE: np.array(json.dumps(state))}, **outputs, **self.arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> "Checkpoint":
        """Read a checkpoint written by `save`.

        Raises
        ------
        StateError
            If the file is missing or is not a checkpoint of this version.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                state = json.loads(str(archive[STATE]))
                arrays = {name: archive[name] for name in archive.files if name != STATE}
            version = state.pop("version")
            if version != CHECKPOINT_VERSION:
                raise ValueError(f"its version is {version}")
            state["schedule"] = ScheduleState(**state["schedule"])
            state["stopping"] = StoppingState(**state["stopping"])
            outputs = {
                name.removeprefix(OUTPUTS): arrays.pop(name) for name in list(arrays) if name.startswith(OUTPUTS)
            }
            return cls(**state, arrays=arrays, outputs=outputs)
        except FileNotFoundError:
            raise StateError(f"{path}: no such checkpoint") from None
        except (KeyError, TypeError, ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
            raise StateError(f"{path}: not a checkpoint of version {CHECKPOINT_VERSION} ({error})") from None
