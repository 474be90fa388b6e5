"""Export of a trained model of either framework to ONNX."""

import logging
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from store import files
from store.arrays import Float32Array
from store.errors import RunError
from store.extras import require
from store.run_folder import RunFolder
from train.checkpoint import Checkpoint
from train.model.specification import Specification
from train.pytorch.model import Classifier

TOLERANCE = 1e-5
EXAMPLES = 5  # samples that the exported model is checked on


class ScoringModule(nn.Module):
    """A classifier that returns probabilities instead of logits."""

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return what `Classifier.score` returns for the same inputs."""
        return self.model.score(*inputs)


def export_onnx(run: Path) -> None:
    """Write ``model.onnx`` into a run directory, after checking that onnxruntime gives the same scores as PyTorch.

    Its input ``image`` is float32 (batch, ieta, iphi, channel), with values as in the source files, and its output
    ``score`` float32 (batch,), the probability of class 1, or (batch, K), the probabilities of K > 2 classes. A model
    that takes variables has a second input, ``variables``, float32 (batch, variable).

    Raises
    ------
    RunError
        If the folder is not a run directory, or onnxruntime and PyTorch give different scores.
    StateError
        If there is no checkpoint of the best model.
    MissingPackageError
        If the extra ``onnx`` is not installed.
    """
    require("onnx", "onnxruntime", "onnxscript")
    folder = RunFolder(path=run)
    specification = Specification.from_dict(folder.read_specification())
    model = ScoringModule(load_best(folder, specification)).eval()
    examples = make_examples(specification)
    content = to_onnx(model, examples)
    check_scores(run, model, content, examples)
    files.write_whole(folder.model(".onnx"), content)


def load_best(folder: RunFolder, specification: Specification) -> Classifier:
    """Return the model that the run exported, from its best checkpoint.

    The weights in a checkpoint are in the layout that both frameworks share.
    """
    arrays = Checkpoint.load(folder.best_checkpoint).arrays
    prefix = "average/" if any(name.startswith("average/") for name in arrays) else "weights/"
    model = Classifier(specification)
    model.set_weights({name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)})
    return model


def make_examples(specification: Specification) -> dict[str, Float32Array]:
    """Return random inputs by name, a few samples of each."""
    shapes = {"image": specification.image_shape}
    if specification.variables.names:
        shapes["variables"] = (len(specification.variables.names),)
    random = np.random.default_rng(0)
    return {name: random.gamma(0.1, size=(EXAMPLES, *shape)).astype(np.float32) for name, shape in shapes.items()}


def to_onnx(model: ScoringModule, examples: dict[str, Float32Array]) -> bytes:
    """Return the model in the ONNX format, for batches of any size."""
    batch = torch.export.Dim("batch")
    # The exporter lists the operators of torchvision that it cannot export; no model of this project uses them.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch 2.13 calls one of its own deprecated functions
        program = torch.onnx.export(
            model,
            tuple(map(torch.from_numpy, examples.values())),
            input_names=list(examples),
            output_names=["score"],
            dynamic_shapes={"inputs": tuple({0: batch} for _ in examples)},
            verbose=False,
        )
    assert program is not None  # it is None only when a file is written
    content: bytes = program.model_proto.SerializeToString()
    return content


def check_scores(run: Path, model: ScoringModule, content: bytes, examples: dict[str, Float32Array]) -> None:
    """Raise RunError if onnxruntime and PyTorch give different scores."""
    import onnxruntime

    with torch.inference_mode():
        expected = model(*map(torch.from_numpy, examples.values())).numpy()
    (scores,) = onnxruntime.InferenceSession(content).run(None, examples)
    if not np.allclose(scores, expected, rtol=0, atol=TOLERANCE):
        raise RunError(
            f"{run}: onnxruntime gives scores {scores.tolist()}, PyTorch {expected.tolist()}; nothing was written"
        )
