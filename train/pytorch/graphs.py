"""Functions whose work on a GPU is recorded once, as a CUDA graph, and then replayed by one call of the driver."""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from store.errors import RunError

Function = Callable[..., Tensor]

WARM_UP_CALLS = 3  # in which libraries choose their kernels and take their memory


class Recorder(Protocol):
    """Records the work of a function."""

    def warm_up(self, function: Function, tensors: Sequence[Tensor]) -> Tensor:
        """Return the function's result, computed in the surroundings in which it will be recorded."""
        ...

    def record(self, function: Function, tensors: Sequence[Tensor]) -> Callable[[], Tensor]:
        """Return what does the function's work again on the same tensors, and returns the same tensor each time.

        Recording changes no tensor.

        Raises
        ------
        RunError
            If the work cannot be recorded.
        """
        ...


class ReplayedFunction:
    """A function of tensors that is recorded for one batch size, and called as it is for any other.

    The first calls with that size are warm-up: they compute what the function computes. What a replay does is that of
    the call that was recorded, with other values in the same tensors. So the function must neither read a tensor on the
    host nor depend on numbers that change from call to call, unless they are in tensors.

    Parameters
    ----------
    function
        The function; its tensors are (batch, ...), and so is its result.
    batch_size
        The batch size that is recorded.
    recorder
        Records it.
    """

    def __init__(self, function: Function, batch_size: int, recorder: Recorder) -> None:
        self._function, self._batch_size, self._recorder = function, batch_size, recorder
        self._calls = 0
        self._inputs: tuple[Tensor, ...] = ()
        self._replay: Callable[[], Tensor] | None = None

    def __call__(self, *tensors: Tensor) -> Tensor:
        """Return what the function returns, in a tensor of its own."""
        if len(tensors[0]) != self._batch_size:
            return self._function(*tensors)
        if self._replay is None and self._calls < WARM_UP_CALLS:
            self._calls += 1
            return self._recorder.warm_up(self._function, tensors)
        if self._replay is None:
            self._inputs = tuple(torch.empty_like(tensor) for tensor in tensors)
            self._replay = self._recorder.record(self._function, self._inputs)
        for own, given in zip(self._inputs, tensors, strict=True):
            own.copy_(given)
        return self._replay().clone()


class CudaRecorder:
    """Records CUDA graphs.

    Parameters
    ----------
    device
        A CUDA device.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def warm_up(self, function: Function, tensors: Sequence[Tensor]) -> Tensor:
        """Return the function's result, computed on the stream on which it will be recorded."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            output = function(*tensors)
        current.wait_stream(self._stream)
        output.record_stream(current)
        return output

    def record(self, function: Function, tensors: Sequence[Tensor]) -> Callable[[], Tensor]:
        """Return what does the function's work again on the same tensors, and returns the same tensor each time.

        Raises
        ------
        RunError
            If the work cannot be recorded.
        """
        graph = torch.cuda.CUDAGraph()
        try:
            # Other threads may take page-locked memory meanwhile, which the mode "global" would forbid.
            with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                output = function(*tensors)
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            raise RunError(f"the step cannot be recorded as a CUDA graph ({reason}); use --no-cuda-graph") from None

        def replay() -> Tensor:
            graph.replay()
            return output

        return replay
