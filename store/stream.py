"""From a plan to batches: threads read batches ahead, in the plan's order, within a memory limit."""

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar, Unpack

import numpy as np

from store.batch import Batch, SampleBatch
from store.buffers import BufferPool
from store.compiled.preparation import prepare
from store.errors import PlanError, StateError
from store.integrity import MANY, check_labels
from store.locations import Location
from store.opening import open_store
from store.plans.given_plan import EpochPlan, Plan
from store.plans.resuming import DividedPlan, continued_plan
from store.plans.shuffles import AUTO, Shuffle
from store.plans.split_plan import SplitOptions, choose_plan
from store.readers.page_cache import choose_shuffle
from store.readers.read_ahead import ReadAhead
from store.readers.sample_reader import open_reader
from store.readers.shards_ahead import ShardsAhead, check_room, fetch_all
from store.sample_columns import read_columns

__all__ = ["Batch", "BatchStream"]

Given = TypeVar("Given")
SHOWN = ("split", "samples", "where", "balance", "batch_size", "shuffle", "seed")


class BatchStream:
    """Batches of a store, epoch after epoch, in the order of a plan.

    Iterating gives the remaining batches of the current epoch, and then moves to the next epoch. Only one iteration may
    be under way at a time: another may start when the first has ended, was closed, or is no longer referenced.

    A stream can be pickled and copied. The copy is at the same position, and moves independently of the original.

    Parameters
    ----------
    path
        The store, a path or a URL.
    plan
        Which samples make which batch: any object with a length whose items are positions in the store, int64
        (batch,). Such a plan is read once at the start and repeated in every epoch. A plan that changes from epoch to
        epoch is a `store.plans.given_plan.EpochPlan`, for example a `store.plans.plan.BatchPlan`. By default, the plan
        follows from `options`.
    columns
        Names of further per-sample columns of the store that each batch has, such as ``("pt", "weight")``; see
        `Batch.columns`.
    memory
        Limit on the memory for batches, in bytes or as text such as ``"512MiB"``: those read ahead and the one that the
        consumer has.
    threads
        Number of decoding threads.
    transform
        Function that these threads call with each batch and its epoch, and that may change the images in place. It must
        depend on nothing else, so that a resumed stream gives the same batches.
    **options
        ``split``, ``batch_size``, ``shuffle``, ``seed``, ``epoch``, ``rank``, ``world_size``, ``samples``, ``where``
        and ``balance``; see `store.plans.split_plan.plan_split`. Without `plan`, ``split`` and ``batch_size`` are
        required. With ``shuffle="auto"``, the order is chosen when the stream is opened and, with one rank, after each
        epoch: ``full`` if the images are on this machine and fit into memory, otherwise ``window``. The state records
        it.

    Attributes
    ----------
    path : pathlib.Path or Url
        The store.
    digest : str
        Content digest of the store.
    image_shape : tuple of int
        (ieta, iphi, channel).
    waited : float
        Total time that the consumer has waited for batches, in seconds.
    memory : int
        Upper bound on the memory of the batches read ahead and the one that the consumer has, in bytes.
    buffers : BufferPool
        Pool from which batches take their memory.

    Raises
    ------
    StoreError
        If the path holds no store that this version reads.
    PlanError
        If a value is out of bounds, the store has no such column, no sample passes ``where``, the plan contains
        positions outside the store, or `memory` does not hold two batches.
    ConfigError
        If `memory` is not a size.
    CorruptStoreError
        If a file is not what was written; also raised while iterating.
    """

    def __init__(
        self,
        path: str | Location,
        *,
        plan: Plan | None = None,
        columns: Iterable[str] | str = (),
        memory: int | str = "512MiB",
        threads: int = 2,
        transform: Callable[[Batch, int], None] | None = None,
        **options: Unpack[SplitOptions],
    ) -> None:
        store = open_store(path)
        self._plan = self._recent = choose_plan(store, plan, options)
        check_room(store, self._plan)
        self._store, self._is_auto = store, options.get("shuffle") == AUTO
        prepare()  # compiles here what would otherwise be compiled while the consumer waits for the first batch
        self.path, self.digest = store.path, store.digest
        self.image_shape: tuple[int, ...] = store.image.shape[1:]
        self.waited = 0.0
        self._batch = 0  # the next one of the epoch
        self._iterating: int | None = None  # process that iterates now; a forked one may iterate anew
        self._transform = transform
        self._memory = memory
        shape = (min(self._plan.batch_size, self._plan.sample_count), *self.image_shape)
        batch_bytes = 4 * int(np.prod(shape))
        self._read_ahead = ReadAhead.within(memory, threads, batch_bytes)
        self.memory = (self._read_ahead.batches + 1) * batch_bytes
        self.buffers = BufferPool(shape, keep=self._read_ahead.batches + 1)
        self._reader = open_reader(store.image, store.shards)
        self._label = store.column("label", self._plan.start, self._plan.stop)
        self._columns = read_columns(store, columns, self._plan.start, self._plan.stop)

    @property
    def plan(self) -> EpochPlan:
        """The batches of the current epoch."""
        return self._plan

    @property
    def reader(self) -> str:
        """How samples are read: ``blocks``, one by one from the shards, ``blocks, by pread``, or ``zarr``.

        If LZ4 cannot be called directly, ``blocks`` is followed by how they are decoded instead.
        """
        return self._reader.kind

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the further columns that each batch has."""
        return tuple(self._columns)

    @property
    def transform(self) -> Callable[[Batch, int], None] | None:
        """The function that changes the images of each batch, or None."""
        return self._transform

    @property
    def sample_count(self) -> int:
        """Number of samples in an epoch, over all ranks."""
        return self._plan.sample_count

    @property
    def epoch(self) -> int:
        """Number of the current epoch, from 0."""
        return self._plan.epoch

    def __len__(self) -> int:
        """Return the number of batches in a whole epoch."""
        return len(self._plan)

    def __repr__(self) -> str:
        plan, identity = self._plan, self._plan.identity
        names = (*SHOWN, "rank", "world_size") if identity.get("world_size", 1) > 1 else SHOWN
        words = [f"{name}={identity[name]!r}" for name in names if name in identity]
        if self._is_auto:
            words = [f"{word} (auto)" if word.startswith("shuffle=") else word for word in words]
        if "split" not in identity:
            words.insert(0, f"plan={type(plan).__name__}")
        options = ", ".join([repr(str(self.path)), *words])
        return f"BatchStream({options}: epoch {plan.epoch}, batch {self._batch} of {len(plan)})"

    def __iter__(self) -> Iterator[Batch]:
        """Yield the remaining batches of the current epoch.

        Raises
        ------
        PlanError
            If another iteration is under way, since both would move the same position; or if each of several worker
            processes of a PyTorch DataLoader would give all samples.
        """
        return self._moving(self.batches)

    def sample_batches(self) -> Iterator[SampleBatch]:
        """Yield the remaining batches of the current epoch without their images, which are not read.

        This moves the position exactly as iterating over the stream does.

        Raises
        ------
        PlanError
            As iterating over the stream.
        """
        return self._moving(self._sample_batches)

    def _sample_batches(self, indices: Sequence[int]) -> Generator[SampleBatch]:
        for index in indices:
            yield self._samples(self._plan, index)

    def _moving(self, given: Callable[[Sequence[int]], Generator[Given]]) -> Generator[Given]:
        """Yield what `given` yields for the remaining batches of the epoch, moving the position of the stream."""
        plan, owner = self._plan, os.getpid()
        _refuse_copies_in_workers(plan)
        if self._iterating == owner:
            raise PlanError(
                "another iteration of this stream is under way: end or close it first, or open a second stream"
            )
        self._iterating = owner
        indices = range(self._batch, len(plan))
        try:
            with closing(given(indices)) as batches:
                for index, batch in zip(indices, batches, strict=True):
                    self._batch = index + 1
                    yield batch
                    del batch
        finally:
            if self._iterating == owner:
                self._iterating = None
        self._plan = self._recent = self._reordered(plan.at_epoch(plan.epoch + 1))
        self._batch = 0

    def batches(self, indices: Sequence[int], epoch: int | None = None) -> Generator[Batch]:
        """Yield chosen batches of an epoch, reading ahead, without moving the position of the stream.

        Parameters
        ----------
        indices
            Numbers of the batches, in any order.
        epoch
            The epoch, the current one by default.

        Raises
        ------
        PlanError
            If an index is not that of a batch of the epoch.
        """
        plan = self._plan if epoch is None else self._plan_of(epoch)
        pending, owner = deque[Future[Batch]](), os.getpid()
        if len(indices):
            fetch_all(self._store, plan)
        ahead = ShardsAhead(self._store, plan, indices)
        pool = ThreadPoolExecutor(self._read_ahead.threads, thread_name_prefix="calostream")
        submitted = 0
        try:
            for _ in range(len(indices)):
                while len(pending) < self._read_ahead.batches and submitted < len(indices):
                    ahead.advance(submitted)
                    pending.append(pool.submit(self._read, plan, indices[submitted]))
                    submitted += 1
                if os.getpid() != owner:
                    raise PlanError("a forked process cannot continue its parent's iteration; iterate anew in it")
                began = time.perf_counter()
                batch = pending.popleft().result()
                self.waited += time.perf_counter() - began
                yield batch
                del batch
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _plan_of(self, epoch: int) -> EpochPlan:
        """Return the plan of an epoch, and keep it: a balanced one draws a whole epoch for its first batch."""
        plan = self._recent
        if plan.epoch != epoch:
            plan = self._recent = self._plan.at_epoch(epoch)
        return plan

    def _reordered(self, plan: EpochPlan) -> EpochPlan:
        """Return the plan of a new epoch in the order that is best now, if the stream chooses it by itself."""
        if not self._is_auto or not isinstance(plan, DividedPlan) or plan.identity["world_size"] > 1:
            return plan
        return plan.reorder(self.best_shuffle)

    def _read(self, plan: EpochPlan, index: int) -> Batch:
        samples = self._samples(plan, index)
        image = self.buffers.take()[: samples.sample.size]
        self._reader.read(samples.sample, image)
        batch = Batch(image, samples.label, samples.sample, samples.columns)
        if self._transform is not None:
            self._transform(batch, plan.epoch)
        return batch

    def _samples(self, plan: EpochPlan, index: int) -> SampleBatch:
        samples = plan[index]
        rows = samples - plan.start
        label = self._label[rows]
        if self._store.image.shape[0] > MANY:
            check_labels(self._store, label, samples)
        return SampleBatch(label, samples, {name: values[rows] for name, values in self._columns.items()})

    def divide(self, rank: int, world_size: int) -> None:
        """Take the part of one of several ranks from now on; the batch size is that of each rank.

        Raises
        ------
        PlanError
            If the plan was given and cannot be divided, an iteration is under way, or the stream is in the middle of an
            epoch.
        """
        plan = self._changeable("divide")
        if plan is None:
            raise PlanError("a given plan cannot be divided among ranks: give each rank a plan of its own")
        self._plan = self._recent = plan.divide(rank=rank, world_size=world_size)

    @property
    def best_shuffle(self) -> Shuffle:
        """The order that suits the store now, see `store.readers.page_cache.choose_shuffle`."""
        return choose_shuffle(self._store, self._plan.start, self._plan.stop)

    def reorder(self, shuffle: Shuffle) -> None:
        """Take another order from the current epoch on; with several ranks, all have to take the same.

        Raises
        ------
        PlanError
            If the plan was given, an iteration is under way, or the stream is in the middle of an epoch.
        """
        plan = self._changeable("reorder")
        if plan is None:
            raise PlanError("a given plan already determines the order")
        self._plan = self._recent = plan.reorder(shuffle)

    def _changeable(self, verb: str) -> DividedPlan | None:
        """Return the plan, or None if it was given; refuse a change in the middle of an epoch."""
        if self._iterating == os.getpid():
            raise PlanError(f"an iteration of this stream is under way: end or close it before you {verb} the stream")
        if self._batch:
            raise PlanError(f"the stream is at batch {self._batch} of its epoch: {verb} it before its first batch")
        return self._plan if isinstance(self._plan, DividedPlan) else None

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the stream as JSON values: store, plan, epoch, and number of batches given so far.

        Batches that were only read ahead do not count. A given plan without an identity of its own is identified by the
        sha256 of all its positions.
        """
        return {"store": self.digest, **self._plan.identity, "epoch": self._plan.epoch, "batch": self._batch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Move to the position at which `state_dict` was called.

        The state may be that of a run with another number of ranks, if a batch over all ranks has as many samples. The
        stream then continues with its share of the same batches over all ranks. With ``shuffle="auto"``, the order of
        the epoch is that of the state.

        Raises
        ------
        StateError
            If the state is of another store or another plan (split, number of samples, cut, balance, samples per batch
            over all ranks, shuffle, seed, plan version), its batch is not one of the epoch, or an iteration is under
            way. The stream is then unchanged.
        """
        if self._iterating == os.getpid():
            raise StateError("an iteration of this stream is under way: end or close it before loading a state")
        if not isinstance(state, Mapping):
            raise StateError(f"a state is what state_dict returned, not {state!r:.60}")
        order = dict(state)
        store = order.pop("store", None)
        if store != self.digest:
            raise StateError(f"the state has store={store!r}, this stream {self.digest!r}")
        plan = self._plan
        if self._is_auto and order.get("shuffle") in ("full", "window") and isinstance(plan, DividedPlan):
            plan = plan.reorder(order["shuffle"])
        self._plan = self._recent = continued_plan(plan, order)
        self._batch = state["batch"]

    def __getstate__(self) -> dict[str, Any]:
        arguments = {
            "path": self.path.absolute() if isinstance(self.path, Path) else self.path,
            "plan": self._plan,
            "columns": self.columns,
            "memory": self._memory,
            "threads": self._read_ahead.threads,
            "transform": self._transform,
        }
        return {"arguments": arguments, "store": self.digest, "batch": self._batch, "is_auto": self._is_auto}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__init__(**state["arguments"])  # type: ignore[misc]
        if self.digest != state["store"]:
            raise StateError(f"{self.path}: was replaced since the stream was pickled or copied")
        self._batch, self._is_auto = state["batch"], state["is_auto"]


def _refuse_copies_in_workers(plan: EpochPlan) -> None:
    data = sys.modules.get("torch.utils.data")  # a worker of a DataLoader has imported it
    worker = data and data.get_worker_info()
    if worker and worker.num_workers > 1 and plan.identity.get("world_size") == 1:
        raise PlanError(
            f"each of the {worker.num_workers} workers of this DataLoader would give every sample; give the DataLoader "
            "a calostream.torch.Loader(stream), which shares the batches out"
        )
