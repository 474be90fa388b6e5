"""pixi.toml, pyproject.toml and constraints.txt agree with each other, with the schema and with what is installed."""

import ast
import importlib.metadata
import json
import os
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PIXI = tomllib.loads((ROOT / "pixi.toml").read_text())
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DEFAULT = ("torch", "keras", "onnx", "test", "docs")  # the extras of the default environment
SCHEMA = Path(os.environ.get("CALOSTREAM_PIXI_SCHEMA", ROOT.parent / "shared" / "packaging" / "pixi.schema.json"))


@pytest.mark.skipif(not SCHEMA.exists(), reason="set CALOSTREAM_PIXI_SCHEMA to a copy of pixi's schema/schema.json")
def test_pixi_manifest_fits_its_schema() -> None:
    jsonschema.validate(PIXI, json.loads(SCHEMA.read_text()), jsonschema.Draft7Validator)


def test_pixiw_understands_every_task() -> None:
    assert all(set(task) <= {"cmd", "depends-on", "description"} for task in PIXI["tasks"].values())
    assert all({"cmd", "description"} <= set(task) for task in PIXI["tasks"].values())


@pytest.mark.parametrize("environment", PIXI["environments"])
def test_environment_asks_for_extras_that_exist(environment: str) -> None:
    known = PYPROJECT["project"]["optional-dependencies"]
    for feature in PIXI["environments"][environment]:
        project = PIXI["feature"][feature]["pypi-dependencies"]["calostream"]
        assert project["path"] == "."
        assert set(project["extras"]) <= set(known)


def imports(folder: str) -> set[str]:
    """The top-level names that a folder's files import from elsewhere."""
    names: set[str] = set()
    for path in (ROOT / folder).rglob("*.py"):
        if path.parent.name in ("peers", "over_link"):  # other readers, each of which has an environment of its own
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names.add(str(node.module).split(".")[0])
    return names - sys.stdlib_module_names - {"calostream", "ingest", "store", "train", "evaluate", "tests"}


@pytest.mark.parametrize("folder", ["calostream", "ingest", "store", "train", "evaluate", "tests"])
def test_imported_distributions_are_declared(folder: str) -> None:
    frameworks = ["torch", "keras", "keras-gpu"]
    extras = {
        "ingest": ["parquet"],
        "store": ["filters", "parquet", "remote", "xrootd"],
        "evaluate": ["parquet"],
        "train": [*frameworks, "onnx"],
        "tests": [*frameworks, "test", "adapters", "docs"],
    }
    needs = requirements(*extras.get(folder, []))
    declared = {canonicalize_name(name) for need in needs for name in {need.name, *need.extras}}  # dask[distributed]
    owners = {"mlflow": ["mlflow-skinny"], **importlib.metadata.packages_distributions()}
    for name in imports(folder) - {"backend"}:
        assert declared & {canonicalize_name(owner) for owner in owners.get(name, [name])}, f"{folder} imports {name}"


def installed(*names: str) -> bool:
    known = {canonicalize_name(distribution.name) for distribution in importlib.metadata.distributions()}
    return known.issuperset(names)


ENVIRONMENTS = {"constraints.txt": DEFAULT, "constraints-adapters.txt": (*DEFAULT[:-1], "adapters")}


def constraints(name: str) -> dict[str, str]:
    lines = [line for line in (ROOT / name).read_text().splitlines() if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


def requirements(*extras: str) -> list[Requirement]:
    """The direct requirements on this platform."""
    project: dict[str, Any] = PYPROJECT["project"]
    lines = project["dependencies"] + [line for extra in extras for line in project["optional-dependencies"][extra]]
    return [need for need in map(Requirement, lines) if need.marker is None or need.marker.evaluate()]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_constraints_lie_in_the_declared_ranges(name: str) -> None:
    exact = constraints(name)
    needs = [need for need in requirements(*ENVIRONMENTS[name]) if need.name != "tensorflow"]  # there tensorflow-cpu
    assert [need for need in needs if not need.specifier.contains(exact[canonicalize_name(need.name)])] == []


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_constraints_hold_exact_versions_without_local_suffix(name: str) -> None:
    # With `+cpu`, the GPU environments could not install the CUDA wheels.
    assert not [version for version in constraints(name).values() if "+" in version or "*" in version]


def test_the_adapters_need_another_version_only_where_a_comment_says_so() -> None:
    default, adapters = map(constraints, ENVIRONMENTS)
    others = {name for name, version in default.items() if adapters.get(name, version) != version}
    assert others == {"importlib-metadata"}


@pytest.mark.skipif(
    sys.platform != "linux" or sys.version_info[:2] != (3, 11) or not installed("torch", "tensorflow-cpu"),
    reason="the constraints describe environments on Linux with Python 3.11",
)
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_constraints_are_what_is_needed_and_nothing_else(name: str) -> None:
    if ("adapters" in ENVIRONMENTS[name]) != installed("lightning"):
        pytest.skip("needs the other environment: ./pixiw run [-e adapters] test tests/packaging")
    waiting = [(need.name, frozenset(need.extras)) for need in requirements(*ENVIRONMENTS[name])]
    seen = set(waiting)
    while waiting:
        package, extras = waiting.pop()
        for need in map(Requirement, importlib.metadata.requires(package) or []):
            step = (need.name, frozenset(need.extras))
            wanted = need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in {"", *extras})
            if wanted and step not in seen:
                seen.add(step)
                waiting.append(step)
    assert {canonicalize_name(package) for package, _ in seen} == set(constraints(name))
