"""From the batch stream to TensorFlow tensors."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from store.arrays import Float32Array
from store.errors import ConfigError
from store.stream import Batch, BatchStream
from train.backend import Steps
from train.expansion import expanded_batches
from train.keras.resident import ResidentImages
from train.resident import ResidentSplit
from train.variables import model_inputs
from train.weighting import loss_columns, model_targets

ALIGNMENT = 64  # bytes; TensorFlow's kernels abort on memory that starts at another address
SAMPLES_PER_CALL, BATCHES_PER_CALL = 8192, 32
BYTES_PER_CALL = 64 << 20

Arrays = tuple[npt.NDArray[Any], ...]


class Feed:
    """Gives the batches of streams as tensors on the devices, from the store or from the devices' memory.

    On the CPU, each call of the backend takes one batch, whose memory the tensors share. For GPUs, it takes several of
    the same size, as many as have 8,192 samples, at most 32 and at least one; of those of a stream, no more than have
    64 MiB.

    Parameters
    ----------
    devices
        Names of the devices.
    variables, weights
        Those of all samples of the store, see `train.variables.read_variables` and `train.weighting.read_weights`; None
        if the model takes images alone, or all samples count the same.
    together
        Batches per call, in place of this rule.
    """

    def __init__(
        self,
        devices: Sequence[str],
        variables: Float32Array | None = None,
        weights: Float32Array | None = None,
        together: int | None = None,
    ) -> None:
        self._devices, self._variables, self._weights, self._together = devices, variables, weights, together
        self._columns = loss_columns(weights)
        self._resident: dict[str, ResidentImages] = {}
        self._on_host: dict[str, ResidentSplit] = {}

    def teach(self, targets: Float32Array) -> None:
        """Give targets beside the labels, see `train.teacher_scores.TeacherScores.targets`."""
        self._columns = loss_columns(self._weights, targets)

    def hold(self, split: str, images: ResidentSplit) -> None:
        """Keep the images of a split in the devices' memory, from where its streams are fed then.

        On the CPU, compiled code expands them faster than TensorFlow's operations do.
        """
        if "CPU" in self._devices[0] and len(self._devices) == 1 and (self._together or 1) == 1:
            self._on_host[split] = images
        else:
            self._resident[split] = ResidentImages(images, self._devices, self._variables, self._columns)

    def __call__(self, stream: BatchStream) -> Iterator[Steps]:
        """Yield the remaining batches of an epoch.

        The inputs are those of `train.variables.model_inputs`: images (n, ieta, iphi, channel), and variables
        (n, variable) if there are any. If there are weights or teachers, the labels come in a tuple with the columns of
        `train.weighting.loss_columns`. If a GPU or several devices hold the split, the inputs are
        `train.keras.resident.HeldInputs`.

        Raises
        ------
        ConfigError
            If the stream is sparse.
        """
        if stream.sparse:
            raise ConfigError("sparse=True: Keras trains on dense images; open the stream without it, or use PyTorch")
        split, batch_size = stream.plan.identity.get("split", ""), stream.plan.batch_size
        on_gpu = "GPU" in self._devices[0]
        together = self._together or (min(BATCHES_PER_CALL, max(1, SAMPLES_PER_CALL // batch_size)) if on_gpu else 1)
        if split in self._resident:
            return self._resident[split].feed(stream, together)
        batch_bytes = 4 * batch_size * int(np.prod(stream.image_shape))
        if self._together is None:
            together = max(1, min(together, BYTES_PER_CALL // batch_bytes))
        if len(self._devices) == 1 and (on_gpu or together > 1):
            # Those of two calls are copied, beside the ones that the stream reads ahead.
            stream.buffers.keep = max(stream.buffers.keep, stream.memory // batch_bytes + 2 * together)
            return copy_ahead(self._batches(stream), self._devices[0], together)
        # Several GPUs get their parts of a batch from the memory of the host.
        return (
            Steps.of_batch(batch, tuple(map(to_tensor, inputs)), as_target(tuple(map(to_tensor, targets))))
            for batch, inputs, targets in self._batches(
                expanded_batches(self._on_host[split], stream) if split in self._on_host else stream
            )
        )

    def _batches(self, stream: Iterable[Batch]) -> Iterator[tuple[Batch, Arrays, Arrays]]:
        for batch in stream:
            yield batch, model_inputs(batch, self._variables), model_targets(batch, self._columns)
            del batch


def copy_ahead(batches: Iterator[tuple[Batch, Arrays, Arrays]], device: str, together: int) -> Iterator[Steps]:
    """Yield batches, some of the same size together, whose tensors a thread has copied to a device.

    TensorFlow begins a copy to a GPU when the kernels that are queued at that moment have ended, and ``tf.identity``
    returns when the copy has ended. So the copies for one call are begun before the call before it is queued: they run
    beside it, only the thread waits, and the batches' memory is not decoded into again before it has been copied.
    """
    groups = grouped(batches, together)
    with ThreadPoolExecutor(1, thread_name_prefix="copies") as pool:
        pending: deque[Future[Steps]] = deque()
        for group in groups:
            pending.append(pool.submit(copy_group, group, device))
            del group
            if len(pending) > 1:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def grouped(
    batches: Iterator[tuple[Batch, Arrays, Arrays]], together: int
) -> Iterator[list[tuple[Batch, Arrays, Arrays]]]:
    """Yield lists of at most so many consecutive batches of the same size."""
    rest: list[tuple[Batch, Arrays, Arrays]] = []
    while group := [*rest, *islice(batches, together - len(rest))]:
        size = len(group[0][0].sample)
        same = next((index for index, fed in enumerate(group) if len(fed[0].sample) != size), len(group))
        group, rest = group[:same], group[same:]
        yield group
        del group


def copy_group(group: list[tuple[Batch, Arrays, Arrays]], device: str) -> Steps:
    """Return batches of the same size as steps, once they have been copied to the device; empties the list."""
    count, samples, labels, parts = len(group), [], [], []
    while group:
        batch, inputs, (label, *columns) = group.pop(0)
        samples.append(batch.sample)
        labels.append(batch.label)
        arrays = *inputs, label.astype(np.int64), *columns
        width = len(inputs)
        del batch, inputs
        on_host = tuple(map(to_tensor, arrays))
        with tf.device(device):
            parts.append(tuple(map(tf.identity, on_host)))
        del arrays, on_host
    with tf.device(device):
        tensors = parts[0] if count == 1 else tuple(map(partial(tf.concat, axis=0), zip(*parts, strict=True)))
    return Steps(
        sample=np.concatenate(samples),
        label=np.concatenate(labels),
        count=count,
        inputs=tensors[:width],
        target=as_target(tensors[width:]),
    )


def as_target(tensors: tuple[tf.Tensor, ...]) -> Any:
    """Return the labels (n,), or a tuple of labels and the columns of `train.weighting.loss_columns`."""
    return tensors if tensors[1:] else tensors[0]


def to_tensor(array: npt.NDArray[Any]) -> tf.Tensor:
    """Return a tensor that shares the array's memory, or that of an aligned copy if the array is not aligned.

    The tensor is made through DLPack, because ``tf.convert_to_tensor`` always copies, and is slower even for a few
    labels.
    """
    if array.ctypes.data % ALIGNMENT:
        memory = np.empty(array.nbytes + ALIGNMENT, np.uint8)
        start = -memory.ctypes.data % ALIGNMENT
        aligned = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
        aligned[...] = array
        array = aligned
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
