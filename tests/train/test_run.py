import json
from pathlib import Path
from typing import Any

import pytest

from store.errors import RunError
from train.config import TrainConfig
from train.run import RunDirectory


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    directory = RunDirectory(path=tmp_path / "run")
    directory.create()
    directory.write_config(TrainConfig(run=directory.path, batch_size=64), "torch", 7)
    return directory


def test_records_the_configuration(run: RunDirectory) -> None:
    recorded = json.loads((run.path / "config.json").read_text())
    assert (recorded["framework"], recorded["parameters"], recorded["batch_size"]) == ("torch", 7, 64)


def test_takes_a_free_place(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("empty", "nothing/yet"):
        directory = RunDirectory(path=tmp_path / name)
        directory.check(overwrite=False)
        directory.create()
        assert sorted(path.name for path in directory.path.iterdir()) == ["checkpoints", "predictions"]


def test_a_run_is_replaced_only_when_told(run: RunDirectory) -> None:
    with pytest.raises(RunError, match="already exists; --resume goes on with it, --overwrite replaces it"):
        run.check(overwrite=False)
    run.check(overwrite=True)
    run.create()
    assert not (run.path / "config.json").exists()


@pytest.mark.parametrize("content", ["my thesis", '{"framework": "torch"', "[1]", '{"other": "program"}'])
def test_another_folder_is_never_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(RunError, match="is not a run directory"):
        RunDirectory(path=tmp_path).check(overwrite=True)
    with pytest.raises(RunError, match="is not a run directory"):
        RunDirectory(path=tmp_path / "config.json").check(overwrite=True)
    with pytest.raises(RunError, match="no run to resume"):
        RunDirectory(path=tmp_path).resumed("torch", {})
    assert (tmp_path / "config.json").read_text() == content


def test_goes_on_with_its_own_settings(run: RunDirectory) -> None:
    config = run.resumed("torch", {"epochs": 80, "patience": 9, "threads": 1})
    assert config == TrainConfig(run=run.path, batch_size=64, epochs=80, patience=9, threads=1)
    assert run.resumed("torch", {"batch_size": 64}).batch_size == 64


def test_a_moved_run_goes_on_where_it_is(run: RunDirectory) -> None:
    there = RunDirectory(path=run.path.with_name("moved"))
    run.path.rename(there.path)
    assert there.resumed("torch", {}).run == there.path


@pytest.mark.parametrize(
    "changes", [{"batch_size": 32}, {"learning_rate": 0.1}, {"seed": 1}, {"normalisation": "max"}, {"shuffle": "none"}]
)
def test_does_not_go_on_as_another_run(run: RunDirectory, changes: dict[str, Any]) -> None:
    (name,) = changes
    with pytest.raises(RunError, match=f"was started with {name}=.* and cannot go on with {changes[name]}"):
        run.resumed("torch", changes)


def test_does_not_go_on_in_the_other_framework(run: RunDirectory) -> None:
    with pytest.raises(RunError, match="is a run of torch; train-torch --resume goes on with it"):
        run.resumed("keras", {})
