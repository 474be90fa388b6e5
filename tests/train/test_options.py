"""The command line, with a backend that needs no framework."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer

from store import console
from tests.train.conftest import LineBackend
from train.config import TrainConfig
from train.model.networks import SHOWER, find_architecture
from train.options import application


@pytest.fixture
def app() -> typer.Typer:
    return application("torch", LineBackend)


def run(app: typer.Typer, *words: object) -> int:
    with pytest.raises(SystemExit) as exit_:
        console.run(app, argv=[str(word) for word in words])
    return int(exit_.value.code or 0)


def history(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (path / "history.jsonl").read_text().splitlines()]


def test_flags_reach_the_run(app: typer.Typer, showers: Path, tmp_path: Path) -> None:
    flags = {"epochs": 2, "batch_size": 48, "learning_rate": 0.25, "schedule": "constant", "warm_up": 0.0}
    words = [word for name, value in flags.items() for word in (f"--{name.replace('_', '-')}", value)]
    assert run(app, "--store", showers, "--run", tmp_path / "run", *words) == 0
    recorded = json.loads((tmp_path / "run" / "config.json").read_text())
    assert {name: recorded[name] for name in flags} == flags
    assert (recorded["framework"], recorded["parameters"]) == ("torch", SHOWER.parameter_count((32, 32, 2)))
    assert [epoch["learning_rate"] for epoch in history(tmp_path / "run")] == [0.25, 0.25]


def test_run_is_named_after_model_and_framework(
    app: typer.Typer, showers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(app, "--store", showers, "--epochs", 1) == 0
    assert (tmp_path / "runs" / "shower-torch" / "predictions" / "test.npz").is_file()
    assert run(app, "--store", showers, "--epochs", 1, "--model", "cnn-small") == 0
    assert (tmp_path / "runs" / "cnn-small-torch" / "predictions" / "test.npz").is_file()
    assert run(app, "--resume") == 0  # the default store, which does not exist here, has showers


def test_flags_override_the_file_and_the_file_overrides_the_preset(
    app: typer.Typer, showers: Path, tmp_path: Path
) -> None:
    (file := tmp_path / "settings.toml").write_text("epochs = 1\nbatch_size = 40\n")
    words = ("--preset", "challenge", "--config", file, "--batch-size", 48)
    assert run(app, "--store", showers, "--run", tmp_path / "run", *words) == 0
    recorded = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (recorded["normalisation"], recorded["epochs"], recorded["batch_size"]) == ("none", 1, 48)


def test_flags_have_the_names_that_people_know(app: typer.Typer, showers: Path, tmp_path: Path) -> None:
    words = ("--lr", 0.25, "--optimizer", "adam", "--weight-decay", 0, "--normalization", "none", "--epochs", 1)
    assert run(app, "--store", showers, "--run", tmp_path / "run", *words) == 0
    recorded = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (recorded["learning_rate"], recorded["optimiser"], recorded["normalisation"]) == (0.25, "adam", "none")


def test_every_setting_has_a_flag(app: typer.Typer, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(app, "-h") == 0
    shown = capsys.readouterr().out
    for field in fields(TrainConfig):
        assert f"--{field.name.replace('_', '-')}" in shown


def test_resume_takes_the_settings_of_the_run(app: typer.Typer, showers: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    assert run(app, "--store", showers, "--run", path, "--epochs", 1, "--batch-size", 48) == 0
    assert run(app, "--run", path, "--resume", "--epochs", 3) == 0
    assert [epoch["epoch"] for epoch in history(path)] == [1, 2, 3]
    assert json.loads((path / "config.json").read_text())["batch_size"] == 48


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--model", "vgg"], 1, "unknown model 'vgg'; known: cnn"),
        (["--normalisation", "median"], 1, "known: auto, none, max, standard, log"),
        (["--batch-size", "0"], 1, "--batch-size: batch_size=0 is not between 1 and"),
        (["--epochs", "0"], 1, "--epochs: epochs=0 is not between 1 and"),
        (["--lr", "nan"], 1, "--learning-rate: learning_rate=nan is not between 1e-12 and 1"),
        (["--lr", "-1"], 1, "--learning-rate: learning_rate=-1.0 is not between 1e-12 and 1"),
        (["--seed", "-1"], 1, "--seed: seed=-1 is not between 0 and"),
        (["--threads", "0"], 1, "--threads: threads=0 is not between 1 and"),
        (["--save-every", "inf"], 1, "--save-every: save_every=inf is not between 0 and"),
        (["--memory", "1MB"], 1, "memory='1MB' is less than two batches"),
        (["--batch-size", "many"], 2, "Invalid value for '--batch-size'"),
        (["--batch-size", "many"], 2, "got 'many'"),
        (["--resume"], 1, "no run to resume here"),
        (["--resume", "--overwrite"], 2, "give --resume or --overwrite, not both"),
        (["--no-such-option"], 2, "No such option"),
        (["--preset", "best"], 1, "unknown preset 'best'; known: challenge, gsoc-resnet15"),
        (["--class-weights", "1,2,3"], 1, "expected 2, one per class of"),
    ],
)
def test_wrong_usage_is_one_clear_line(
    app: typer.Typer,
    showers: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    status: int,
    message: str,
) -> None:
    path = tmp_path / "run"
    assert run(app, "--store", showers, "--run", path, *words) == status
    errors = capsys.readouterr().err
    assert message in errors.replace("\n", " ")
    assert errors.count("\n") == 1
    assert not path.exists()


def test_an_architecture_that_does_not_fit_is_named_by_its_file(
    app: typer.Typer, showers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    architecture = find_architecture("cnn-small").to_dict()
    architecture["layers"][0]["kernel"] = [99, 1]
    (path := tmp_path / "mine.json").write_text(json.dumps(architecture))
    assert run(app, "--store", showers, "--run", tmp_path / "run", "--model", path) == 1
    errors = " ".join(capsys.readouterr().err.split())
    assert f"{path}: model 'cnn-small' does not fit images of (32, 32, 2)" in errors


def test_missing_store_is_one_clear_line(app: typer.Typer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(app, "--store", tmp_path / "no.zarr", "--run", tmp_path / "run") == 1
    assert "no store here" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
