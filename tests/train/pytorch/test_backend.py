"""What the settings of a training make of PyTorch's backend; tests/parity compares it with Keras'."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import store
from store.errors import ConfigError, StateError
from train.config import TrainConfig
from train.metrics import compute_metrics
from train.presets import preset
from train.pytorch.backend import TorchBackend
from train.resolve import make_specification, resolve_config
from train.run import open_stream
from train.weighting import read_weights


def trained(path: Path, steps: int = 5, **settings: Any) -> tuple[TorchBackend, torch.Tensor]:
    """Return a backend after some steps, and its logits for the test split."""
    opened = store.open_store(path)
    chosen = {**preset("challenge"), "model": "shower", "batch_size": 40, "device": "cpu", **settings}
    config = resolve_config(TrainConfig(run=Path("unused"), store=path, **chosen), opened)
    backend = TorchBackend(make_specification(config, opened), config)
    for _, batch in zip(range(steps), backend.feed(open_stream(config, "train", "full", (0, 1))), strict=False):
        backend.train(batch, [config.learning_rate])
    return backend, backend.predict((torch.from_numpy(store.open_dataset(path, split="test").image.values),))


def test_bfloat16_is_float32_less_finely(showers: Path) -> None:
    _, fine = trained(showers, learning_rate=1e-5)
    _, coarse = trained(showers, learning_rate=1e-5, precision="bfloat16")
    assert coarse.dtype == torch.float32
    assert 1e-5 < (fine - coarse).abs().median() < 0.2 * fine.std()


def test_float16_needs_a_gpu(showers: Path) -> None:
    with pytest.raises(ConfigError, match="precision='float16' needs a GPU; use bfloat16 on the CPU"):
        trained(showers, precision="float16")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated")  # torch.compile itself imports it
def test_a_compiled_model_is_the_same(showers: Path) -> None:
    settings = {"model": "cnn-small", "normalisation": "log"}  # without dropout, of which compilation draws other masks
    (plain, logit), (compiled, other) = trained(showers, **settings), trained(showers, **settings, compile=True)
    torch.testing.assert_close(logit, other, atol=1e-2 * float(logit.std()), rtol=1e-3)
    assert plain.state_dict().keys() == compiled.state_dict().keys()


def test_clipping_bounds_the_norm_of_all_gradients(showers: Path) -> None:
    backend, _ = trained(showers, steps=1, clip_norm=1e-3)
    norm = sum(float(value.grad.square().sum()) for value in backend.model.parameters()) ** 0.5
    assert norm == pytest.approx(1e-3, rel=1e-3)


def test_a_class_that_weighs_more_is_found_more_often(showers: Path) -> None:
    _, even = trained(showers, steps=6)
    _, electrons = trained(showers, steps=6, class_weights=(1, 20))
    assert float(electrons.mean()) > float(even.mean()) + 0.05


@pytest.mark.parametrize(("classes", "weight"), [(2, "none"), (2, "pt"), (3, "none"), (3, "weight")])
def test_targets_of_teachers_take_the_place_of_labels(
    jets: Path, three_classes: Path, classes: int, weight: str
) -> None:
    path, random = jets if classes == 2 else three_classes, np.random.default_rng(1)
    opened, of_class = store.open_store(path), np.array([1.0, 2.0, 0.5][:classes])
    settings: dict[str, Any] = {"model": "jet-cnn", "class_weights": of_class.tolist(), "weight": weight}
    config = TrainConfig(run=Path("unused"), store=path, device="cpu", normalisation="log", batch_size=16, **settings)
    weights = read_weights(config, opened)
    backend = TorchBackend(make_specification(config, opened), config, weights)
    samples = opened.image.shape[0]
    targets = random.random(samples) if classes == 2 else random.dirichlet(np.ones(3), samples)
    backend.teach(targets.astype(np.float32))
    batch = next(backend.feed(open_stream(config, "train", "full", (0, 1))))
    logit = backend.train(batch, [config.learning_rate])
    total = of_class[batch.label] * (1 if weights is None else weights[batch.sample])
    expected = compute_metrics(batch.label, logit.double().numpy(), total, targets[batch.sample]).loss * total.mean()
    assert float(backend._loss(logit, *batch.target)) == pytest.approx(expected, rel=1e-5)
    by_label = compute_metrics(batch.label, logit.double().numpy(), total).loss * total.mean()
    assert abs(by_label - expected) > 0.01


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_three_classes_have_their_cross_entropy_with_weights(three_classes: Path, precision: str) -> None:
    opened = store.open_store(three_classes)
    settings: dict[str, Any] = {"model": "jet-cnn", "class_weights": (1.0, 2.0, 0.5), "precision": precision}
    config = TrainConfig(run=Path("unused"), store=three_classes, device="cpu", normalisation="log", **settings)
    weights = read_weights(replace(config, weight="weight"), opened)
    backend = TorchBackend(make_specification(config, opened), config, weights)
    batch = next(backend.feed(open_stream(config, "train", "full", (0, 1))))
    logit = backend.train(batch, [config.learning_rate])
    assert (logit.dtype, logit.shape) == (torch.float32, (len(batch.label), 3))
    assert weights is not None
    weight = weights[batch.sample] * np.array(config.class_weights)[batch.label]
    expected = compute_metrics(batch.label, logit.double().numpy(), weight).loss * weight.mean()
    assert float(backend._loss(logit, *batch.target)) == pytest.approx(expected, rel=1e-5)


def test_the_mean_of_the_weights_follows_them(showers: Path) -> None:
    backend, _ = trained(showers, steps=4, ema_decay=0.9)
    state = backend.state_dict()
    now, mean = state["weights/conv1.kernel"], state["average/conv1.kernel"]
    start, _ = trained(showers, steps=0)
    began = start.state_dict()["weights/conv1.kernel"]
    assert 0 < np.abs(now - mean).max() < np.abs(now - began).max()
    assert int(state["averaged"]) == 4


def test_a_state_of_an_optimiser_of_other_weights_is_refused(showers: Path) -> None:
    backend, _ = trained(showers, steps=1)
    state = backend.state_dict()
    name = next(name for name in state if name.startswith("optimiser/0/exp_avg"))
    with pytest.raises(StateError, match=f"{name} is "):
        backend.load_state_dict({**state, name: state[name][..., :1]})


def test_weights_that_are_no_numbers_are_refused(showers: Path) -> None:
    backend, _ = trained(showers, steps=0)
    state = backend.state_dict()
    bad = {"weights/conv1.kernel": state["weights/conv1.kernel"].astype("U8")}
    with pytest.raises(StateError, match=r"weights must be numbers: conv1\.kernel has type <U8"):
        backend.load_state_dict({**state, **bad})
