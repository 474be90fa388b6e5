"""The programs ``train-torch`` and ``export-onnx``."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from store import console
from store.extras import require
from train.options import application

if TYPE_CHECKING:
    from store.arrays import Float32Array
    from train.backend import Backend
    from train.config import TrainConfig
    from train.model.specification import Specification


def make_backend(specification: "Specification", config: "TrainConfig", weights: "Float32Array | None") -> "Backend":
    """Import PyTorch and return its backend."""
    from train.progress import announce
    from train.pytorch.memory import keep_memory

    require("torch", "torch")
    announce("loading PyTorch …")
    # Threads that spin while they wait would take processor time from the threads that decode batches.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    keep_memory()
    from train.pytorch.backend import TorchBackend

    return TorchBackend(specification, config, weights)


app = application("torch", make_backend)
onnx_app = typer.Typer()


@onnx_app.command()
def export(run: Annotated[Path, typer.Argument(help="Run directory of train-torch or train-keras.")]) -> None:
    """Write the trained model of a run directory as model.onnx.

    The input `image` is float32 (batch, ieta, iphi, channel), as in the source files; the output `score` is (batch,).

    A model that takes variables has a second input, `variables`, float32 (batch, variable).
    """
    require("torch", "torch")
    console.say("loading PyTorch …")
    from train.pytorch.onnx import export_onnx

    export_onnx(run)
    console.say(f"{run / 'model.onnx'} written; onnxruntime gives the same scores as PyTorch")


def main() -> None:
    """Run ``train-torch``."""
    try:
        console.run(app)
    finally:
        leave_ranks()


def leave_ranks() -> None:
    """Leave the process group that the backend may have joined; PyTorch warns if a process ends without it."""
    distributed = sys.modules.get("torch.distributed")  # imported by the backend
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def main_onnx() -> None:
    """Run ``export-onnx``."""
    console.run(onnx_app)


if __name__ == "__main__":
    main()
