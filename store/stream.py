"""From a plan to batches: read ahead in threads, in the plan's order, within a stated number of bytes."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from store.buffers import BufferPool
from store.errors import PlanError, StateError
from store.files import parse_size
from store.opening import open_store
from store.plan import PLAN_VERSION, BatchPlan, Shuffle
from store.sample_reader import open_reader


@dataclass(frozen=True, slots=True)
class Batch:
    """Some samples of a store; the arrays are the consumer's to keep.

    Attributes
    ----------
    image
        float32 (batch, ieta, iphi, channel), values as in the source files.
    label
        uint8 (batch,), class.
    sample
        int64 (batch,), positions in the store.
    """

    image: npt.NDArray[np.float32]
    label: npt.NDArray[np.uint8]
    sample: npt.NDArray[np.int64]


class BatchStream:
    """Shuffled batches of one split, epoch after epoch.

    Iterating gives the batches of the current epoch that were not given yet, and then moves to the next epoch.

    Parameters
    ----------
    path
        The store.
    split
        ``train``, ``validation`` or ``test``.
    batch_size, shuffle, seed, epoch, rank, world_size
        See `BatchPlan`.
    samples
        Only the first so many of the split, which are a random choice: stores are shuffled. All by default.
    memory
        Bound on the batches read ahead, in bytes or as text such as ``"512MiB"``.
    threads
        Threads that decode.
    transform
        Called there with every batch and its epoch, and may change the images in place; what it does should depend on
        nothing else, so that a stream that is resumed gives the same.

    Attributes
    ----------
    waited : float
        Seconds that the consumer has waited for data so far.
    memory : int
        Bytes that the batches read ahead take at most, and the one that the consumer has.
    buffers : BufferPool
        Where the memory of batches comes from.
    reader : str
        How samples are read: ``blocks`` (one by one out of the shards; it adds where LZ4 itself was not found) or
        ``zarr``.

    Raises
    ------
    StoreError
        If the path holds no store that this version reads.
    PlanError
        If a value is out of its bounds, or `memory` does not hold two batches.
    CorruptStoreError
        If a shard is not what was written; while iterating, too.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        split: str,
        batch_size: int,
        shuffle: Shuffle = "full",
        seed: int = 0,
        epoch: int = 0,
        rank: int = 0,
        world_size: int = 1,
        samples: int | None = None,
        memory: int | str = "512MiB",
        threads: int = 2,
        transform: Callable[[Batch, int], None] | None = None,
    ) -> None:
        store = open_store(path)
        start, stop = store.split_range(split)
        if samples is not None:
            if not 1 <= samples <= stop - start:
                raise PlanError(f"samples={samples} is not between 1 and the {stop - start} of split {split!r}")
            stop = start + samples
        self._plan = BatchPlan(
            start=start,
            stop=stop,
            batch_size=batch_size,
            shuffle=shuffle,
            chunk=store.image.chunks[0],
            seed=seed,
            epoch=epoch,
            rank=rank,
            world_size=world_size,
        )
        self.path, self.split, self.digest = store.path, split, store.digest
        self.image_shape: tuple[int, ...] = store.image.shape[1:]
        self.waited = 0.0
        self._reader = open_reader(store.image, store.path)
        self._label = np.asarray(store.group["label"][start:stop])  # type: ignore[index]
        self._batch = 0
        if threads < 1:
            raise PlanError(f"threads={threads} is below 1")
        self._threads, self._transform = threads, transform
        shape = (min(batch_size, self.sample_count), *self.image_shape)
        batch_bytes = 4 * int(np.prod(shape))
        allowed = parse_size("memory", memory) // batch_bytes
        if allowed < 2:
            raise PlanError(
                f"memory={memory!r} is less than two batches of {batch_bytes} bytes; "
                f"lower batch_size={batch_size} or raise memory"
            )
        self._ahead = min(allowed - 1, 2 * threads)
        self.memory = (self._ahead + 1) * batch_bytes
        self.buffers = BufferPool(shape, keep=self._ahead + 1)

    @property
    def plan(self) -> BatchPlan:
        """The current epoch's batches."""
        return self._plan

    @property
    def reader(self) -> str:
        """Kind of the reader in use."""
        return self._reader.kind

    @property
    def sample_count(self) -> int:
        """Samples of the split, over all ranks."""
        return self._plan.sample_count

    @property
    def epoch(self) -> int:
        """Number of the current epoch, from 0."""
        return self._plan.epoch

    def __len__(self) -> int:
        """Return the number of batches in a whole epoch."""
        return len(self._plan)

    def __iter__(self) -> Iterator[Batch]:
        plan, pending, owner = self._plan, deque[Future[Batch]](), os.getpid()
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="calostream")
        try:
            for index in range(self._batch, len(plan)):
                while len(pending) < self._ahead and index + len(pending) < len(plan):
                    pending.append(pool.submit(self._read, plan, index + len(pending)))
                if os.getpid() != owner:
                    raise PlanError("a forked process cannot go on with its parent's iteration; iterate anew in it")
                began = time.perf_counter()
                batch = pending.popleft().result()
                self.waited += time.perf_counter() - began
                self._batch = index + 1
                yield batch
                del batch
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        self._plan, self._batch = replace(plan, epoch=plan.epoch + 1), 0

    def _read(self, plan: BatchPlan, index: int) -> Batch:
        samples = plan[index]
        image = self.buffers.take()[: samples.size]
        self._reader.read(samples, image)
        batch = Batch(image, self._label[samples - plan.start], samples)
        if self._transform is not None:
            self._transform(batch, plan.epoch)
        return batch

    def state_dict(self) -> dict[str, Any]:
        """Return where the stream is, as JSON types: the batches given so far count, those read ahead do not."""
        return {**self._identity(), "epoch": self._plan.epoch, "batch": self._batch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to where `state_dict` was taken.

        Raises
        ------
        StateError
            If the state is of another store, split, number of samples, batch size, shuffle, seed, world size or plan
            version, or its place in the epoch is not one.
        """
        for name, here in self._identity().items():
            if state.get(name) != here:
                raise StateError(f"the state has {name}={state.get(name)!r}, this stream {here!r}")
        epoch, batch = state.get("epoch"), state.get("batch")
        if not isinstance(epoch, int) or epoch < 0:
            raise StateError(f"the state has epoch={epoch!r}, which is not a number from 0")
        if not isinstance(batch, int) or not 0 <= batch <= len(self):
            raise StateError(f"the state has batch={batch!r}, which is not a number from 0 to {len(self)}")
        self._plan, self._batch = replace(self._plan, epoch=epoch), batch

    def _identity(self) -> dict[str, Any]:
        names = ("batch_size", "shuffle", "chunk", "window", "seed", "rank", "world_size")
        return {
            "plan_version": PLAN_VERSION,
            "store": self.digest,
            "split": self.split,
            "samples": self.sample_count,
            **{name: getattr(self._plan, name) for name in names},
        }
