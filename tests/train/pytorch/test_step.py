"""A training step: its operations, its optimiser, and that it can be recorded and replayed."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import store
from store.errors import ConfigError, RunError
from train.backend import Steps
from train.config import TrainConfig
from train.presets import preset
from train.pytorch.backend import TorchBackend
from train.pytorch.devices import check_precision, choose_device, join_ranks, naming_missing_operations
from train.pytorch.graphs import WARM_UP_CALLS, Function, ReplayedFunction
from train.pytorch.loss import Loss
from train.pytorch.optimiser import BETAS, EPSILON, Adam
from train.pytorch.step import TrainingStep
from train.resolve import make_specification, resolve_config
from train.run import open_stream
from train.weighting import read_weights

EVERYTHING: dict[str, Any] = {
    "optimiser": "adamw",
    "weight_decay": 0.1,
    "clip_norm": 0.1,
    "ema_decay": 0.9,
    "class_weights": (1.0, 2.0),
    "weight": "label",
}
READS = ("_local_scalar_dense", "item", "nonzero", "_unique2", "equal", "is_nonzero", "masked_select")
UPDATE = 40  # operations of loss, clipping, optimiser and EMA


class Operations(TorchDispatchMode):
    """Counts operations by name."""

    def __init__(self) -> None:
        super().__init__()
        self.count: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


def opened(path: Path, **settings: Any) -> tuple[TorchBackend, TrainConfig]:
    chosen = {**preset("challenge"), "model": "shower", "batch_size": 40, "device": "cpu", **EVERYTHING, **settings}
    opened = store.open_store(path)
    config = resolve_config(TrainConfig(run=Path("unused"), store=path, **chosen), opened)
    weights = read_weights(config, opened)
    assert weights is not None
    return TorchBackend(make_specification(config, opened), config, weights + 1), config


def epoch(backend: TorchBackend, config: TrainConfig) -> list[Steps]:
    return list(backend.feed(open_stream(config, "train", "full", (0, 1))))


def test_the_host_reads_nothing_in_a_step_of_few_operations(showers: Path) -> None:
    backend, config = opened(showers)
    steps = epoch(backend, config)
    backend.train(steps[0], [1e-3])
    backend.predict(steps[0].inputs)
    with Operations() as forward:
        backend.predict(steps[0].inputs)
    with Operations() as step:
        backend.train(steps[1], [1e-3])
    assert [name for name in step.count if name.startswith(READS)] == []
    with Operations() as read:
        torch.ones(1).item()
    assert [name for name in read.count if name.startswith(READS)] != [], "a read would have been seen"
    parameters = len(list(backend.model.parameters()))
    # An operation has at most two gradients, its backward pass some views; each gradient is added to its own place.
    assert step.count.total() < 5 * forward.count.total() + parameters + UPDATE


class Rerun:
    """Records nothing: a replay calls the function on the same tensors."""

    recorded = 0

    def warm_up(self, function: Function, tensors: Sequence[Tensor]) -> Tensor:
        return function(*tensors)

    def record(self, function: Function, tensors: Sequence[Tensor]) -> Callable[[], Tensor]:
        self.recorded += 1
        return lambda: function(*tensors)


def train_seeded(backend: TorchBackend, steps: Steps, rate: float, seed: int) -> Tensor:
    torch.manual_seed(seed)  # for dropout, whose random numbers both backends draw from one generator
    return backend.train(steps, [rate])


def test_replayed_steps_are_those_that_were_not_recorded(showers: Path) -> None:
    plain, config = opened(showers)
    replayed, _ = opened(showers)
    recorder = Rerun()
    replayed._take_step = ReplayedFunction(replayed._step, config.batch_size, recorder)
    replayed._predict = ReplayedFunction(replayed._predict, config.batch_size, recorder)
    state = None
    for number in range(3):  # the last batch of an epoch is smaller
        for index, steps in enumerate(epoch(plain, config)):
            rate = 1e-3 / (1 + index)
            one, two = (train_seeded(backend, steps, rate, index) for backend in (plain, replayed))
            torch.testing.assert_close(one, two, rtol=0, atol=0)
        for steps in epoch(plain, config):
            expected = plain.predict(steps.inputs)
            torch.testing.assert_close(replayed.predict(steps.inputs), expected, rtol=0, atol=0)
        if number == 1:  # a checkpoint, which the recorded step continues from
            state = {name: np.array(array) for name, array in plain.state_dict().items()}
            plain.train(epoch(plain, config)[0], [1.0])
            for backend in (plain, replayed):
                backend.load_state_dict(state)
    assert recorder.recorded == 2
    one, two = plain.state_dict(), replayed.state_dict()
    assert one.keys() == two.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, two[name], err_msg=name)


def test_what_a_replay_returns_is_kept() -> None:
    function = ReplayedFunction(lambda tensor: tensor, 2, Rerun())
    outputs = [function(torch.full((2,), float(value))) for value in range(WARM_UP_CALLS + 3)]
    assert [float(output[0]) for output in outputs] == list(range(WARM_UP_CALLS + 3))


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adam_is_that_of_pytorch_with_the_epsilon_of_keras(decay: float) -> None:
    random = torch.Generator().manual_seed(0)
    start = [torch.randn(shape, generator=random) for shape in ((3, 2, 5, 5), (3,), (4, 6))]
    start[0] = start[0].to(memory_format=torch.channels_last)
    own, reference = ([nn.Parameter(value.clone()) for value in start] for _ in range(2))
    adam, other = Adam(own, decay), torch.optim.AdamW(reference, lr=1e-2, betas=BETAS, weight_decay=decay)
    for step in range(1, 8):
        rate = 1e-2 / step
        other.param_groups[0].update(lr=rate, eps=EPSILON / math.sqrt(1 - BETAS[1] ** step))
        adam.gradients.zero_()
        for one, two in zip(own, reference, strict=True):
            two.grad = torch.randn(two.shape, generator=random) * 10.0 ** -(2 * step)
            assert one.grad is not None
            one.grad += two.grad
        adam.advance(rate)
        adam.step()
        other.step()
        if step == 4:  # the state has the names and shapes of PyTorch's
            slots = other.state_dict()["state"].items()
            state = {f"{index}/{slot}": value.numpy() for index, of in slots for slot, value in of.items()}
            adam.load_state_dict(state)
            assert {name: array.shape for name, array in adam.state_dict().items()} == {
                name: array.shape for name, array in state.items()
            }
    for one, two in zip(own, reference, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-6)
        assert one.stride() == two.stride()


def test_a_step_whose_gradients_overflow_is_left_out() -> None:
    model = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0))
    adam = Adam(list(model.parameters()), 0.0)
    step = TrainingStep(model, 1, Loss(None, 1), adam, None, "float16", 0.5)
    images, label, before = torch.ones(4, 2), torch.tensor([0, 1, 0, 0], dtype=torch.uint8), adam.values.clone()
    for weight, steps in ((1e30, 0), (1.0, 1)):
        step.advance(1e-2)
        logit = step(images, label, torch.full((4,), weight))
        assert logit.dtype == torch.float32
        assert (adam.steps, torch.equal(adam.values, before)) == (steps, steps == 0)


def test_devices_and_precisions_that_are_missing_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    if not torch.backends.mps.is_available():
        with pytest.raises(ConfigError, match="device='mps' but PyTorch finds no Apple GPU; use --device cpu or auto"):
            choose_device("mps")
    with pytest.raises(ConfigError, match=r"'tf32' needs an NVIDIA GPU of compute capability 8\.0 or above, not cpu;"):
        check_precision("tf32", torch.device("cpu"))
    message = r"device='mps': The operator 'aten::x' is not implemented for the MPS device; use --device cpu"
    with pytest.raises(RunError, match=message), naming_missing_operations(torch.device("mps")):
        raise NotImplementedError("The operator 'aten::x' is not implemented for the MPS device. If you want it, ask.")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="device='mps' works with one rank, WORLD_SIZE is 2; use --device cpu"):
        join_ranks("mps")
