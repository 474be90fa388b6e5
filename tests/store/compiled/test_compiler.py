"""Machine code on disk is never older than its sources, and programs run even if it cannot be stored."""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DRAWS = """
import numpy as np
from store.compiled.draws import fill_draws
from store.compiled.permutation import make_keys
drawn = np.zeros(10, np.int64)
one = np.zeros(1, np.int64)
fill_draws(np.arange(100), np.zeros(100, np.uint8), one + 100, one, one + 10, np.stack([make_keys(0)]), drawn)
print(*drawn)
"""
HITS = """
import numpy as np
from store.compiled import compiler
from store.compiled.source_values import all_finite
assert all_finite(np.zeros(1, np.uint32)) and not all_finite(np.full(1, 0x7F800000, np.uint32))
print(all_finite.stats.cache_hits.total(), compiler.CACHE)
"""
FOLDERS = ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME")

Run = Callable[..., str]


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    """Return a folder with a copy of `store` for which nothing has been compiled."""
    shutil.copytree(ROOT / "store", tmp_path / "installation/store", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "installation"


@pytest.fixture
def run(installation: Path, tmp_path: Path) -> Run:
    """Return a function that runs a script with that copy and returns the last line it prints."""

    def call(script: str, before: Callable[[], None] | None = None, **folders: Path | str) -> str:
        variables = {name: value for name, value in os.environ.items() if name not in FOLDERS}
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=tmp_path,
            env={**variables, "PYTHONPATH": str(installation), **{name: str(path) for name, path in folders.items()}},
            preexec_fn=before,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return done.stdout.splitlines()[-1]

    return call


def refuse(folder: Path) -> None:
    """Put a file where a folder would have to be made; permissions would not stop root."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.touch()


def test_a_change_in_a_function_that_another_file_calls_is_noticed(installation: Path, run: Run) -> None:
    draws = run(DRAWS)
    assert len(set(draws.split())) == 10
    assert run(DRAWS) == draws
    source = installation / "store/compiled/permutation.py"
    code = source.read_text()
    assert code.count("0x94D049BB133111EB") == 1
    source.write_text(code.replace("0x94D049BB133111EB", "0x94D049BB133111ED"))
    assert run(DRAWS) != draws


def test_machine_code_is_kept_beside_the_sources_and_used_again(installation: Path, run: Run) -> None:
    hits, folder = run(HITS).split()
    assert hits == "0"
    assert Path(folder).parent == installation / "store/compiled/__pycache__"
    assert run(HITS) == f"1 {folder}"


def test_a_folder_that_the_user_names_goes_first(tmp_path: Path, run: Run) -> None:
    assert Path(run(HITS, NUMBA_CACHE_DIR=tmp_path / "named").split()[1]).is_relative_to(tmp_path / "named")


def test_a_read_only_installation_uses_the_users_cache_folder(installation: Path, tmp_path: Path, run: Run) -> None:
    refuse(installation / "store/compiled/__pycache__")
    folder = run(HITS, HOME=tmp_path / "home").split()[1]
    assert Path(folder).parent == tmp_path / "home/.cache/calostream"
    assert run(HITS, HOME=tmp_path / "home") == f"1 {folder}"
    folder = run(HITS, HOME=tmp_path / "home", XDG_CACHE_HOME=tmp_path / "xdg").split()[1]
    assert Path(folder).parent == tmp_path / "xdg/calostream"


def test_where_no_folder_can_be_written_there_is_no_cache(installation: Path, tmp_path: Path, run: Run) -> None:
    refuse(installation / "store/compiled/__pycache__")
    refuse(tmp_path / "home")
    assert run(HITS, HOME=tmp_path / "home", NUMBA_CACHE_DIR=tmp_path / "home/named") == "0 None"


def test_a_disk_that_takes_no_more_bytes_is_no_cache(run: Run, tmp_path: Path) -> None:
    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    assert run(HITS, fill, HOME=tmp_path / "home") == "0 None"
