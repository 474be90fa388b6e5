import json
from pathlib import Path

import pytest

from store.errors import RunError
from store.run_folder import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    directory = RunFolder(path=tmp_path / "run")
    directory.create()
    directory.write_config({"model": "cnn", "batch_size": 64}, framework="torch", parameters=7)
    return directory


def test_records_the_configuration(run: RunFolder) -> None:
    recorded = json.loads((run.path / "config.json").read_text())
    assert (recorded["framework"], recorded["parameters"], recorded["batch_size"]) == ("torch", 7, 64)


def test_takes_a_free_place(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("empty", "nothing/yet"):
        directory = RunFolder(path=tmp_path / name)
        directory.check_free(overwrite=False)
        directory.create()
        assert sorted(path.name for path in directory.path.iterdir()) == ["checkpoints", "predictions"]


def test_a_run_is_replaced_only_when_told(run: RunFolder) -> None:
    with pytest.raises(RunError, match="already exists; --resume continues it, --overwrite replaces it"):
        run.check_free(overwrite=False)
    run.check_free(overwrite=True)
    run.create()
    assert not (run.path / "config.json").exists()


@pytest.mark.parametrize("content", ["my thesis", '{"framework": "torch"', "[1]", '{"other": "program"}'])
def test_another_folder_is_never_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(RunError, match="is not a run directory"):
        RunFolder(path=tmp_path).check_free(overwrite=True)
    with pytest.raises(RunError, match="is not a run directory"):
        RunFolder(path=tmp_path / "config.json").check_free(overwrite=True)
    assert RunFolder(path=tmp_path).framework is None
    assert (tmp_path / "config.json").read_text() == content
