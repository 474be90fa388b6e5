import dataclasses
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from store.datasets import ELECTRON_PHOTON
from store.epoch_record import EpochRecord
from store.errors import RunError
from store.files import replacing
from store.run_folder import SCORERS, RunFolder, installed_versions
from store.run_rules import STORE_KEYS

ROOT = Path(__file__).parents[2]
ATTRIBUTES = {
    "title": "Made up",
    "dataset": "electron-photon",
    "simulated": "Geant4 simulation",
    "sources": [{"name": "a.hdf5"}],
    "split_scheme": "hash",
    "split_ranges": {"train": [0, 6], "validation": [6, 8], "test": [8, 10]},
    "seed": 3,
    "another": "not repeated",
}
STORE: Any = SimpleNamespace(path=Path("data/a.zarr"), digest="abc", attributes=ATTRIBUTES, spec=ELECTRON_PHOTON)
RECORD = EpochRecord(
    epoch=1, train_loss=0.7, train_accuracy=0.5, train_auc=None, validation_loss=0.6, validation_accuracy=0.75,
    validation_auc=0.8, learning_rate=1e-3, seconds=12.5, samples_per_second=1000.0, waiting_share=0.25,
)  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = RunFolder(path=tmp_path / "run")
    folder.create()
    folder.write_config({"model": "cnn", "batch_size": 64}, framework="torch", parameters=7)
    folder.write_environment(STORE, "cpu")
    folder.write_history([RECORD])
    return folder


def test_the_configuration_is_read_as_it_was_written(run: RunFolder) -> None:
    assert run.read_config() == {"model": "cnn", "batch_size": 64, "framework": "torch", "parameters": 7}
    assert run.framework == "torch"


def test_the_environment_names_the_data_the_device_and_the_versions(run: RunFolder) -> None:
    environment = run.read_environment()
    identity = {"path": "data/a.zarr", "digest": "abc", "description": ELECTRON_PHOTON.to_dict()}
    assert environment["store"] == {**identity, **{key: ATTRIBUTES[key] for key in STORE_KEYS}}
    assert environment["device"] == "cpu"
    assert environment["packages"]["numpy"] == installed_versions(["numpy"])["numpy"]
    assert Path(sys.argv[0]).name in environment["command"]


def test_only_installed_distributions_have_a_version() -> None:
    assert installed_versions(["numpy", "no-such-distribution"]).keys() == {"numpy"}


def test_a_specification_is_read_as_it_was_written(run: RunFolder) -> None:
    run.write_specification({"layers": [1, 2]})
    assert run.read_specification() == {"layers": [1, 2]}


def test_a_history_is_read_as_it_was_written(run: RunFolder) -> None:
    records = [dataclasses.replace(RECORD, epoch=epoch) for epoch in (1, 2, 3)]
    run.write_history(records)
    assert run.read_history() == records
    assert run.read_history(2) == records[:2]


def test_a_history_may_lack_timings_and_have_more_columns(run: RunFolder) -> None:
    values = {**dataclasses.asdict(RECORD), "later": "version"}
    for name in ("seconds", "samples_per_second", "waiting_share"):
        del values[name]
    run.history.write_text(json.dumps(values) + "\n")
    assert run.read_history() == [
        dataclasses.replace(RECORD, seconds=None, samples_per_second=None, waiting_share=None)
    ]


def test_lines_after_the_epochs_asked_for_do_not_matter(run: RunFolder) -> None:
    with run.history.open("a") as file:
        file.write('{"epoch": 2, "tr')
    assert run.read_history(1) == [RECORD]
    with pytest.raises(RunError, match=r"history\.jsonl: line 2 is not an epoch"):
        run.read_history()


def edit(name: str, *keys: str, **changes: Any) -> Callable[[RunFolder], None]:
    """Return a function that changes values of a JSON file; a value of None deletes its key."""

    def change(run: RunFolder) -> None:
        path = run.path / name
        document = json.loads(path.read_text())
        part = document
        for key in keys:
            part = part[key]
        part.update(changes)
        for key in [key for key, value in changes.items() if value is None]:
            del part[key]
        path.write_text(json.dumps(document))

    return change


def write(name: str, content: str) -> Callable[[RunFolder], None]:
    def change(run: RunFolder) -> None:
        (run.path / name).write_text(content)

    return change


