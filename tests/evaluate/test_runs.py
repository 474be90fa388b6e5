import json
from pathlib import Path

import numpy as np
import pytest

from evaluate.runs import load_runs
from store.errors import ConfigError, RunError
from store.predictions import Predictions


def edit(path, **changes):
    values = json.loads(path.read_text())
    for name, value in changes.items():
        if value is None:
            del values[name]
        else:
            values[name] = value
    path.write_text(json.dumps(values))


def edit_store(path, **changes):
    environment = json.loads(path.read_text())
    environment["store"] |= changes
    path.write_text(json.dumps(environment))


def save(path, sample, label, score):
    Predictions(sample=np.array(sample), label=np.array(label), score=np.array(score)).save(path)


def save_raw(path, **columns):
    with path.open("wb") as file:
        np.savez(file, **columns)


def test_a_run_is_read(make_run):
    (run,) = load_runs([make_run("cnn", "keras", epochs=4)])
    assert (run.name, run.framework, run.model) == ("cnn", "keras", "cnn")
    assert run.spec.classes == ("photon", "electron")
    np.testing.assert_array_equal(run.history["epoch"], [1, 2, 3, 4])
    np.testing.assert_allclose(run.history["train_loss"], [0.7, 0.35, 0.7 / 3, 0.175])
    assert {split: predictions.label.size for split, predictions in run.predictions.items()} == {
        "train": 700,
        "validation": 100,
        "test": 200,
    }


def test_an_auc_that_was_not_computed_is_a_gap_in_the_curve(make_run):
    path = make_run("cnn")
    lines = (path / "history.jsonl").read_text().splitlines()
    lines[1] = json.dumps(json.loads(lines[1]) | {"train_auc": None})
    (path / "history.jsonl").write_text("\n".join(lines))
    assert np.isnan(load_runs([path])[0].history["train_auc"]).tolist() == [False, True, False]


def test_runs_of_one_name_are_told_apart_by_their_paths(make_run, monkeypatch, tmp_path):
    make_run("monday/cnn"), make_run("tuesday/cnn"), make_run("other")
    monkeypatch.chdir(tmp_path / "runs")
    runs = load_runs([Path("monday/cnn"), Path("tuesday/cnn"), Path("other")])
    assert [run.name for run in runs] == ["monday/cnn", "tuesday/cnn", "other"]


def test_no_run_is_refused():
    with pytest.raises(ConfigError, match="at least one run directory"):
        load_runs([])


def test_a_run_given_twice_is_refused(make_run):
    path = make_run("cnn")
    with pytest.raises(ConfigError, match="more than once"):
        load_runs([path, path.parent / "." / "cnn"])


def test_a_missing_directory_is_refused(tmp_path):
    with pytest.raises(RunError, match="nowhere: no such run directory"):
        load_runs([tmp_path / "nowhere"])


BREAKS = {
    "no config": (lambda run: (run / "config.json").unlink(), "config.json: no such file"),
    "config is no JSON": (lambda run: (run / "config.json").write_text("{"), "config.json: not JSON"),
    "config is a list": (lambda run: (run / "config.json").write_text("[]"), "config.json: .*object, got list"),
    "no framework": (
        lambda run: edit(run / "config.json", framework=None),
        "config.json: the file lacks framework",
    ),
    "odd parameters": (
        lambda run: edit(run / "config.json", parameters="many"),
        "config.json: parameters must be of type int, got 'many'",
    ),
    "no store": (lambda run: edit(run / "environment.json", store=None), "environment.json: the file lacks store"),
    "bare store": (lambda run: edit(run / "environment.json", store={"path": "x"}), "store lacks digest, title"),
    "odd dataset": (
        lambda run: edit_store(run / "environment.json", dataset="muon"),
        "environment.json: the description is of 'electron-photon', the attribute dataset says 'muon'",
    ),
    "odd framework": (lambda run: edit(run / "config.json", framework=5), "config.json: framework must be of type str"),
    "odd range": (
        lambda run: edit_store(
            run / "environment.json", split_ranges={"train": [0, 1], "validation": 5, "test": [1, 2]}
        ),
        "split_ranges.validation must be two numbers, got 5",
    ),
    "odd digest": (lambda run: edit_store(run / "environment.json", digest=5), "store.digest must be text, got 5"),
    "source without rows": (
        lambda run: edit_store(run / "environment.json", sources=[{"name": "a.hdf5", "rows": "many"}]),
        "environment.json does not describe the store: one of its sources has no number of rows",
    ),
    "no test range": (
        lambda run: edit_store(run / "environment.json", split_ranges={"train": [0, 1], "validation": [1, 2]}),
        "store.split_ranges lacks test",
    ),
    "no history": (lambda run: (run / "history.jsonl").unlink(), "history.jsonl: no such file"),
    "empty history": (lambda run: (run / "history.jsonl").write_text(""), "history.jsonl: holds no epoch"),
    "cut history": (lambda run: (run / "history.jsonl").write_text('{"epoch": 1, "tr'), "line 1 is not an epoch"),
    "bare history": (
        lambda run: (run / "history.jsonl").write_text('{"epoch": 1}'),
        "line 1 is not an epoch .lacks train_loss",
    ),
    "text in history": (
        lambda run: (run / "history.jsonl").write_text((run / "history.jsonl").read_text().replace("0.6", '"high"')),
        "line 1 is not an epoch",
    ),
    "no predictions": (
        lambda run: (run / "predictions" / "test.npz").unlink(),
        "test.npz: no such predictions; has the training run ended",
    ),
    "broken predictions": (lambda run: (run / "predictions" / "test.npz").write_bytes(b"PK"), "test.npz: not a pred"),
    "one class": (
        lambda run: save(run / "predictions" / "test.npz", range(800, 803), [1, 1, 1], [0.1, 0.2, 0.3]),
        "test.npz: at least two samples of each class are needed",
    ),
    "NaN": (
        lambda run: save(run / "predictions" / "test.npz", range(800, 804), [0, 1, 0, 1], [0.1, np.nan, 0.3, 0.4]),
        "test.npz: scores must be finite, got nan in row 1",
    ),
    "logits": (
        lambda run: save(run / "predictions" / "test.npz", range(800, 804), [0, 1, 0, 1], [-3, 2, 0.3, 0.4]),
        r"test.npz: scores must be probabilities in \[0, 1\], got -3.0 to 2.0",
    ),
    "samples of another split": (
        lambda run: save(run / "predictions" / "test.npz", range(4), [0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4]),
        "test.npz: samples 0 to 3 are not all in split 'test', which is 800 to 999",
    ),
    "repeated samples": (
        lambda run: save(run / "predictions" / "test.npz", [800, 801, 801, 802], [0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4]),
        "test.npz: samples must be distinct",
    ),
    "unsorted samples": (
        lambda run: save_raw(
            run / "predictions" / "test.npz",
            sample=[801, 800, 802, 803],
            label=[0, 1, 0, 1],
            score=[0.1, 0.2, 0.3, 0.4],
        ),
        "test.npz: samples must be distinct and in ascending order",
    ),
}


@pytest.mark.parametrize("case", BREAKS)
def test_a_broken_run_is_refused_by_file_and_rule(case, make_run):
    damage, message = BREAKS[case]
    path = make_run("cnn")
    damage(path)
    with pytest.raises(RunError, match=message):
        load_runs([path])
