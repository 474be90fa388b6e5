"""ONNX; needs the extra `onnx`."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from store.errors import RunError, StateError
from train.checkpoint import Checkpoint
from train.model.networks import ARCHITECTURES
from train.model.normalisation import Normalisation
from train.model.specification import Specification
from train.model.weights import initial_weights
from train.schedule import ScheduleState, StoppingState

onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
pytest.importorskip("onnxscript", reason="needs the extra onnx")

# torch 2.13 asks its own trees in an old way while it exports.
pytestmark = pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated:FutureWarning")
SHAPE = (32, 32, 2)


def write_run(path: Path, name: str) -> Path:
    """Write what a run in either framework leaves; the mean of its weights is what it exported."""
    architecture = ARCHITECTURES[name]
    recipe = "none" if architecture.takes_raw_images else "log"
    normalisation = Normalisation(recipe=recipe, scale=(20.0, 5.0), offset=(0.0, 0.1))
    described = Specification(architecture=architecture, normalisation=normalisation, image_shape=SHAPE)
    arrays = {
        f"{part}/{weight}": array + shift
        for part, shift in (("weights", 1), ("average", 0))
        for weight, array in initial_weights(architecture, SHAPE, seed=0).items()
    }
    (path / "checkpoints").mkdir(parents=True)
    (path / "architecture.json").write_text(json.dumps(described.to_dict()))
    stopping, schedule = StoppingState(), ScheduleState(rate=1e-3)
    checkpoint = Checkpoint(epoch=1, schedule=schedule, stopping=stopping, stream={}, arrays=arrays)
    checkpoint.save(path / "checkpoints" / "best.npz")
    return path


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_onnxruntime_scores_batches_of_any_size(name: str, tmp_path: Path) -> None:
    from train.pytorch.model import Classifier
    from train.pytorch.onnx import export_onnx

    run = write_run(tmp_path / "run", name)
    export_onnx(run)
    described = Specification.from_dict(json.loads((run / "architecture.json").read_text()))
    model = Classifier(described).eval()
    model.set_weights(initial_weights(described.architecture, SHAPE, seed=0))
    session = onnxruntime.InferenceSession(run / "model.onnx")
    for size in (1, 3, 40):
        image = np.random.default_rng(size).normal(size=(size, *SHAPE)).astype(np.float32)
        with torch.inference_mode():
            expected = model.score(torch.from_numpy(image)).numpy()
        np.testing.assert_allclose(session.run(None, {"image": image})[0], expected, atol=1e-5)


def test_what_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from train.pytorch import onnx

    run = write_run(tmp_path / "run", "cnn-small")
    monkeypatch.setattr(onnx, "TOLERANCE", -1)
    with pytest.raises(RunError, match="onnxruntime gives"):
        onnx.export_onnx(run)
    assert not (run / "model.onnx").exists()


def test_a_run_that_has_not_ended_is_refused(tmp_path: Path) -> None:
    from train.pytorch.onnx import export_onnx

    with pytest.raises(
        RunError, match=r"architecture\.json: no such file; is .* a run directory, and has the run ended"
    ):
        export_onnx(tmp_path)
    run = write_run(tmp_path / "run", "cnn-small")
    (run / "checkpoints" / "best.npz").unlink()
    with pytest.raises(StateError, match=r"best\.npz: no such checkpoint"):
        export_onnx(run)
