"""Which epoch an iteration reads: agreed between a process and the worker processes that a ``DataLoader`` starts.

The processes share an unnamed temporary file: forked ones inherit its descriptor, spawned ones get a copy of it.
"""

import fcntl
import json
import multiprocessing
import os
import re
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import get_spawning_popen
from multiprocessing.reduction import DupFd
from typing import Any, NamedTuple, Protocol

KEPT = 16  # iterations that a worker may still join


class Position(NamedTuple):
    """A position in the order of all epochs: the epoch, and the number of its batches that were given."""

    epoch: int
    batch: int

    @property
    def next_epoch(self) -> "Position":
        """The beginning of the next epoch."""
        return Position(self.epoch + 1, 0)


class WorkerInfo(Protocol):
    """What ``torch.utils.data.get_worker_info`` says about a worker."""

    @property
    def id(self) -> int:
        """Number of the worker."""

    @property
    def num_workers(self) -> int:
        """Number of workers of the iteration."""

    @property
    def seed(self) -> int:
        """Base seed of the iteration plus the number of the worker."""


class EpochRegister:
    """Positions at which iterations begin.

    Parameters
    ----------
    position
        Where the next iteration begins.
    """

    def __init__(self, position: Position) -> None:
        with tempfile.TemporaryFile() as file:
            self._open(os.dup(file.fileno()))
        self.begin_at(position)

    def _open(self, descriptor: int) -> None:
        self._descriptor = descriptor
        weakref.finalize(self, os.close, descriptor).atexit = False

    def __reduce__(self) -> tuple[Any, ...]:
        if get_spawning_popen() is None:
            raise TypeError("an epoch register can only be given to a process that is being started")
        return _attach, (DupFd(self._descriptor),)

    def begin_at(self, position: Position, *, known: bool = True) -> None:
        """Let the next iteration begin at a position.

        Parameters
        ----------
        position
            The position.
        known
            Whether the process that has the loader knows the position that was reached, since no worker is reading.
        """
        with self._edited() as content:
            content.update(next=position, known=known)

    def next(self) -> tuple[Position, bool]:
        """Return where the next iteration begins, and whether that is the position that was reached."""
        with self._edited() as content:
            return Position(*content["next"]), content["known"]

    def begin(self) -> Position:
        """Begin an iteration without workers, and return its position."""
        with self._edited() as content:
            position = Position(*content["next"])
            content.update(next=position.next_epoch, known=True)
        return position

    def join(self, worker: WorkerInfo) -> Position:
        """Begin an iteration as one of its workers, and return its position, the same for all of its workers.

        The workers of one iteration have one base seed, but others can have it as well, if the user sets the random
        state before each epoch. They have consecutive numbers as processes, or nearly, if another thread starts
        processes at the same time. A worker that outlives an iteration asks again for the next one.
        """
        seed, first = worker.seed - worker.id, _process_number() - worker.id
        with self._edited() as content:
            iterations = content.setdefault("iterations", [])
            for each in iterations:
                near = abs(each["first"] - first) < worker.num_workers
                if each["seed"] == seed and near and worker.id not in each["workers"]:
                    each["workers"].append(worker.id)
                    return Position(*each["position"])
            position = Position(*content["next"])
            iterations.append({"seed": seed, "first": first, "position": position, "workers": [worker.id]})
            del iterations[:-KEPT]
            content.update(next=position.next_epoch, known=False)
        return position

    @contextmanager
    def _edited(self) -> Iterator[dict[str, Any]]:
        """Yield the content of the file and write it back, while no other process does so."""
        descriptor = self._descriptor
        fcntl.lockf(descriptor, fcntl.LOCK_EX)
        try:
            content = json.loads(os.pread(descriptor, os.fstat(descriptor).st_size, 0) or b"{}")
            yield content
            text = json.dumps(content).encode()
            os.pwrite(descriptor, text, 0)
            os.ftruncate(descriptor, len(text))
        finally:
            fcntl.lockf(descriptor, fcntl.LOCK_UN)


def _process_number() -> int:
    """Return the number that the parent process gave to this one, counting those that it started."""
    digits = re.search(r"\d+$", multiprocessing.current_process().name)
    return int(digits[0]) if digits else 0


def _attach(descriptor: Any) -> EpochRegister:
    """Return the register of the process that started this one."""
    register = EpochRegister.__new__(EpochRegister)
    register._open(descriptor.detach())
    return register
