"""The precision that ``auto`` stands for."""

import json
import platform
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from store.run_folder import RunFolder
from tests.train.conftest import LineBackend
from train.config import TrainConfig
from train.precision import CPUINFO, processor_has_bfloat16, resolve_precision
from train.pytorch.backend import TorchBackend
from train.resolve import resumed_config
from train.run import run_training


def test_auto_is_bfloat16_where_it_is_native_and_a_given_precision_stays() -> None:
    assert [resolve_precision("auto", native=native) for native in (True, False)] == ["bfloat16", "float32"]
    assert [resolve_precision("float32", native=native) for native in (True, False)] == ["float32", "float32"]


@pytest.mark.parametrize(
    ("lines", "native"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16 clzero\n", True),
        ("flags\t\t: fpu amx_bf16\n", True),
        ("flags\t\t: fpu avx512f avx512bw avx512_vnni\n", False),
        ("flags\t\t: fpu avx512f\nbugs\t\t: avx512_bf16\n", False),
        ("Features\t: fp asimd bf16\n", False),  # of an Arm processor
    ],
)
def test_instructions_of_the_processor(tmp_path: Path, lines: str, native: bool) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{lines}")
    assert processor_has_bfloat16(tmp_path / "cpuinfo") == native
    assert not processor_has_bfloat16(tmp_path / "missing")


@pytest.mark.skipif(platform.machine() != "x86_64" or not CPUINFO.exists(), reason="not Linux on x86")
def test_pytorch_finds_the_same_instructions() -> None:
    found = torch.cpu.get_capabilities()
    assert processor_has_bfloat16() == (found.get("avx512_bf16", False) or found.get("amx_bf16", False))


class OnOtherMachine(LineBackend):
    """A backend on a machine that computes in bfloat16 natively."""

    def __init__(self, specification: Any, config: TrainConfig, weights: Any = None) -> None:
        super().__init__(specification, config)
        self.precision = resolve_precision(config.precision, native=True)


def test_a_run_records_its_precision_and_keeps_it_on_another_machine(showers: Path, tmp_path: Path) -> None:
    def train(make: Callable[..., Any], config: TrainConfig, *, resume: bool = False) -> str:
        run_training(config, "torch", make, resume=resume)
        return str(json.loads((config.run / "config.json").read_text())["precision"])

    config = TrainConfig(run=tmp_path / "run", store=showers, model="jet-cnn", epochs=1, device="cpu")
    assert train(OnOtherMachine, config) == "bfloat16"
    resumed = resumed_config(RunFolder(path=config.run), "torch", {"precision": "auto", "epochs": 2})
    assert resumed.precision == "bfloat16"
    older = replace(config, run=tmp_path / "older", precision="float32")
    assert train(OnOtherMachine, older) == "float32"
    resumed = resumed_config(RunFolder(path=older.run), "torch", {"epochs": 2})
    assert train(OnOtherMachine, resumed, resume=True) == "float32"


def test_pytorch_trains_in_what_auto_stands_for(showers: Path, tmp_path: Path) -> None:
    config = TrainConfig(run=tmp_path / "auto", store=showers, model="jet-cnn", epochs=1, device="cpu", seed=1)
    run_training(config, "torch", TorchBackend)
    recorded = json.loads((config.run / "config.json").read_text())["precision"]
    assert recorded == ("bfloat16" if processor_has_bfloat16() else "float32")
    run_training(replace(config, run=tmp_path / "given", precision=recorded), "torch", TorchBackend)
    auto, given = (np.load(tmp_path / name / "predictions" / "test.npz")["score"] for name in ("auto", "given"))
    np.testing.assert_array_equal(auto, given)
