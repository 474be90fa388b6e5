"""From a plan to batches: threads read batches ahead, in the plan's order, within a memory limit."""

import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, Unpack, overload

from store.batch import Batch, SampleBatch, SparseBatch
from store.compiled.preparation import prepare
from store.errors import PlanError, StateError
from store.integrity import MANY, check_labels
from store.locations import Location
from store.opening import open_store
from store.plans.given_plan import EpochPlan, Plan
from store.plans.shuffles import AUTO
from store.plans.split_plan import SplitOptions, choose_plan
from store.readers.batch_readers import BatchReader, DenseReader, SparseReader
from store.readers.read_ahead import ReadAhead
from store.readers.sample_reader import open_reader
from store.readers.shards_ahead import ShardsAhead, check_room, fetch_all
from store.sample_columns import read_columns
from store.stream_position import StreamPosition

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    Given = TypeVar("Given", bound=Batch | SparseBatch, default=Batch)
else:
    from typing import TypeVar

    Given = TypeVar("Given")

__all__ = ["Batch", "BatchStream", "SparseBatch"]


class BatchStream(StreamPosition, Generic[Given]):
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
    sparse
        Whether each batch is a `SparseBatch`, with the same images in sparse form. `transform` then gets a dense
        `Batch` with a few samples of a batch at a time. `memory` counts each cell as a hit, because nothing is known of
        a batch before it is read: a sparse batch counts as much as 1.5 dense ones, and takes much less.
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
    sparse : bool
        Whether batches are in sparse form.
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

    Examples
    --------
    >>> stream = cs.BatchStream("data/electron-photon.zarr", split="train", batch_size=64, shuffle="full", seed=0)
    >>> batch = next(iter(stream))
    >>> batch.image.shape, batch.image.dtype
    ((64, 32, 32, 2), dtype('float32'))
    """

    @overload
    def __init__(
        self: "BatchStream[Batch]",
        path: str | Location,
        *,
        plan: Plan | None = None,
        columns: Iterable[str] | str = (),
        memory: int | str = "512MiB",
        threads: int = 2,
        transform: Callable[[Batch, int], None] | None = None,
        sparse: Literal[False] = False,
        **options: Unpack[SplitOptions],
    ) -> None: ...

    @overload
    def __init__(
        self: "BatchStream[SparseBatch]",
        path: str | Location,
        *,
        plan: Plan | None = None,
        columns: Iterable[str] | str = (),
        memory: int | str = "512MiB",
        threads: int = 2,
        transform: Callable[[Batch, int], None] | None = None,
        sparse: Literal[True],
        **options: Unpack[SplitOptions],
    ) -> None: ...

    def __init__(
        self,
        path: str | Location,
        *,
        plan: Plan | None = None,
        columns: Iterable[str] | str = (),
        memory: int | str = "512MiB",
        threads: int = 2,
        transform: Callable[[Batch, int], None] | None = None,
        sparse: bool = False,
        **options: Unpack[SplitOptions],
    ) -> None:
        store = open_store(path)
        super().__init__(store, choose_plan(store, plan, options), is_auto=options.get("shuffle") == AUTO)
        check_room(store, self._plan)
        prepare()  # compiles here what would otherwise be compiled while the consumer waits for the first batch
        self.image_shape: tuple[int, ...] = store.image.shape[1:]
        self.waited = 0.0
        self.sparse = sparse
        self._transform = transform
        self._memory = memory
        shape = (min(self._plan.batch_size, self._plan.sample_count), *self.image_shape)
        self._reader = open_reader(store.image, store.shards)
        self._batches: BatchReader[Any] = (SparseReader if sparse else DenseReader)(self._reader, transform, shape)
        self.buffers = self._batches.buffers
        self._read_ahead = ReadAhead.within(memory, threads, self._batches.batch_bytes)
        self.buffers.keep = self._read_ahead.batches + 1
        self.memory = self.buffers.keep * self._batches.batch_bytes
        self._label = store.column("label", self._plan.start, self._plan.stop)
        self._columns = read_columns(store, columns, self._plan.start, self._plan.stop)

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

    def __iter__(self) -> Iterator[Given]:
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

    def batches(self, indices: Sequence[int], epoch: int | None = None) -> Generator[Given]:
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
        pending, owner = deque[Future[Given]](), os.getpid()
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

    def _read(self, plan: EpochPlan, index: int) -> Given:
        batch: Given = self._batches.read(self._samples(plan, index), plan.epoch)
        return batch

    def _samples(self, plan: EpochPlan, index: int) -> SampleBatch:
        samples = plan[index]
        rows = samples - plan.start
        label = self._label[rows]
        if self._store.image.shape[0] > MANY:
            check_labels(self._store, label, samples)
        return SampleBatch(label, samples, {name: values[rows] for name, values in self._columns.items()})

    def __getstate__(self) -> dict[str, Any]:
        arguments = {
            "path": self.path.absolute() if isinstance(self.path, Path) else self.path,
            "plan": self._plan,
            "columns": self.columns,
            "memory": self._memory,
            "threads": self._read_ahead.threads,
            "transform": self._transform,
            "sparse": self.sparse,
        }
        return {"arguments": arguments, "store": self.digest, "batch": self._batch, "is_auto": self._is_auto}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__init__(**state["arguments"])  # type: ignore[misc]
        if self.digest != state["store"]:
            raise StateError(f"{self.path}: was replaced since the stream was pickled or copied")
        self._batch, self._is_auto = state["batch"], state["is_auto"]
