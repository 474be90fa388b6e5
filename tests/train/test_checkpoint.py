import errno
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from store.errors import StateError
from store.files import replacing
from train.checkpoint import Checkpoint
from train.schedule import ScheduleState, StoppingState

CHECKPOINT = Checkpoint(
    epoch=3,
    schedule=ScheduleState(rate=5e-4, best=0.61, wait=1, cooldown=0),
    stopping=StoppingState(best=0.6, best_epoch=2, wait=1),
    stream={"epoch": 3, "batch": 0, "store": "digest"},
    arrays={"weights/conv1.kernel": np.arange(6, dtype=np.float32).reshape(1, 2, 3), "optimiser/0": np.array(7)},
    outputs={"sample": np.array([4, 2]), "label": np.array([1, 0], np.uint8), "logit": np.array([0.5, -1.0])},
)


def test_survives_the_file(tmp_path: Path) -> None:
    CHECKPOINT.save(tmp_path / "last.npz")
    loaded = Checkpoint.load(tmp_path / "last.npz")
    for name in ("epoch", "schedule", "stopping", "stream"):
        assert getattr(loaded, name) == getattr(CHECKPOINT, name)
    assert loaded.arrays.keys() == CHECKPOINT.arrays.keys()
    for name, array in CHECKPOINT.arrays.items():
        assert loaded.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded.arrays[name], array)
    np.testing.assert_array_equal(loaded.outputs["logit"], CHECKPOINT.outputs["logit"])


def test_a_broken_write_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "last.npz"
    CHECKPOINT.save(path)

    def write_half() -> None:
        with replacing(path) as partial:
            partial.write_bytes(b"half of a checkpoint")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"No space left on device: '.*last\.npz'"):
        write_half()
    assert Checkpoint.load(path).epoch == 3
    assert [file.name for file in tmp_path.iterdir()] == ["last.npz"]


def test_a_missing_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"last\.npz: no such checkpoint"):
        Checkpoint.load(tmp_path / "last.npz")


def test_refuses_other_files(tmp_path: Path) -> None:
    path = tmp_path / "last.npz"
    CHECKPOINT.save(path)
    whole = path.read_bytes()
    middle = whole.index(b"conv1.kernel.npy") + 150
    damaged = {
        "cut": whole[: len(whole) // 2],
        "flipped": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        "text": b"not a checkpoint",
        "empty": b"",
    }
    for content in damaged.values():
        path.write_bytes(content)
        with pytest.raises(StateError, match=r"last\.npz: not a checkpoint of version 2"):
            Checkpoint.load(path)


def test_refuses_other_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.checkpoint.CHECKPOINT_VERSION", 3)
    CHECKPOINT.save(tmp_path / "last.npz")
    monkeypatch.undo()
    with pytest.raises(StateError, match="its version is 3"):
        Checkpoint.load(tmp_path / "last.npz")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epoch": "3"}, "epoch='3' is not a number of epochs"),
        ({"epoch": -1}, "epoch=-1 is not a number of epochs"),
        ({"schedule": ScheduleState(rate="fast")}, "rate='fast' is not a number"),  # type: ignore[arg-type]
        ({"stopping": StoppingState(best=float("nan"))}, "best=nan is not a number"),
        ({"stopping": StoppingState(wait=0.5)}, "wait=0.5 is not a number"),  # type: ignore[arg-type]
        ({"outputs": {"logit": np.zeros(2)}}, "outputs/ has 'logit', expected sample, label, logit"),
        ({"outputs": {**CHECKPOINT.outputs, "logit": np.zeros(3)}}, r"outputs/logit has type float64 and shape \(3,\)"),
        (
            {"outputs": {**CHECKPOINT.outputs, "logit": np.zeros((3, 3))}},
            r"outputs/logit has type float64 and shape \(3, 3\)",
        ),
        (
            {"outputs": {**CHECKPOINT.outputs, "label": np.zeros((2, 3), np.uint8)}},
            r"outputs/label has type uint8 and shape \(2, 3\)",
        ),
        ({"outputs": {**CHECKPOINT.outputs, "sample": np.zeros(2)}}, "outputs/sample has type float64"),
    ],
)
def test_refuses_values_that_no_training_writes(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = tmp_path / "last.npz"
    replace(CHECKPOINT, **changes).save(path)
    with pytest.raises(StateError, match=rf"last\.npz: not a checkpoint of version 2 \({message}"):
        Checkpoint.load(path)


@pytest.mark.parametrize("error", [KeyError("averaged"), ValueError("shape"), RuntimeError("size")])
def test_arrays_that_a_backend_cannot_take_are_named(tmp_path: Path, error: Exception) -> None:
    class Backend:
        def load_state_dict(self, _: object) -> None:
            raise error

    with pytest.raises(StateError, match=r"last\.npz: its arrays are not those of this training"):
        CHECKPOINT.restore(Backend(), tmp_path / "last.npz")  # type: ignore[arg-type]