def delete(name: str) -> Callable[[RunFolder], None]:
    def change(run: RunFolder) -> None:
        (run.path / name).unlink()

    return change


def read_all(run: RunFolder) -> None:
    run.read_config()
    run.read_environment()
    run.read_history()


CONFIG, ENVIRONMENT, HISTORY = "config.json", "environment.json", "history.jsonl"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (delete(CONFIG), "config.json: no such file; is .*run a run directory"),
        (write(CONFIG, "{"), "config.json: not JSON"),
        (write(CONFIG, "[" * 100_000), "config.json: not JSON"),
        (write(CONFIG, "[1]"), "config.json: the file must be a JSON object, got list"),
        (edit(CONFIG, framework=None, model=None), "config.json: the file lacks framework, model$"),
        (edit(CONFIG, parameters="7"), "config.json: parameters must be of type int, got '7'"),
        (edit(CONFIG, parameters=True), "config.json: parameters must be of type int, got True"),
        (edit(CONFIG, variables=5), "config.json: variables must be a list of names, got 5"),
        (edit(CONFIG, variables=["pt", []]), r"config.json: variables must be a list of names, got \['pt', \[\]\]"),
        (edit(CONFIG, parameters=-1), "config.json: parameters = -1 is below 0"),
        (edit(CONFIG, rate=float("nan")), r"config.json: not JSON \(NaN is not a finite number\)"),
        (write(CONFIG, '{"rate": 1e999}'), r"config.json: not JSON \(1e999 is not a finite number\)"),
        (edit(ENVIRONMENT, load=float("inf")), r"environment.json: not JSON \(Infinity is not a finite number\)"),
        (delete(ENVIRONMENT), "environment.json: no such file"),
        (edit(ENVIRONMENT, store=None), "environment.json: the file lacks store"),
        (edit(ENVIRONMENT, store=5), "environment.json: store must be a JSON object, got int"),
        (edit(ENVIRONMENT, "store", digest=None), "environment.json: store lacks digest"),
        (edit(ENVIRONMENT, "store", title=5), "environment.json: store.title must be text, got 5"),
        (edit(ENVIRONMENT, "store", dataset=["a"]), r"environment.json: store.dataset must be text, got \['a'\]"),
        (edit(ENVIRONMENT, "store", dataset="muons"), "environment.json: the description is of 'electron-photon', the"),
        (edit(ENVIRONMENT, "store", dataset="muons", description=None), "environment.json: unknown dataset 'muons'"),
        (edit(ENVIRONMENT, "store", description=7), "environment.json: the description = 7: must be a table"),
        (edit(ENVIRONMENT, "store", "description", title=7), "environment.json: title = 7: must be text"),
        (edit(ENVIRONMENT, "store", "split_ranges", test=None), "environment.json: store.split_ranges lacks test"),
        (edit(ENVIRONMENT, "store", "split_ranges", test=[7, 10]), "environment.json: store.split_ranges = .* overlap"),
        (edit(ENVIRONMENT, "store", "split_ranges", test=[10, 8]), r"split_ranges.test = \[10, 8\] holds no samples"),
        (write("config.json", "[" * 100_000), "not JSON"),
        (write("history.jsonl", "[" * 100_000), "history.jsonl: line 1 is not an epoch .it is nested too deeply"),
        (edit(ENVIRONMENT, "store", "split_ranges", test=[1, 2.5]), "split_ranges.test must be two numbers, got"),
        (delete(HISTORY), "history.jsonl: no such file; has the training run begun"),
        (write(HISTORY, ""), "history.jsonl: holds no epoch"),
        (write(HISTORY, '{"epoch": 1, "tr'), "history.jsonl: line 1 is not an epoch"),
        (write(HISTORY, "5"), "history.jsonl: line 1 is not an epoch .must be a JSON object, got int"),
        (
            write(HISTORY, '{"epoch": 1}'),
            "history.jsonl: line 1 is not an epoch .lacks train_loss, train_accuracy, train_auc",
        ),
        (edit(HISTORY, train_loss="low"), "line 1 is not an epoch .train_loss='low' is not a finite number"),
        (edit(HISTORY, train_loss=float("nan")), "line 1 is not an epoch .train_loss=nan is not a finite number"),
        (edit(HISTORY, train_loss=10**400), "line 1 is not an epoch .train_loss=1000"),
        (lambda run: run.history.write_bytes(b"\xff"), "history.jsonl: cannot be read"),
    ],
)
def test_what_is_wrong_is_named_with_its_file(
    run: RunFolder, damage: Callable[[RunFolder], None], message: str
) -> None:
    read_all(run)
    damage(run)
    with pytest.raises(RunError, match=message):
        read_all(run)


