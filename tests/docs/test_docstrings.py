"""The docstrings of the public names are complete, by numpydoc's rules, and their examples run."""

import doctest
import inspect
import os
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

import calostream as cs
from tests.examples import showers as images
from tests.examples import write_hdf5

MODULES = os.environ.get(
    "TESTED_MODULES", "calostream calostream.torch" if find_spec("torch") else "calostream"
).split()
NAMES = [f"{module}.{name}" for module in MODULES for name in import_module(module).__all__ if name != "__version__"]
ALLOWED = {
    "ES01": "one sentence can be enough",
    "EX01": "required below of functions alone",
    "PR04": "types are in the annotations",
    "SA01": "pages of the reference are by subject",
}
"""What numpydoc would require, and why it is not required here."""
ATTRIBUTES = "PR01"  # data classes document their attributes, which are the parameters


def public(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    return getattr(import_module(module), attribute)


def examples(name: str) -> list[doctest.Example]:
    """Those that need a trained model are skipped here: tests/train/test_trainers.py loads and scores with one."""
    every = doctest.DocTestParser().get_examples(inspect.getdoc(public(name)) or "")
    return [example for example in every if doctest.SKIP not in example.options]


@pytest.mark.parametrize("name", NAMES)
def test_docstrings_are_complete(name: str) -> None:
    validate = pytest.importorskip("numpydoc.validate", reason="needs the extra docs: pip install 'calostream[docs]'")
    thing = public(name)
    allowed = {*ALLOWED, ATTRIBUTES} if inspect.isclass(thing) else set(ALLOWED) - {"EX01"}
    assert [problem for problem in validate.validate(name)["errors"] if problem[0] not in allowed] == []


@pytest.mark.parametrize("name", [name for name in NAMES if examples(name)])
def test_examples_in_docstrings_run(name: str, showers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    Path("data/electron-photon.zarr").symlink_to(showers)
    write_hdf5(Path("showers.hdf5"), images(40), np.arange(40) % 2)
    names = {"cs": cs, "np": np, "Path": Path}
    found = doctest.DocTest(examples(name), names, name, None, None, None)
    shown: list[str] = []
    outcome = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(found, out=shown.append)
    plt.close("all")
    assert outcome.attempted == len(found.examples)
    assert outcome.failed == 0, "".join(shown)


@pytest.mark.skipif("TESTED_MODULES" in os.environ, reason="runs in the process that another test starts")
@pytest.mark.skipif(find_spec("keras") is None, reason="needs Keras: ./pixiw run test")
def test_the_same_for_keras() -> None:
    # In a process of its own: TensorFlow and the libraries of XRootD do not share one.
    words = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__)
    environment = os.environ | {"TESTED_MODULES": "calostream.keras"}
    done = subprocess.run(words, env=environment, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
