"""The package installed as users install it, from a wheel and editable, also beside packages of the same names."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SCRIPTS, VERSION = PROJECT["scripts"], PROJECT["version"]
PACKAGES = ("calostream", "store", "ingest", "train", "evaluate")
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
OFFLINE = ("--quiet", "--no-deps", "--no-index")
SLOW_TO_CHECK = ",".join(f"{name}.*" for name in ("numpy", "torch", "xarray", "zarr", "rich", "dask", "matplotlib"))

Answer = tuple[int, str, str]


class Environment:
    """A virtual environment with everything that this one has, except this project."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder)
        self.folder = folder
        self.site_packages = next(folder.glob("lib/python*/site-packages"))
        # Python ignores .pth files in folders that a .pth file adds, so that editable installs there have no effect.
        (self.site_packages / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"])

    def run(self, program: str, *words: str, folder: Path | None = None, **variables: str) -> Answer:
        """Run a program of the environment and return its status and what it printed."""
        environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
        command = [self.folder / "bin" / program, *words]
        done = subprocess.run(command, cwd=folder or self.folder, env=environ, capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    def pip(self, command: str, *words: str | Path) -> None:
        subprocess.run([*PIP, "--python", self.folder / "bin/python", command, *words], check=True)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the project with what a build needs."""
    folder = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([*PIP, "wheel", *OFFLINE, "--no-build-isolation", "--wheel-dir", folder, source], check=True)
    (path,) = folder.iterdir()
    return path


@pytest.fixture(scope="module")
def from_wheel(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    environment = Environment(tmp_path_factory.mktemp("from wheel"))
    environment.pip("install", *OFFLINE, wheel)
    return environment


@pytest.fixture(scope="module")
def editable(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    environment = Environment(tmp_path_factory.mktemp("editable"))
    environment.pip("install", *OFFLINE, "--no-build-isolation", "--editable", source)
    return environment


@pytest.fixture(params=["from_wheel", "editable"])
def installed(request: pytest.FixtureRequest) -> Environment:
    environment: Environment = request.getfixturevalue(request.param)
    return environment


@pytest.fixture(scope="module")
def other_evaluate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel of another distribution with a package `evaluate`, as Hugging Face's has."""
    path = tmp_path_factory.mktemp("other") / "evaluate-0.4.6-py3-none-any.whl"
    inside = "evaluate-0.4.6.dist-info/"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("evaluate/__init__.py", '"""Evaluate metrics."""\nfrom .loading import load\n')
        file.writestr("evaluate/loading.py", "def load(path): ...\n")
        file.writestr(inside + "METADATA", "Metadata-Version: 2.1\nName: evaluate\nVersion: 0.4.6\n")
        file.writestr(inside + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(inside + "RECORD", "")
    return path


def refused(path: Path, rest: str) -> Answer:
    return 1, "", f"error: {path} {rest}\n"


def test_every_program_starts(from_wheel: Environment) -> None:
    for program in SCRIPTS:
        status, shown, errors = from_wheel.run(program, "--help")
        assert (status, errors) == (0, "")
        assert program in shown


def test_an_editable_install_has_every_program(editable: Environment) -> None:
    assert {path.name for path in (editable.folder / "bin").iterdir()} >= set(SCRIPTS)
    status, shown, errors = editable.run("train-trees", "--help")
    assert (status, errors) == (0, "")
    assert "train-trees" in shown


def test_the_built_in_data_sets_are_installed(installed: Environment) -> None:
    code = "from store.datasets import DATASETS; print(*DATASETS)"
    assert installed.run("python", "-c", code) == (0, "electron-photon quark-gluon\n", "")


def test_the_packages_are_the_installed_ones(from_wheel: Environment) -> None:
    names = ", ".join(PACKAGES)
    code = f"import {names}; print(calostream.__version__, *[p.__file__ for p in ({names})], sep='\\n')"
    status, shown, errors = from_wheel.run("python", "-c", code)
    assert (status, errors) == (0, "")
    version, *files = shown.splitlines()
    assert version == VERSION
    assert [Path(file).parent for file in files] == [from_wheel.site_packages / name for name in PACKAGES]
    assert all((from_wheel.site_packages / name / "py.typed").exists() for name in PACKAGES)


def test_another_distribution_that_overwrites_a_package_is_named(
    from_wheel: Environment, other_evaluate: Path, wheel: Path
) -> None:
    own = from_wheel.site_packages / "evaluate/__init__.py"
    from_wheel.pip("install", *OFFLINE, other_evaluate)
    for program in SCRIPTS:
        assert from_wheel.run(program, "--help") == refused(
            own, "was overwritten by another distribution; uninstall that, then install calostream again"
        )
    from_wheel.pip("uninstall", "--quiet", "--yes", "evaluate")
    assert from_wheel.run("ingest", "-h") == refused(own, "of calostream is missing; install calostream again")
    from_wheel.pip("install", *OFFLINE, "--force-reinstall", wheel)
    assert from_wheel.run("evaluate", "-h")[0] == 0


def test_calostream_installed_after_another_distribution_works(
    wheel: Path, other_evaluate: Path, tmp_path: Path
) -> None:
    environment = Environment(tmp_path / "environment")
    environment.pip("install", *OFFLINE, other_evaluate)
    environment.pip("install", *OFFLINE, wheel)
    assert environment.run("evaluate", "--version") == (0, f"calostream {VERSION}\n", "")


def test_another_distribution_that_goes_before_an_editable_install_is_named(
    editable: Environment, other_evaluate: Path
) -> None:
    editable.pip("install", *OFFLINE, other_evaluate)
    shadow = editable.site_packages / "evaluate/__init__.py"
    expected = refused(
        shadow, "shadows calostream's package 'evaluate'; rename or uninstall it, or take it off PYTHONPATH"
    )
    assert editable.run("evaluate", "-h") == editable.run("train-torch", "-h") == expected
    editable.pip("uninstall", "--quiet", "--yes", "evaluate")
    assert editable.run("evaluate", "-h")[0] == 0


def test_a_users_own_module_is_named_where_it_shadows_and_harmless_elsewhere(
    installed: Environment, tmp_path: Path
) -> None:
    own = tmp_path / "train.py"
    own.write_text("raise SystemExit('this runs when it is imported')\n")
    shadows = f"{own} shadows calostream's package 'train'; rename or uninstall it, or take it off PYTHONPATH"
    assert installed.run("train-trees", "-h", folder=tmp_path)[0] == 0
    for program in ("train-trees", "evaluate"):
        assert installed.run(program, "-h", PYTHONPATH=str(tmp_path)) == (1, "", f"error: {shadows}\n")
    assert installed.run("python", "-c", "import calostream as cs; cs.BatchPlan", folder=tmp_path)[0] == 0
    for code in ("import calostream as cs; cs.TrainConfig", "from calostream.torch import load_model"):
        status, _, errors = installed.run("python", "-c", code, folder=tmp_path)
        assert status == 1
        assert errors.splitlines()[-1] == f"ImportError: {shadows}"


def test_a_users_type_checker_sees_types(from_wheel: Environment, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "import calostream as cs\n"
        "reveal_type(cs.BatchPlan(start=0, stop=9, batch_size=2).sample_count)\n"
        "reveal_type(cs.open_store('shop.zarr'))\n"
        "reveal_type(cs.torch.load_model)\n"
        "reveal_type(next(iter(cs.BatchStream('shop.zarr', split='test', batch_size=2))))\n"
        "reveal_type(next(iter(cs.BatchStream('shop.zarr', split='test', batch_size=2, sparse=True))))\n"
        "def first(stream: cs.BatchStream) -> cs.Batch:\n    return next(iter(stream))\n"
        "cs.BatchPlam\n"
    )
    (tmp_path / "mypy.ini").write_text(f"[mypy]\nstrict = true\n[mypy-{SLOW_TO_CHECK}]\nfollow_imports = skip\n")
    words = ["--config-file", tmp_path / "mypy.ini", "--cache-dir", tmp_path, "--python-executable"]
    command = [sys.executable, "-m", "mypy", *words, from_wheel.folder / "bin/python", tmp_path / "script.py"]
    *notes, _ = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout.splitlines()
    assert [note.split(": ", 2)[2] for note in notes] == [
        'Revealed type is "int"',
        'Revealed type is "store.opened_store.Store"',
        'Revealed type is "def (folder: str | pathlib.Path) -> train.pytorch.model.Classifier"',
        'Revealed type is "store.batch.Batch"',
        'Revealed type is "store.batch.SparseBatch"',
        'Module has no attribute "BatchPlam"; maybe "BatchPlan"?  [attr-defined]',
    ]
