"""A batch stream as a `keras.utils.PyDataset`, for ``fit``, ``evaluate`` and ``predict`` on every backend of Keras."""

import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import keras
import numpy as np
from keras.src.trainers.data_adapters.data_adapter import DataAdapter
from keras.src.trainers.epoch_iterator import EpochIterator

from store.arrays import Float32Array
from store.errors import ConfigError, PlanError
from store.opening import open_store
from store.stream import Batch, BatchStream

Item = tuple[Any, ...]
"""What a `Dataset` gives for a batch: the inputs of the model, the labels, and the weights if there are any."""
LOST = ("y", "sample_weight", "class_weight")
"""Arguments of ``fit`` that Keras does not pass on to a data adapter."""


class Dataset(keras.utils.PyDataset, DataAdapter):
    """The batches of a stream, for Keras.

    Each item is ``(image, label)``: float32 (batch, ieta, iphi, channel) and uint8 (batch,), in the memory of the
    stream's batch. If the stream has further columns, the item is ``((image, variables), label)`` with float32
    (batch, variable), for a model with two inputs. With weights it is ``(..., label, weight)`` with float32 (batch,).

    ``dataset[i]`` is batch i of the current epoch. Iterating gives the remaining batches of the epoch, and then moves
    to the next epoch; an iteration that is left before its end is begun again by the next one. The order is always that
    of the stream, whatever ``fit(shuffle=...)`` is.

    Parameters
    ----------
    stream
        The batches. Its own position does not move.
    weight
        The column of the stream that has the weight of each sample. The other columns are the variables.
    class_weight
        Weight of each class, such as ``{0: 1.0, 1: 2.5}``, in place of the argument of ``fit``; classes that are left
        out have weight 1. Together with `weight`, the product of both is used.
    **options
        ``workers``, ``use_multiprocessing`` and ``max_queue_size``, as every `keras.utils.PyDataset` takes them. They
        change nothing: the threads of the stream decode the batches.

    Attributes
    ----------
    stream : BatchStream
        The batches.

    Raises
    ------
    ConfigError
        If the stream is sparse or has no column `weight`, or `class_weight` names a class that the store does not have.

    Examples
    --------
    >>> from calostream.keras import Dataset
    >>> dataset = Dataset(cs.BatchStream("data/electron-photon.zarr", split="train", batch_size=64))
    >>> image, label = dataset[0]
    >>> image.shape
    (64, 32, 32, 2)
    """

    def __init__(
        self,
        stream: BatchStream,
        *,
        weight: str | None = None,
        class_weight: Mapping[int, float] | None = None,
        **options: Any,
    ) -> None:
        if stream.sparse:
            raise ConfigError("sparse=True: a Dataset gives dense images; iterate over a sparse stream itself")
        super().__init__(**options)
        self.stream = stream
        if weight is not None and weight not in stream.columns:
            raise ConfigError(f"the stream has no column {weight!r}; open it with columns=({weight!r},)")
        self._weight, self._class_weight = weight, None
        if class_weight is not None:
            self._class_weight = _weight_table(class_weight, open_store(stream.path).spec.classes)
        self._variables = tuple(name for name in stream.columns if name != weight)
        # The next batch, the one with which the next iteration begins, and the iteration that is under way.
        self._epoch, self._batch, self._start = 0, 0, 0
        self._batches: Generator[Batch] | None = None
        self._move_to(stream.epoch, stream.state_dict()["batch"])
        self._epoch_ended = False  # by an iteration, and Keras has not yet called on_epoch_end
        self._keras_starts = False  # Keras has asked for the number of batches, and for no batch yet

    def __repr__(self) -> str:
        return f"Dataset({self.stream!r})"

    @property
    def epoch(self) -> int:
        """Number of the current epoch, from 0."""
        return self._epoch

    def __len__(self) -> int:
        """Return the number of batches in a whole epoch."""
        return len(self.stream)

    def __getitem__(self, index: int) -> Item:
        """Return batch `index` of the current epoch."""
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} is not in [0, {len(self)}), the batches of the epoch")
        with closing(self.stream.batches([index], self._epoch)) as batches:
            return self._item(next(batches))

    def __iter__(self) -> Iterator[Item]:
        """Yield the remaining batches of the current epoch.

        Raises
        ------
        PlanError
            If another iteration has begun since.
        """
        self._batch = self._start
        self._batches = batches = self.stream.batches(range(self._start, len(self)), self._epoch)
        self._epoch_ended = False
        try:
            for batch in batches:
                if self._batches is not batches:
                    raise PlanError("another iteration of this dataset has begun; use a second dataset")
                self._batch += 1
                if self._batch == len(self):  # Keras does not ask for more than this batch
                    self._move_to(self._epoch + 1)
                    self._epoch_ended = True
                yield self._item(batch)
                del batch
        finally:
            batches.close()
            if self._batches is batches:
                self._batches = None

    def on_epoch_begin(self) -> None:
        """Take note that Keras begins an epoch."""
        self._keras_starts = False

    def on_epoch_end(self) -> None:
        """Move to the next epoch, unless an iteration has just done so.

        Where ``steps_per_epoch`` divides an epoch of the stream, the next batch is the one after the last step.
        """
        if self._keras_starts:
            return  # Keras calls this before it trains, also when it has only looked at the first batch
        if self._batches is not None:
            self._start = self._batch
        elif not self._epoch_ended:
            self._move_to(self._epoch + 1)
        self._epoch_ended = False

    def set_epoch(self, epoch: int) -> None:
        """Move to the first batch of an epoch.

        Raises
        ------
        StateError
            If `epoch` is not an integer of at least 0.
        """
        self.load_state_dict({**self.stream.state_dict(), "epoch": epoch, "batch": 0})

    def state_dict(self) -> dict[str, Any]:
        """Return the position as JSON values, see `store.stream.BatchStream.state_dict`."""
        return {**self.stream.state_dict(), "epoch": self._epoch, "batch": self._batch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Move to the position at which `state_dict` was called, also that of the stream.

        Raises
        ------
        StateError
            See `store.stream.BatchStream.load_state_dict`.
        """
        self.stream.load_state_dict(state)
        self._move_to(self.stream.epoch, self.stream.state_dict()["batch"])

    def _move_to(self, epoch: int, batch: int = 0) -> None:
        if batch == len(self):
            epoch, batch = epoch + 1, 0
        self._epoch, self._batch, self._start = epoch, batch, batch
        self._batches = None

    def _item(self, batch: Batch) -> Item:
        inputs: Any = batch.image
        if self._variables:
            inputs = batch.image, np.column_stack([batch.columns[name] for name in self._variables]).astype(np.float32)
        weight = None if self._weight is None else batch.columns[self._weight].astype(np.float32)
        if self._class_weight is not None:
            of_class = self._class_weight[batch.label]
            weight = of_class if weight is None else weight * of_class
        return (inputs, batch.label) if weight is None else (inputs, batch.label, weight)

    # What Keras asks of a data adapter. It would wrap a plain PyDataset in one that shuffles the numbers of the batches
    # and, with TensorFlow, reads ahead, so that nobody knew which batch the model has been trained on.

    batch_size = None

    @property
    def num_batches(self) -> int:
        """Number of batches in a whole epoch.

        Raises
        ------
        ConfigError
            If Keras was given an argument that a dataset already determines.
        """
        caller = sys._getframe(1).f_locals  # the only way to learn what Keras would ignore in silence
        if isinstance(caller.get("self"), EpochIterator):
            for name in LOST:
                if caller.get(name) is not None:
                    raise ConfigError(
                        f"{name} has no effect beside a Dataset, which gives labels and weights itself: "
                        "see Dataset(weight=..., class_weight=...)"
                    )
        self._keras_starts = True
        return len(self)

    def get_numpy_iterator(self) -> Iterator[Item]:
        """Return the remaining batches of the epoch as numpy arrays."""
        return iter(self)

    def get_jax_iterator(self) -> Iterator[Item]:
        """Return the remaining batches of the epoch as numpy arrays, which JAX takes over without a copy."""
        return iter(self)

    def get_torch_dataloader(self) -> Iterator[Item]:
        """Yield the remaining batches of the epoch as tensors in the memory of the batches; no DataLoader is needed."""
        from torch import from_numpy

        for inputs, *vectors in self:
            images = tuple(map(from_numpy, inputs)) if self._variables else from_numpy(inputs)
            yield (images, *map(from_numpy, vectors))

    def get_tf_dataset(self) -> Any:
        """Return a tf.data.Dataset of the remaining batches of the epoch, in the memory of the batches.

        One call of Python per batch, in a plain map, costs half of what ``tf.data.Dataset.from_generator`` does.
        """
        import tensorflow as tf

        shapes: list[tuple[int | None, ...]] = [(None, *self.stream.image_shape)]
        if self._variables:
            shapes.append((None, len(self._variables)))
        inputs, weighted = len(shapes), self._weight is not None or self._class_weight is not None
        shapes += [(None,)] * (1 + weighted)
        types = [*[tf.float32] * inputs, tf.uint8, *[tf.float32] * weighted]
        under_way: dict[int, Iterator[Item]] = {}  # the newest iteration, by its number

        def begin() -> tuple[int, int]:
            number = max(under_way, default=0) + 1
            under_way.clear()
            under_way[number] = iter(self)
            return number, len(self) - self._start

        def read(number: int) -> list[Any]:
            if number not in under_way:
                raise PlanError("another iteration of this dataset has begun; use a second dataset")
            images, *vectors = next(under_way[number])
            return [*(images if self._variables else [images]), *vectors]

        def as_item(number: Any) -> Item:
            tensors = tf.numpy_function(read, [number], types)
            for tensor, shape in zip(tensors, shapes, strict=True):
                tensor.set_shape(shape)
            return (tuple(tensors[:inputs]) if inputs > 1 else tensors[0], *tensors[inputs:])

        def of_iteration(_: Any) -> Any:
            number, batches = tf.numpy_function(begin, [], [tf.int64, tf.int64])
            return tf.data.Dataset.range(batches).map(lambda _: as_item(number))

        options = tf.data.Options()
        options.experimental_optimization.inject_prefetch = False  # the position is that of the model
        return tf.data.Dataset.range(1).flat_map(of_iteration).with_options(options)


def _weight_table(weights: Mapping[int, float], classes: Sequence[str]) -> Float32Array:
    """Return the weight of each class, float32 (class,)."""
    table = np.ones(len(classes), np.float32)
    for label, weight in weights.items():
        if label not in range(len(classes)):
            known = ", ".join(f"{number} ({name})" for number, name in enumerate(classes))
            raise ConfigError(f"class_weight has the class {label!r}; the store has {known}")
        if not 0 <= weight < np.inf:
            raise ConfigError(f"class_weight: {weight!r} for class {label} is not a number of at least 0")
        table[label] = weight
    return table
