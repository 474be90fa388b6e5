"""Training on a store at a URL: the same as on the store in a folder."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from store import layout
from store.locations import Url
from store.predictions import Predictions
from tests.remote.conftest import upload
from tests.remote.test_streams import cached
from tests.servers import free_port
from tests.showers import write_shower_store
from tests.train.conftest import LineBackend
from train.config import TrainConfig
from train.presets import preset
from train.run import run_training

TRAIN = Path(sys.executable).with_name("train-torch")


@pytest.fixture(scope="module")
def shards_of_showers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store of 400 showers in four shards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "SHARD_BYTES", 1 << 16)
        return write_shower_store(tmp_path_factory.mktemp("shards"), 200)


def history(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]


def scores(run: Path, split: str) -> np.ndarray:
    return Predictions.load(run / "predictions" / f"{split}.npz").score


def test_a_run_takes_window_first_and_full_once_all_images_are_here(
    shards_of_showers: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = upload(shards_of_showers, Url("s3://showers/training/showers.zarr"))
    settings = preset("challenge") | {"epochs": 2, "batch_size": 50, "learning_rate": 0.5}
    config = TrainConfig(run=tmp_path / "remote", store=url, **settings)

    def make_backend(specification, config, weights):
        return LineBackend(specification, config)

    run_training(config, "torch", make_backend)
    assert [epoch["shuffle"] for epoch in history(config.run)] == ["window", "full"]
    recorded = json.loads((config.run / "config.json").read_text())
    assert (recorded["store"], recorded["shuffle"]) == (str(url), "auto")
    assert json.loads((config.run / "environment.json").read_text())["store"]["path"] == str(url)
    # Stopped after the first epoch, and continued with an empty cache.
    monkeypatch.setenv("CALOSTREAM_CACHE", str(tmp_path / "one"))
    run_training(replace(config, run=tmp_path / "stopped", epochs=1), "torch", make_backend)
    monkeypatch.setenv("CALOSTREAM_CACHE", str(tmp_path / "other"))
    run_training(replace(config, run=tmp_path / "stopped"), "torch", make_backend, resume=True)
    assert [epoch["shuffle"] for epoch in history(tmp_path / "stopped")] == ["window", "full"]
    assert np.array_equal(scores(config.run, "test"), scores(tmp_path / "stopped", "test"))


@pytest.mark.slow
def test_four_ranks_with_four_caches_train_as_with_a_store_in_a_folder(
    shards_of_showers: Path, cache: Path, tmp_path: Path
) -> None:
    url = upload(shards_of_showers, Url("s3://showers/ranks/showers.zarr"))
    settings = ["--device", "cpu", "--model", "cnn-small", "--epochs", "1", "--batch-size", "10", "--shuffle", "window"]

    def train(store: object, run: Path) -> list[str]:
        common = {"WORLD_SIZE": "4", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
        processes = [
            subprocess.Popen(
                [TRAIN, "--store", str(store), "--run", run, "--cache", tmp_path / f"rank-{rank}", *settings],
                env=os.environ | common | {"RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"},
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(4)
        ]
        errors = [process.communicate()[1] for process in processes]
        assert [process.returncode for process in processes] == [0] * 4, "\n".join(errors)
        return errors

    errors = train(url, tmp_path / "remote")
    assert errors[1:] == ["", "", ""], "the other ranks have nothing to say, not even at their end"
    train(shards_of_showers, tmp_path / "local")
    for split in ("train", "validation", "test"):
        assert np.array_equal(scores(tmp_path / "remote", split), scores(tmp_path / "local", split))
    fetched = [cached(tmp_path / f"rank-{rank}") for rank in range(4)]
    assert set.union(*fetched) == {0, 1, 2, 3}
    assert min(map(len, fetched)) < 4
