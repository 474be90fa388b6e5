"""Where images come from is chosen by what fits, and changes nothing in what is trained."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import store
from store.errors import ConfigError
from store.run_folder import RunFolder
from tests.train.conftest import LineBackend
from tests.train.test_trainers import assert_same_checkpoints, timeless
from train.backend import Backend
from train.config import TrainConfig
from train.feeds import choose_feed, hold_splits, streams_sparse
from train.pytorch.backend import TorchBackend
from train.resident import ResidentSplit, reading_stream
from train.resolve import make_specification, resolve_config, resumed_config
from train.run import open_stream, run_training


class LineOnGpu(LineBackend):
    """A backend on a made-up GPU, which has some free memory and keeps the images of splits."""

    takes_sparse = True

    def __init__(self, free: int) -> None:
        self.free, self.held = free, dict[str, ResidentSplit]()

    def free_memory(self) -> int:
        return self.free

    def hold(self, split: str, images: ResidentSplit) -> None:
        self.held[split] = images


def streams(config: TrainConfig) -> dict[str, store.BatchStream]:
    return {split: open_stream(config, split, "none", (0, 1)) for split in ("train", "validation")}


def exact_bytes(config: TrainConfig) -> int:
    return sum(
        ResidentSplit.read(stream.plan, reading_stream(stream, 64 << 20, 1)).nbytes
        for stream in streams(config).values()
    )


@pytest.mark.parametrize(("feed", "share"), [("auto", 0.5), ("resident", 0.9)])
def test_images_are_resident_if_they_fit_in_a_share_of_the_memory(showers: Path, feed: str, share: float) -> None:
    config = TrainConfig(run=Path("run"), store=showers, feed=feed)
    needed = exact_bytes(config)
    backend = LineOnGpu(int(1.01 * needed / share))
    chosen = choose_feed(config, streams(config), backend)
    assert chosen.name == "resident"
    assert str(chosen).startswith("images of train and validation resident, about ")
    hold_splits(config, chosen, streams(config), backend)
    assert sum(images.nbytes for images in backend.held.values()) == needed
    assert [len(images.images) for images in backend.held.values()] == [240, 80]


def test_images_that_do_not_fit_are_streamed_or_refused(showers: Path) -> None:
    config = TrainConfig(run=Path("run"), store=showers)
    backend = LineOnGpu(exact_bytes(config))
    assert choose_feed(config, streams(config), backend).name == "stream"
    backend.free = backend.free // 2
    message = (
        r"feed='resident': about [\d,]+ bytes needed, [\d,]+ bytes of the .* memory may be used; use --feed stream"
    )
    with pytest.raises(ConfigError, match=message):
        choose_feed(replace(config, feed="resident"), streams(config), backend)


def test_an_estimate_that_was_too_low_is_noticed_while_reading(showers: Path) -> None:
    config = TrainConfig(run=Path("run"), store=showers)
    backend = LineOnGpu(4 * exact_bytes(config))
    chosen = replace(choose_feed(config, streams(config), backend), room=exact_bytes(config) - 1)
    hold_splits(config, chosen, streams(config), backend)
    assert list(backend.held) == ["train"], "validation is streamed"
    with pytest.raises(ConfigError, match=r"the images of validation take more than expected: .* use --feed stream"):
        hold_splits(replace(config, feed="resident"), chosen, streams(config), backend)


def test_without_a_gpu_auto_streams(showers: Path) -> None:
    config = TrainConfig(run=Path("run"), store=showers)
    specification = make_specification(resolve_config(config, store.open_store(showers)), store.open_store(showers))
    backend: Backend = LineBackend(specification, config)
    assert choose_feed(config, streams(config), backend).name == "stream"
    assert choose_feed(replace(config, feed="resident"), streams(config), backend).name == "resident"


def test_large_images_are_streamed_to_a_gpu_in_sparse_form() -> None:
    backend = LineOnGpu(0)
    assert streams_sparse((125, 125, 3), backend)
    assert not streams_sparse((32, 32, 2), backend)
    backend.takes_sparse = False
    assert not streams_sparse((125, 125, 3), backend)


class Interrupted(TorchBackend):
    """A backend that is interrupted in the middle of the second epoch of six batches."""

    steps = 0

    def train(self, *arguments: Any) -> Any:
        self.steps += 1
        if self.steps == 10:
            raise KeyboardInterrupt
        return super().train(*arguments)


@pytest.fixture(scope="module")
def streamed(showers: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    settings: dict[str, Any] = {"epochs": 2, "batch_size": 40, "device": "cpu", "augmentation": "flips"}
    choice: dict[str, Any] = {"where": "source_row >= 10", "balance": "class", "save_every": 0}
    config = TrainConfig(
        run=tmp_path_factory.mktemp("streamed") / "run", store=showers, feed="stream", **settings, **choice
    )
    run_training(config, "torch", TorchBackend)
    return config


def assert_same_run(one: Path, two: Path) -> None:
    for name in ("last", "best"):
        assert_same_checkpoints(*(run / "checkpoints" / f"{name}.npz" for run in (one, two)))
    assert timeless(one) == timeless(two)
    for split in ("train", "validation", "test"):
        scores = [np.load(run / "predictions" / f"{split}.npz")["score"] for run in (one, two)]
        np.testing.assert_array_equal(*scores)


def test_a_resident_training_is_the_streamed_one(streamed: TrainConfig, tmp_path: Path) -> None:
    run_training(replace(streamed, run=tmp_path / "run", feed="resident"), "torch", TorchBackend)
    assert_same_run(streamed.run, tmp_path / "run")


@pytest.mark.parametrize("feeds", [("resident", "stream"), ("stream", "resident")])
def test_an_interrupted_training_goes_on_with_the_other_feed(
    streamed: TrainConfig, tmp_path: Path, feeds: tuple[str, str]
) -> None:
    config = replace(streamed, run=tmp_path / "run", feed=feeds[0])
    with pytest.raises(KeyboardInterrupt):
        run_training(config, "torch", Interrupted)
    resumed = resumed_config(RunFolder(path=config.run), "torch", {"feed": feeds[1]})
    run_training(resumed, "torch", TorchBackend, resume=True)
    assert_same_run(streamed.run, config.run)
