"""From a plan to batches: threads read batches ahead, in the plan's order, within a memory limit."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from store.arrays import Float32Array, Int64Array, UInt8Array
from store.buffers import BufferPool
from store.compiled.preparation import prepare
from store.errors import PlanError, StateError
from store.files import parse_size
from store.given_plan import EpochPlan, Plan, RepeatedPlan
from store.opening import Store, open_store
from store.plan import SplitOptions, plan_split
from store.sample_reader import open_reader


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch of samples; its arrays are never overwritten, so the consumer may keep them.

    Attributes
    ----------
    image
        float32 (batch, ieta, iphi, channel), values as in the source files.
    label
        uint8 (batch,), class of each sample.
    sample
        int64 (batch,), position of each sample in the store.
    """

    image: Float32Array
    label: UInt8Array
    sample: Int64Array


@dataclass(frozen=True, kw_only=True)
class ReadAhead:
    """How far a stream reads ahead of its consumer.

    Attributes
    ----------
    threads
        Number of decoding threads.
    batches
        Maximum number of batches read ahead, not counting the one that the consumer has.
    """

    threads: int
    batches: int

    @classmethod
    def within(cls, memory: int | str, threads: int, batch_bytes: int) -> "ReadAhead":
        """Return the read-ahead that a memory limit allows: at most two batches per thread.

        Parameters
        ----------
        memory
            Limit in bytes, or as text such as ``"512MiB"``, for all batches including the consumer's.
        threads
            Number of decoding threads.
        batch_bytes
            Size of the largest batch, in bytes.

        Raises
        ------
        PlanError
            If there are no threads, or the memory does not hold two batches.
        ConfigError
            If `memory` is not a size.
        """
        if threads < 1:
            raise PlanError(f"threads={threads} is below 1")
        allowed = parse_size("memory", memory) // batch_bytes
        if allowed < 2:
            raise PlanError(
                f"memory={memory!r} is less than two batches of {batch_bytes} bytes; "
                "lower the batch size or raise the memory"
            )
        return cls(threads=threads, batches=min(allowed - 1, 2 * threads))


