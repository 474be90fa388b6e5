import contextlib
import shutil

import numpy as np
import pytest

import store
from evaluate.figures import draw_runs
from evaluate.occlude import occlude
from evaluate.occlusion import Occlusion
from evaluate.runs import load_runs
from evaluate.stores import find_stores
from evaluate.summary import summarise
from store.errors import ConfigError, RunError, StoreError
from store.model_process import open_model
from store.predictions import Predictions
from store.run_folder import SCORERS, RunFolder
from tests.evaluate.conftest import identify, write_run


def ask(images, variables=None):
    return 1 - np.exp(-images[..., 0].sum(axis=(1, 2), dtype=np.float64) / 50)


@pytest.fixture
def run(tmp_path, real_store, monkeypatch):
    """A run of `line_model` in this process, with the model's predictions for the test split."""
    monkeypatch.setattr("evaluate.occlude.open_model", lambda *_: contextlib.nullcontext(ask))
    path = write_run(tmp_path / "run", store=identify(real_store))
    test = store.open_dataset(real_store, "test")
    predictions = Predictions(sample=np.arange(800, 1000), label=test.label.values, score=ask(test.image.values))
    predictions.save(RunFolder(path=path).predictions("test"))
    return path


def test_the_map_is_the_change_of_the_score_without_the_patch(run, real_store):
    occlusion = occlude(run, samples=20)
    test = store.open_dataset(real_store, "test").isel(sample=slice(20))
    energy = test.image.values[..., 0].astype(np.float64)
    whole, patch = energy.sum(axis=(1, 2)), energy[:, 6:8, 20:22].sum(axis=(1, 2))
    change = np.abs(np.exp(-whole / 50) - np.exp(-(whole - patch) / 50))
    label = test.label.values
    np.testing.assert_allclose(occlusion.change[:, 3, 10], [change[label == value].mean() for value in (0, 1)])
    assert occlusion.change.shape == (2, 16, 16)
    assert occlusion.sample.tolist() == list(range(800, 820))


def test_the_report_shows_where_the_model_looks(run):
    occlude(run, samples=20)
    runs = load_runs([run])
    document = summarise(find_stores(runs), runs)
    assert document.warnings == []
    assert document.runs[0].occlusion.samples == 20
    drawings = [drawing for drawing in draw_runs(runs, document) if drawing.section == "occlusion"]
    assert [drawing.name for drawing in drawings] == ["occlusion-1-photon", "occlusion-1-electron"]
    image = drawings[1].figure.axes[0].images[0].get_array()
    np.testing.assert_array_equal(image[::2, ::2], runs[0].occlusion.change[1])


def test_a_map_of_another_model_is_not_shown(run):
    occlude(run, samples=20)
    path = RunFolder(path=run).predictions("test")
    test = Predictions.load(path)
    Predictions(sample=test.sample, label=test.label, score=test.score * 0.9).save(path)
    runs = load_runs([run])
    document = summarise(find_stores(runs), runs)
    assert document.runs[0].occlusion is None
    assert document.warnings == [
        f"run: its occlusion map belongs to another model; `evaluate occlude {run}` makes a new one"
    ]


def test_a_damaged_map_is_named(run):
    RunFolder(path=run).occlusion.write_bytes(b"PK")
    with pytest.raises(RunError, match=r"occlusion\.npz: not an occlusion map"):
        load_runs([run])


def test_what_cannot_be_hidden_is_refused(run, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="samples=0 must be at least 1"):
        occlude(run, samples=0)
    monkeypatch.setattr("evaluate.occlude.open_model", open_model)
    monkeypatch.setitem(SCORERS, "torch", "tests.evaluate.line_model")
    (run / "model.txt").write_text("broken")
    with pytest.raises(RunError, match="no model here"):
        occlude(run)
    assert Occlusion.load(run) is None
    with pytest.raises(StoreError, match="no store here"):
        occlude(write_run(tmp_path / "gone"))


def test_a_damaged_image_is_refused_with_the_name_of_its_store(run, real_store, tmp_path):
    damaged = tmp_path / "damaged.zarr"
    shutil.copytree(real_store, damaged)
    for shard in damaged.glob("image/c.*"):
        content = bytearray(shard.read_bytes())
        content[64::64] = bytes(len(content[64::64]))
        shard.write_bytes(content)
    environment = run / "environment.json"
    environment.write_text(environment.read_text().replace(str(real_store), str(damaged)))
    with pytest.raises(StoreError, match=r"damaged\.zarr: cannot be read"):
        occlude(run)
    assert Occlusion.load(run) is None
