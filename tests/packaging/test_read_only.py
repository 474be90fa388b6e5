"""Programs run for a user who can write neither the installation nor a home directory."""

import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
JETS = ROOT / "tests/ingest/jets/quark-gluon_pythia_n20.hdf5"
PROGRAMS = Path(sys.executable).parent
NOBODY = 65534
BECOME_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
READ_ALL = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]  # Python may be in root's own home
MUST_FAIL = "from pathlib import Path; import store; Path(store.__file__).with_name('written').touch()"

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """Return a function that runs a program as another user, in a folder which that user owns."""
    if sys.platform != "linux" or os.getuid() != 0:
        pytest.skip("needs root on Linux, to become a user who may not write here")
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, NOBODY, NOBODY)
        environ = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "PYTHONPATH")}
        environ |= {"HOME": "/nonexistent", "XDG_CACHE_HOME": "", "PYTHONDONTWRITEBYTECODE": "1"}

        def call(program: str, *words: str | Path, become: list[str]) -> subprocess.CompletedProcess[str]:
            command = [*become, PROGRAMS / program, *words]
            return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True)

        for become in ([*BECOME_NOBODY, *READ_ALL], BECOME_NOBODY):
            if call("python", "-c", "import numba, store", become=become).returncode == 0:
                break
        else:
            pytest.skip("another user may not read this Python, and setpriv may not lend that right")
        assert "PermissionError" in call("python", "-c", MUST_FAIL, become=become).stderr
        yield lambda *words: call(*words, become=become)


@pytest.mark.parametrize("program", SCRIPTS)
def test_help_is_shown(run: Run, program: str) -> None:
    done = run(program, "--help")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_store_is_made_and_read(run: Run) -> None:
    done = run("ingest", JETS, "--dataset", "quark-gluon", "--output", "jets.zarr")
    assert done.returncode == 0, done.stderr
    code = (
        "import calostream as cs; print(*next(iter(cs.BatchStream('jets.zarr', split='train', batch_size=3))).sample)"
    )
    done = run("python", "-c", code)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == 3
    assert done.stderr.startswith("compiling the decoder, a few seconds; to do this only once, set NUMBA_CACHE_DIR")
    assert done.stderr.count("\n") == 1
