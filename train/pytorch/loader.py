"""The batch stream as a PyTorch dataset, for training loops that are not this project's own."""

import copy
from collections.abc import Iterator, Mapping
from contextlib import closing
from multiprocessing.context import get_spawning_popen
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from store.errors import PlanError, StateError
from store.plans.resuming import DividedPlan
from store.stream import BatchStream
from train.pytorch.epoch_register import EpochRegister, Position
from train.pytorch.feed import allocate_pinned, batch_tensors

Sample = tuple[Tensor, Tensor] | tuple[Tensor, dict[str, Tensor], Tensor]


class Loader(IterableDataset[Sample]):
    """The batches of a stream as tensors: ``(image, label)``, or ``(image, columns, label)`` if the stream has columns.

    The tensors are the batch's own memory: image float32 (batch, ieta, iphi, channel), label uint8 (batch,), and a
    dictionary of columns (batch,). Where PyTorch has a GPU, images are in pinned memory.

    A loader is ready to be iterated: its stream decodes in threads. It can also be given to a
    ``DataLoader(loader, batch_size=None, num_workers=k)``, or torchdata's ``StatefulDataLoader``, with any method of
    starting processes. Worker w of k then reads the batches w, w + k, ..., so that the batches come in the order of the
    stream and each sample once.

    Each iteration gives one epoch, from its beginning, and the next iteration the next epoch, also if the one before it
    was broken off. The first iteration continues at the position of the stream, and one after `load_state_dict` at that
    of the state.

    Several ranks share each epoch. Those of ``torch.distributed`` do so by themselves once it is initialised, with the
    stream's batch size on each rank, unless the stream was already opened for several ranks.

    Parameters
    ----------
    stream
        The stream. Its own position does not move.
    rank, world_size
        Number of this process and number of processes that share the epoch. By default those of the stream, or of
        ``torch.distributed``. With ``rank=0, world_size=1`` each process reads the whole epoch.

    Raises
    ------
    PlanError
        If only one of `rank` and `world_size` is given, or they are out of bounds; or the stream is sparse.

    Examples
    --------
    >>> from calostream.torch import Loader
    >>> loader = Loader(cs.BatchStream("data/electron-photon.zarr", split="train", batch_size=64))
    >>> for image, label in loader:  # one epoch
    ...     pass
    >>> image.dtype
    torch.float32
    """

    batch_sampler = None  # Lightning asks for it where there is a sampler

    def __init__(self, stream: BatchStream, *, rank: int | None = None, world_size: int | None = None) -> None:
        if stream.sparse:
            raise PlanError("sparse=True: a Loader gives dense images; iterate over a sparse stream itself")
        if (rank is None) != (world_size is None):
            raise PlanError(f"rank={rank} and world_size={world_size}: give both or neither")
        self.stream = stream
        self._divided = rank is not None
        if rank is not None and world_size is not None and (rank, world_size) != (0, 1):
            stream.divide(rank, world_size)
        state = stream.state_dict()
        self._register = EpochRegister(Position(state["epoch"], state["batch"]))
        self._position: Position | None = None  # of the iteration under way
        self._resumed: Position | None = None  # in a worker, where its next iteration begins
        self._pinned = False

    def __repr__(self) -> str:
        return f"Loader({self.stream!r})"

    def __len__(self) -> int:
        """Return the number of batches in a whole epoch."""
        self._divide()
        return len(self.stream)

    def __iter__(self) -> Iterator[Sample]:
        """Yield the batches of the next epoch, in a worker process those of this worker."""
        self._position = None
        return self._iterate()

    def _iterate(self) -> Iterator[Sample]:
        self._divide()
        worker = get_worker_info()
        first, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        position = self._begin()
        plan = self.stream.plan.at_epoch(position.epoch)
        self._place_buffers()
        self._position = position
        indices = range(position.batch + first, len(plan), step)
        with closing(self.stream.batches(indices, position.epoch)) as batches:
            for batch in batches:
                # All workers count alike, so that their positions agree once each has given as many batches.
                self._position = position = Position(position.epoch, min(position.batch + step, len(plan)))
                yield batch_tensors(batch)
                del batch
        # The state of a worker that has finished before the others must not be in the next epoch.
        self._position = None if worker is None else Position(position.epoch, len(plan))

    def _begin(self) -> Position:
        """Return where this iteration begins."""
        worker = get_worker_info()
        if worker is None:
            return self._register.begin()
        if self._resumed is not None:
            position, self._resumed = self._resumed, None
            return position
        return self._register.join(worker)

    def _place_buffers(self) -> None:
        """Have batches decoded into memory that a GPU can copy from, in the process that has the GPU."""
        if get_worker_info() is None:
            if torch.cuda.is_available():
                self.stream.buffers.allocate, self._pinned = allocate_pinned, True
        elif self._pinned:  # forked after an iteration of the parent process, whose pinned memory is not this one's
            self.stream, self._pinned = copy.copy(self.stream), False

    def set_epoch(self, epoch: int) -> None:
        """Let the next iteration give an epoch, from its beginning, or from the loaded position if that is in it.

        Raises
        ------
        PlanError
            If it is not an integer of at least 0.
        """
        if not isinstance(epoch, int) or isinstance(epoch, bool) or epoch < 0:
            raise PlanError(f"epoch={epoch!r} is not an integer of at least 0")
        position, _ = self._register.next()
        self._position = None
        self._register.begin_at(position if position.epoch == epoch else Position(epoch, 0))

    @property
    def sampler(self) -> "Loader":
        """The loader itself: Lightning calls `set_epoch` of a data loader's sampler at the beginning of each epoch."""
        return self

    def state_dict(self) -> dict[str, Any]:
        """Return the position as JSON values, those of `BatchStream.state_dict`: the batches given so far count.

        Raises
        ------
        StateError
            If worker processes of a ``DataLoader`` read the epoch: this process then does not know how far they are.
        """
        self._divide()
        position, known = self._register.next()
        if self._position is not None:
            position = self._position
        elif not known and get_worker_info() is None:
            raise StateError(
                "worker processes read this epoch, and the loader does not know how many batches were used: take the "
                "state of a torchdata.stateful_dataloader.StatefulDataLoader, iterate without workers, or call "
                "set_epoch before"
            )
        return {**self.stream.state_dict(), **position._asdict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next iteration begin at a position that `state_dict` returned, here or in a `BatchStream`.

        Raises
        ------
        StateError
            If the state does not fit the stream; see `BatchStream.load_state_dict`.
        """
        self._divide()
        self.stream.load_state_dict(state)
        position = Position(state["epoch"], state["batch"])
        self._position = None
        if get_worker_info() is None:
            self._register.begin_at(position)
        else:
            self._resumed = position
            self._register.begin_at(position.next_epoch, known=False)

    def _divide(self) -> None:
        """Share the epoch with the other ranks of ``torch.distributed``, if the stream does not do so already."""
        distributed = torch.distributed
        if self._divided or not (distributed.is_available() and distributed.is_initialized()):
            return
        self._divided = True
        plan, ranks = self.stream.plan, distributed.get_world_size()
        if plan.identity.get("world_size", 1) > 1 or ranks == 1:
            return
        if not isinstance(plan, DividedPlan):
            raise PlanError(
                f"a given plan cannot be divided among {ranks} ranks: give each rank a plan of its own, and the Loader "
                "rank=0, world_size=1"
            )
        self.stream.divide(distributed.get_rank(), ranks)

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        if get_spawning_popen() is None:  # a copy, which moves independently of the original
            position = self._position or self._register.next()[0]
            state.update(_register=position, _position=None)
        else:
            self._divide()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if isinstance(state["_register"], Position):
            state = {**state, "_register": EpochRegister(state["_register"])}
        self.__dict__.update(state)
