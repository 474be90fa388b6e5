"""The file from which a training run resumes: the arrays of the backend and the state of everything around it."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from store import files
from store.errors import StateError
from store.npz import read_npz
from train.schedule import ScheduleState, StoppingState

if TYPE_CHECKING:
    from train.backend import Backend

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
            arrays = read_npz(path)
            state = _parse_state(arrays.pop(STATE, None))
            outputs = {
                name.removeprefix(OUTPUTS): arrays.pop(name) for name in list(arrays) if name.startswith(OUTPUTS)
            }
            _check_outputs(outputs)
            return cls(**state, arrays=arrays, outputs=outputs)
        except FileNotFoundError:
            raise StateError(f"{path}: no such checkpoint") from None
        except ValueError as error:
            raise StateError(f"{path}: not a checkpoint of version {CHECKPOINT_VERSION} ({error})") from None

    def restore(self, backend: "Backend", path: Path) -> None:
        """Give a backend its weights and the rest of its state. Collective: every rank must call this.

        Parameters
        ----------
        backend
            The backend.
        path
            File of the checkpoint, for messages.

        Raises
        ------
        StateError
            If the arrays are not those of the backend's model and optimiser.
        """
        try:
            backend.load_state_dict(self.arrays)
        except StateError as error:
            raise StateError(f"{path}: {error}") from None
        except (IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise StateError(f"{path}: its arrays are not those of this training ({error!r})") from None


def _parse_state(text: npt.NDArray[Any] | None) -> dict[str, Any]:
    """Return the attributes of a checkpoint that are stored as JSON; raise ValueError if they cannot be used."""
    if text is None or text.shape or text.dtype.kind != "U":
        raise ValueError(f"it lacks {STATE}")
    try:
        state: dict[str, Any] = json.loads(str(text))
        version = state.pop("version")
        if version != CHECKPOINT_VERSION:
            raise ValueError(f"its version is {version!r}")
        state["schedule"] = ScheduleState(**state["schedule"])
        state["stopping"] = StoppingState(**state["stopping"])
        names = state.keys() ^ {"epoch", "schedule", "stopping", "stream"}
    except (AttributeError, KeyError, RecursionError, TypeError) as error:
        raise ValueError(f"{STATE}: {error!r}") from None
    if names or not isinstance(state["stream"], dict):
        raise ValueError(f"{STATE} must have epoch, schedule, stopping and stream")
    if type(state["epoch"]) is not int or state["epoch"] < 0:
        raise ValueError(f"epoch={state['epoch']!r} is not a number of epochs")
    for part in (state["schedule"], state["stopping"]):
        _check_numbers(part)
    return state


def _check_numbers(state: ScheduleState | StoppingState) -> None:
    """Raise ValueError if an attribute is not a finite number of the annotated type."""
    for attribute in fields(state):
        value = getattr(state, attribute.name)
        kinds = (int,) if attribute.type is int else (int, float)
        may_be_none = value is None and attribute.type == float | None
        if not may_be_none and (type(value) not in kinds or not math.isfinite(value)):
            raise ValueError(f"{attribute.name}={value!r} is not a number")


def _check_outputs(outputs: Mapping[str, npt.NDArray[Any]]) -> None:
    """Raise ValueError unless all columns of the outputs fit together, or there are no outputs at all.

    Each has one value per sample, or the logits one row per sample with a logit for each of more than two classes.
    """
    kinds = {"sample": "i", "label": "u", "logit": "f"}
    if not outputs:
        return
    if outputs.keys() != kinds.keys():
        raise ValueError(f"{OUTPUTS} has {', '.join(map(repr, outputs))}, expected {', '.join(kinds)}")
    for name, column in outputs.items():
        shape = column.shape[:1] if name == "logit" and column.ndim == 2 else column.shape
        if column.dtype.kind != kinds[name] or shape != (outputs["sample"].size,):
            raise ValueError(f"{OUTPUTS}{name} has type {column.dtype} and shape {column.shape}")
