"""Every task's command names programs and options that exist; the import names are this checkout's."""

import importlib
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SCRIPTS = PYPROJECT["project"]["scripts"]
TASKS = tomllib.loads((ROOT / "pixi.toml").read_text())["tasks"]
CALLS = [(task, call.strip()) for task in TASKS for call in TASKS[task]["cmd"].split("&&")]


Call = Callable[..., tuple[int, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Return what runs a program, ours in this process, and returns its status and all it printed."""

    def run(program: str, *words: str) -> tuple[int, str]:
        if program in SCRIPTS:
            module, function = SCRIPTS[program].split(":")
            monkeypatch.setattr(sys, "argv", [program, *words])
            with pytest.raises(SystemExit) as end:
                getattr(importlib.import_module(module), function)()
            status = end.value.code
        else:
            status = subprocess.run([PROGRAMS / program, *words], cwd=ROOT).returncode
        return status, "".join(capfd.readouterr())

    return run


# `--help` at the end of the whole call, so that an unknown option or command in pixi.toml fails too.
@pytest.mark.parametrize(
    "words", [call for _, call in CALLS], ids=[f"{task}-{call.split()[0]}" for task, call in CALLS]
)
def test_task_calls_what_exists(words: str, call: Call) -> None:
    status, shown = call(*shlex.split(words), "--help")
    assert status == 0, shown
    assert "usage" in shown.lower()


@pytest.mark.parametrize("program", SCRIPTS)
def test_wrong_usage_ends_in_status_2(program: str, call: Call) -> None:
    status, shown = call(program, "--no-such-option")
    assert status == 2
    assert "--no-such-option" in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize("name", ["ingest", "store", "train", "evaluate"])
def test_import_name_is_this_checkout(name: str) -> None:
    # Other distributions own some of these names; with one of them installed, ours must still win.
    found = importlib.import_module(name).__file__
    assert found is not None
    assert Path(found).parent == ROOT / name


def test_programs_start_without_a_framework() -> None:
    # What spawned workers import again must stay light: the frameworks are imported when a training starts.
    code = "import sys, ingest.cli, evaluate.cli, train.pytorch.cli, train.keras.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"torch", "tensorflow", "keras"} & set(done.stdout.split())


def test_import_contracts_hold() -> None:
    done = subprocess.run([PROGRAMS / "lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
