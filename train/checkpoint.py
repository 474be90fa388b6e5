"""One file that a training run goes on from: arrays of the framework and the state of everything around it."""

import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from store.errors import RunError, StateError
from train.schedule import ScheduleState, StoppingState

CHECKPOINT_VERSION = 2
STATE = "state"
OUTPUTS = "outputs/"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Where a training run stands, after an epoch or inside one.

    Attributes
    ----------
    epoch
        Epochs finished.
    schedule, stopping
        States of the learning-rate schedule and of early stopping.
    stream
        State of the training stream, see `store.BatchStream.state_dict`.
    arrays
        What the learner needs: weights, optimiser and random state by name.
    outputs
        Inside an epoch, what it gave so far: the columns of `train.outputs.Outputs`.
    """

    epoch: int
    schedule: ScheduleState
    stopping: StoppingState
    stream: Mapping[str, Any]
    arrays: Mapping[str, npt.NDArray[Any]]
    outputs: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write the checkpoint as an uncompressed ``.npz`` that appears whole or not at all."""
        state = {
            "version": CHECKPOINT_VERSION,
            "epoch": self.epoch,
            "schedule": asdict(self.schedule),
            "stopping": asdict(self.stopping),
            "stream": dict(self.stream),
        }
        outputs = {f"{OUTPUTS}{name}": column for name, column in self.outputs.items()}
        with replacing(path) as file:
            np.savez(file, **{STATE: np.array(json.dumps(state))}, **outputs, **self.arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> "Checkpoint":
        """Read a checkpoint that `save` wrote.

        Raises
        ------
        StateError
            If the file is missing, or not a checkpoint of this version.
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


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of `path` once it is written whole.

    Raises
    ------
    RunError
        If it cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror or error})") from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
