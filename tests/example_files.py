"""The programs in docs/examples, each run in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.pages import ROOT

EXAMPLES = ROOT / "docs" / "examples"


def run_example(name: str, *words: object, before: Sequence[str] = (), **variables: str) -> str:
    """Run an example with the programs of this environment on the PATH, and return what it prints.

    Parameters
    ----------
    name
        File in docs/examples.
    *words
        Its arguments.
    before
        Words between ``python`` and the file, such as ``-m torch.distributed.run``.
    **variables
        Further variables of the environment.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"} | variables
    command = [sys.executable, *before, EXAMPLES / name, *words]
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
