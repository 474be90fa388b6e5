"""ONNX; needs the extra `onnx`."""

from pathlib import Path

import numpy as np
import pytest
import torch

from store.errors import RunError, StateError
from store.run_folder import RunFolder
from tests.examples import run_program
from train.checkpoint import Checkpoint
from train.model.networks import ARCHITECTURES
from train.model.normalisation import Normalisation
from train.model.specification import Specification
from train.model.weights import initial_weights
from train.pytorch.cli import onnx_app
from train.schedule import ScheduleState, StoppingState

onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
pytest.importorskip("onnxscript", reason="needs the extra onnx")

SHAPE = (32, 32, 2)


def write_run(path: Path, name: str, classes: int = 2) -> Path:
    """Write the part of a run directory that is needed; the EMA of the weights is what the run exported."""
    architecture = ARCHITECTURES[name].with_outputs(classes)
    recipe = "none" if architecture.takes_raw_images else "log"
    normalisation = Normalisation(recipe=recipe, scale=(20.0, 5.0), offset=(0.0, 0.1))
    specification = Specification(architecture=architecture, normalisation=normalisation, image_shape=SHAPE)
    arrays = {
        f"{part}/{weight}": array + shift
        for part, shift in (("weights", 1), ("average", 0))
        for weight, array in initial_weights(architecture, SHAPE, seed=0).items()
    }
    folder = RunFolder(path=path)
    folder.create()
    folder.write_specification(specification.to_dict())
    stopping, schedule = StoppingState(), ScheduleState(rate=1e-3)
    checkpoint = Checkpoint(epoch=1, schedule=schedule, stopping=stopping, stream={}, arrays=arrays)
    checkpoint.save(folder.best_checkpoint)
    return path


@pytest.mark.parametrize(("name", "classes"), [*((name, 2) for name in ARCHITECTURES), ("jet-cnn", 3)])
def test_onnxruntime_scores_batches_of_any_size(name: str, classes: int, tmp_path: Path) -> None:
    from train.pytorch.model import Classifier
    from train.pytorch.onnx import export_onnx

    run = write_run(tmp_path / "run", name, classes)
    export_onnx(run)
    specification = Specification.from_dict(RunFolder(path=run).read_specification())
    model = Classifier(specification).eval()
    model.set_weights(initial_weights(specification.architecture, SHAPE, seed=0))
    session = onnxruntime.InferenceSession(run / "model.onnx")
    for size in (1, 3, 40):
        image = np.random.default_rng(size).normal(size=(size, *SHAPE)).astype(np.float32)
        with torch.inference_mode():
            expected = model.score(torch.from_numpy(image)).numpy()
        assert expected.shape == ((size,) if classes == 2 else (size, classes))
        np.testing.assert_allclose(session.run(None, {"image": image})[0], expected, atol=1e-5)


def test_the_program_says_what_it_wrote(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", "cnn-small")
    outcome = run_program(onnx_app, None, run)
    assert outcome.status == 0
    assert (run / "model.onnx").is_file()
    done = run_program(onnx_app, None, tmp_path / "nothing")
    assert done.status == 1
    assert done.err.splitlines()[-1] == f"error: {tmp_path / 'nothing'}: no such run directory"


def test_what_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from train.pytorch import onnx

    run = write_run(tmp_path / "run", "cnn-small")
    monkeypatch.setattr(onnx, "TOLERANCE", -1)
    with pytest.raises(RunError, match="onnxruntime gives"):
        onnx.export_onnx(run)
    assert not (run / "model.onnx").exists()


def test_a_run_that_has_not_ended_is_refused(tmp_path: Path) -> None:
    from train.pytorch.onnx import export_onnx

    with pytest.raises(RunError, match=r"architecture\.json: no such file; is .* a run directory, and has the run"):
        export_onnx(tmp_path)
    run = write_run(tmp_path / "run", "cnn-small")
    (run / "checkpoints" / "best.npz").unlink()
    with pytest.raises(StateError, match=r"best\.npz: no such checkpoint"):
        export_onnx(run)
