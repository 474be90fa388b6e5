"""Every task's command names programs and options that exist; programs and packages load only what they need."""

import importlib
import shlex
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

import calostream
import evaluate
import ingest
import store
import train
from calostream.programs import NUMBERS

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SCRIPTS = PYPROJECT["project"]["scripts"]
TASKS = tomllib.loads((ROOT / "pixi.toml").read_text())["tasks"]
HEAVY = {
    "numba",
    "llvmlite",
    "zarr",
    "xarray",
    "dask",
    "distributed",
    "h5py",
    "pandas",
    "scipy",
    "sklearn",
    "matplotlib",
}
HEAVY |= {"torch", "tensorflow", "keras"}
CALLS = [(task, call.strip()) for task in TASKS for call in TASKS[task]["cmd"].split("&&")]


Call = Callable[..., tuple[int, str]]


@pytest.fixture
def handlers() -> Iterator[None]:
    """Restore the handlers of signals, which our programs set and keep until the process ends."""
    before = {number: signal.getsignal(number) for number in NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def call(handlers: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Return a function that runs a program and returns its status and output; ours run in this process."""

    def run(program: str, *words: str) -> tuple[int, str]:
        if program in SCRIPTS:
            module, function = SCRIPTS[program].split(":")
            monkeypatch.setattr(sys, "argv", [program, *words])
            with pytest.raises(SystemExit) as end:
                getattr(importlib.import_module(module), function)()
            status = end.value.code
        elif (program, words[0]) == ("python", "-m"):  # a benchmark
            with pytest.raises(SystemExit) as end:
                importlib.import_module(words[1]).main(list(words[2:]))
            status = end.value.code or 0
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


def loaded(code: str) -> set[str]:
    """Return the names of the modules that a new process has loaded after it ran some code."""
    words = [sys.executable, "-c", f"{code}\nimport sys\nprint()\nprint(*sys.modules)"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


# Numba alone takes half a second, and workers of a cluster import the command lines again.
@pytest.mark.parametrize(
    "words",
    [(program,) for program in SCRIPTS] + [("ingest", "convert"), ("evaluate", "score")],
    ids=" ".join,
)
def test_help_loads_no_heavy_library(words: tuple[str, ...]) -> None:
    module, function = SCRIPTS[words[0]].split(":")
    start = f"import sys, {module}\nsys.argv = {[*words, '--help']}\n"
    modules = loaded(f"{start}try:\n    {module}.{function}()\nexcept SystemExit as end:\n    assert end.code == 0")
    assert "typer" in modules
    assert not HEAVY & modules


def test_calostream_loads_nothing_before_a_name_is_used() -> None:
    modules = loaded("import calostream")
    assert not (HEAVY | {"numpy", "typer", "rich", "store", "ingest", "train", "evaluate"}) & modules
    modules = loaded("import calostream; calostream.BatchStream")
    assert "numba" in modules
    assert not {"torch", "tensorflow", "keras", "ingest", "train", "evaluate"} & modules


@pytest.mark.parametrize("package", [calostream, store, ingest, train, evaluate], ids=lambda package: package.__name__)
def test_public_names_are_what_they_are_called(package: ModuleType) -> None:
    for name in package.__all__:
        value = getattr(package, name)
        assert getattr(value, "__name__", name) == name
    assert set(package.__all__) <= set(dir(package))
    for name in ("no_such_name", "version", "load"):
        with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute '{name}'"):
            getattr(package, name)


def test_import_contracts_hold() -> None:
    done = subprocess.run([PROGRAMS / "lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