def test_a_loss_may_not_be_missing_but_an_auc_may(run: RunFolder) -> None:
    text = run.history.read_text()
    run.history.write_text(text.replace("0.8", "null"))
    assert run.read_history()[0].validation_auc is None
    run.history.write_text(text.replace("0.6", "null"))
    with pytest.raises(RunError, match="validation_loss=None is not a finite number"):
        run.read_history()


def test_a_directory_that_does_not_exist_is_named(tmp_path: Path) -> None:
    folder = RunFolder(path=tmp_path / "nowhere")
    assert folder.framework is None
    for read in (folder.read_config, folder.read_environment, folder.read_specification):
        with pytest.raises(RunError, match="nowhere: no such run directory"):
            read()


def test_takes_a_free_place(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked" / ".lock").touch()
    for name in ("empty", "locked", "nothing/yet"):
        directory = RunFolder(path=tmp_path / name)
        directory.check_free(overwrite=False)
        directory.create()
        assert {path.name for path in directory.path.iterdir()} - {".lock"} == {"checkpoints", "predictions"}


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


def test_a_disk_without_space_for_the_run_is_refused_with_the_numbers(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.model(".onnx").write_bytes(bytes(5000))
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=10_000))
    kept = sum(file.stat().st_size for file in run.path.rglob("*") if file.is_file())
    run.check_space(1000, (kept - 3000) // 32)  # 13,000 bytes for weights
    with pytest.raises(
        RunError, match=rf"run: the disk is too small: the run needs [0-9,]+ bytes, {10_000 + kept:,} are"
    ):
        run.check_space(1000, (kept - 3000) // 32 + 1)
    run.check_space(1000, (kept - 3000) // 64, scores=3)
    with pytest.raises(RunError, match="the disk is too small"):
        run.check_space(1000, (kept - 3000) // 64 + 1, scores=3)
    RunFolder(path=run.path / "new" / "run").check_space(100, 10)  # asks for the disk of a folder that exists


def test_only_one_process_trains_in_a_directory(tmp_path: Path) -> None:
    folder = RunFolder(path=tmp_path / "new" / "run")
    with folder.locked():
        folder.create()
        with pytest.raises(RunError, match="run: another process is training in this directory"), folder.locked():
            pass
        assert (folder.path / ".lock").exists()
    with folder.locked():
        pass


def test_an_error_of_the_training_is_not_taken_for_a_lock(run: RunFolder) -> None:
    error = BlockingIOError(11, "would block", "elsewhere")
    with pytest.raises(BlockingIOError) as caught, run.locked():
        raise error
    assert caught.value is error


def test_what_a_killed_training_left_of_a_checkpoint_is_deleted(run: RunFolder) -> None:
    run.last_checkpoint.write_bytes(b"whole")
    with replacing(run.last_checkpoint) as partial:
        partial.write_bytes(b"half")
        left = partial.read_bytes()
    partial.write_bytes(left)
    with run.locked():
        assert [path.name for path in run.last_checkpoint.parent.iterdir()] == ["last.npz"]


@pytest.mark.parametrize("module", sorted(set(SCORERS.values())))
def test_every_framework_has_a_program_that_scores(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import importlib.util as u; assert u.find_spec({module!r})"], cwd=ROOT, check=False
    )
    assert done.returncode == 0


@pytest.mark.parametrize("name", ["notes.txt", "thesis/plot.pdf", "predictions/mine.csv", "model.pt"])
def test_a_file_that_no_run_wrote_is_never_deleted(run: RunFolder, name: str) -> None:
    file = run.path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine")
    with pytest.raises(RunError, match=rf"{re.escape(str(file))}: was not written by a training run"):
        run.check_free(overwrite=True)
    file.unlink()
    run.check_free(overwrite=True)
