"""Without the packages of an extra, everything that needs them says in one line which extra brings them."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from store.extras import require
from tests.examples import run_program
from train.keras.cli import app as keras_app
from train.pytorch.cli import app as torch_app
from train.pytorch.cli import onnx_app


def hide(monkeypatch: pytest.MonkeyPatch, hidden: str) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == hidden else find_spec(name))


@pytest.mark.parametrize(
    ("app", "module", "extra"), [(torch_app, "torch", "torch"), (keras_app, "tensorflow", "keras")]
)
def test_a_training_without_its_framework_writes_nothing(
    app: typer.Typer, module: str, extra: str, showers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide(monkeypatch, module)
    done = run_program(app, "--store", showers, "--run", tmp_path / "run")
    assert done.status == 1
    assert done.err.splitlines()[-1] == f"error: {module} is not installed; `pip install 'calostream[{extra}]'` does it"
    assert not (tmp_path / "run").exists()


def test_an_export_without_pytorch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "torch")
    done = run_program(onnx_app, str(tmp_path))
    assert (done.status, done.err) == (1, "error: torch is not installed; `pip install 'calostream[torch]'` does it\n")


@pytest.mark.parametrize("framework", ["torch", "keras"])
def test_python_without_a_framework(framework: str) -> None:
    code = (
        "import importlib.util; find_spec = importlib.util.find_spec\n"
        f"importlib.util.find_spec = lambda name: None if name == {framework!r} else find_spec(name)\n"
        f"try:\n    import calostream.{framework}\nexcept ImportError as error:\n    print(error)"
    )
    shown = subprocess.check_output([sys.executable, "-c", code], cwd=Path(__file__).parents[2], text=True)
    assert shown == f"{framework} is not installed; `pip install 'calostream[{framework}]'` does it\n"


def test_the_file_or_url_that_needs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "obstore")
    with pytest.raises(ImportError, match=r"^s3://a: obstore is not installed; `pip install 'calostream\[remote\]'`"):
        require("remote", "obstore", needed_by="s3://a")