class BatchStream:
    """Batches of a store, epoch after epoch, in the order of a plan.

    Iterating gives the remaining batches of the current epoch, and then moves to the next epoch. Only one iteration may
    be under way at a time: another may start when the first has ended, was closed, or is no longer referenced.

    Parameters
    ----------
    path
        The store.
    plan
        Which samples make which batch: any object with a length whose items are positions in the store, int64
        (batch,). Such a plan is read once at the start and repeated in every epoch. A plan that changes from epoch to
        epoch is a `store.given_plan.EpochPlan`, for example a `store.plan.BatchPlan`. By default, the plan follows from
        `options`.
    memory
        Limit on the memory for batches, in bytes or as text such as ``"512MiB"``: those read ahead and the one that the
        consumer has.
    threads
        Number of decoding threads.
    transform
        Function that these threads call with each batch and its epoch, and that may change the images in place. It must
        depend on nothing else, so that a resumed stream gives the same batches.
    **options
        ``split``, ``batch_size``, ``shuffle``, ``seed``, ``epoch``, ``rank``, ``world_size`` and ``samples``; see
        `store.plan.plan_split`. Without `plan`, ``split`` and ``batch_size`` are required.

    Attributes
    ----------
    path : pathlib.Path
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
        If a value is out of bounds, the plan contains positions outside the store, or `memory` does not hold two
        batches.
    ConfigError
        If `memory` is not a size.
    CorruptStoreError
        If a file is not what was written; also raised while iterating.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        plan: Plan | None = None,
        memory: int | str = "512MiB",
        threads: int = 2,
        transform: Callable[[Batch, int], None] | None = None,
        **options: Unpack[SplitOptions],
    ) -> None:
        store = open_store(path)
        self._plan = _choose_plan(store, plan, options)
        prepare()  # compiles here what would otherwise be compiled while the consumer waits for the first batch
        self.path, self.digest = store.path, store.digest
        self.image_shape: tuple[int, ...] = store.image.shape[1:]
        self.waited = 0.0
        self._batch = 0  # the next one of the epoch
        self._iterating: int | None = None  # process that iterates now; a forked one may iterate anew
        self._transform = transform
        shape = (min(self._plan.batch_size, self._plan.sample_count), *self.image_shape)
        batch_bytes = 4 * int(np.prod(shape))
        self._read_ahead = ReadAhead.within(memory, threads, batch_bytes)
        self.memory = (self._read_ahead.batches + 1) * batch_bytes
        self.buffers = BufferPool(shape, keep=self._read_ahead.batches + 1)
        self._reader = open_reader(store.image, store.path)
        self._label = np.asarray(store.group["label"][self._plan.start : self._plan.stop])  # type: ignore[index]

    @property
    def plan(self) -> EpochPlan:
        """The batches of the current epoch."""
        return self._plan

    @property
    def reader(self) -> str:
        """How samples are read: ``blocks``, one by one from the shards, or ``zarr``.

        If LZ4 cannot be called directly, ``blocks`` is followed by how they are decoded instead.
        """
        return self._reader.kind

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

    def __iter__(self) -> Iterator[Batch]:
        """Yield the remaining batches of the current epoch.

        Raises
        ------
        PlanError
            If another iteration is under way, since both would move the same position.
        """
        plan, pending, owner = self._plan, deque[Future[Batch]](), os.getpid()
        if self._iterating == owner:
            raise PlanError(
                "another iteration of this stream is under way: end or close it first, or open a second stream"
            )
        self._iterating = owner
        pool = ThreadPoolExecutor(self._read_ahead.threads, thread_name_prefix="calostream")
        try:
            for index in range(self._batch, len(plan)):
                while len(pending) < self._read_ahead.batches and index + len(pending) < len(plan):
                    pending.append(pool.submit(self._read, plan, index + len(pending)))
                if os.getpid() != owner:
                    raise PlanError("a forked process cannot continue its parent's iteration; iterate anew in it")
                began = time.perf_counter()
                batch = pending.popleft().result()
                self.waited += time.perf_counter() - began
                self._batch = index + 1
                yield batch
                del batch
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            if self._iterating == owner:
                self._iterating = None
        self._plan, self._batch = plan.at_epoch(plan.epoch + 1), 0

    def _read(self, plan: EpochPlan, index: int) -> Batch:
        samples = plan[index]
        image = self.buffers.take()[: samples.size]
        self._reader.read(samples, image)
        batch = Batch(image, self._label[samples - plan.start], samples)
        if self._transform is not None:
            self._transform(batch, plan.epoch)
        return batch

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the stream as JSON values: store, plan, epoch, and number of batches given so far.

        Batches that were only read ahead do not count. A given plan without an identity of its own is identified by the
        sha256 of all its positions.
        """
        return {**self._identity(), "epoch": self._plan.epoch, "batch": self._batch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Move to the position at which `state_dict` was called.

        Raises
        ------
        StateError
            If the state is of another store or another plan (split, number of samples, batch size, shuffle, seed, rank,
            world size, plan version), its batch is not one of the epoch, or an iteration is under way. The stream is
            then unchanged.
        """
        if self._iterating == os.getpid():
            raise StateError("an iteration of this stream is under way: end or close it before loading a state")
        for name, value in self._identity().items():
            if state.get(name) != value:
                raise StateError(f"the state has {name}={state.get(name)!r}, this stream {value!r}")
        epoch, batch = state.get("epoch"), state.get("batch")
        if not isinstance(epoch, int) or epoch < 0:
            raise StateError(f"the state has epoch={epoch!r}, which is not an integer of at least 0")
        plan = self._plan.at_epoch(epoch)
        if not isinstance(batch, int) or not 0 <= batch <= len(plan):
            raise StateError(f"the state has batch={batch!r}, which is not an integer from 0 to {len(plan)}")
        self._plan, self._batch = plan, batch

    def _identity(self) -> dict[str, Any]:
        return {"store": self.digest, **self._plan.identity}


def _choose_plan(store: Store, plan: Plan | None, options: SplitOptions) -> EpochPlan:
    """Return the given plan, or the one that follows from the options, after checking that it fits the store."""
    if plan is None:
        plan = plan_split(store, **options)
    elif options:
        raise PlanError(f"plan=... already determines the batches; leave out {', '.join(options)}")
    chosen = plan if isinstance(plan, EpochPlan) else RepeatedPlan.of(plan)
    first, last, samples = chosen.start, chosen.stop - 1, store.image.shape[0]
    if not 0 <= first <= last < samples:
        raise PlanError(f"{store.path}: the plan has positions {first} to {last}, the store 0 to {samples - 1}")
    return chosen
