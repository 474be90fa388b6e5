"""The program ``export-onnx``: a trained model of either framework as ``model.onnx`` in its run directory."""

import importlib.util
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor, nn

from store import console, files
from store.errors import ConfigError, RunError
from store.run_folder import RunFolder
from train.checkpoint import Checkpoint
from train.model.specification import Specification
from train.pytorch.model import Classifier

TOLERANCE = 1e-5
app = typer.Typer(add_completion=False)


class ScoringModule(nn.Module):
    """A classifier that gives probabilities."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the probability (batch,) of class 1 for what the model takes, as in the file."""
        return self.model.score(*inputs)


@app.command()
def export(run: Annotated[Path, typer.Argument(help="Run directory of either framework.")]) -> None:
    """Write model.onnx: `image`, float32 (batch, ieta, iphi, channel) as in the file, to `score`, float32 (batch,).

    A model that takes variables has a second input, `variables`, float32 (batch, variable).

    Raises
    ------
    RunError
        If it is no run, or onnxruntime gives other scores than PyTorch.
    ConfigError
        If the extra ``onnx`` is not installed.
    """
    if not all(map(importlib.util.find_spec, ("onnxruntime", "onnxscript"))):
        raise ConfigError("export to ONNX needs onnxruntime and onnxscript; install calostream[onnx]")
    import onnxruntime

    folder = RunFolder(path=run)
    specification = Specification.from_dict(folder.read_specification())
    model = ScoringModule(load_best(folder, specification)).eval()
    shapes = {"image": specification.image_shape}
    if specification.variables.names:
        shapes["variables"] = (len(specification.variables.names),)
    random, batch = np.random.default_rng(0), torch.export.Dim("batch")
    example = {name: random.gamma(0.1, size=(5, *shape)).astype("f4") for name, shape in shapes.items()}
    inputs = tuple(map(torch.from_numpy, example.values()))
    program = torch.onnx.export(
        model,
        inputs,
        input_names=list(shapes),
        output_names=["score"],
        dynamic_shapes={"inputs": tuple({0: batch} for _ in inputs)},
        verbose=False,
    )
    assert program is not None  # as it is for a file
    content = program.model_proto.SerializeToString()
    with torch.inference_mode():
        expected = model(*inputs).numpy()
    (found,) = onnxruntime.InferenceSession(content).run(None, example)
    if not np.allclose(found, expected, rtol=0, atol=TOLERANCE):
        raise RunError(f"{run}: onnxruntime gives {found.tolist()}, PyTorch {expected.tolist()}; nothing was written")
    files.write_whole(folder.model(".onnx"), content)


def load_best(run: RunFolder, specification: Specification) -> Classifier:
    """Return the model that the run exported; checkpoints hold its weights in the layout that the frameworks share."""
    arrays = Checkpoint.load(run.best_checkpoint).arrays
    part = "average/" if any(name.startswith("average/") for name in arrays) else "weights/"
    model = Classifier(specification)
    model.set_weights({name.removeprefix(part): array for name, array in arrays.items() if name.startswith(part)})
    return model


def main() -> None:
    """Run the program ``export-onnx``."""
    console.run(app)
