"""The repository's own files fit the schemas of the programs that read them, and say the same as pyproject.toml."""

import importlib.resources
import importlib.util
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PIXI = tomllib.loads((ROOT / "pixi.toml").read_text())
SCHEMAS = {
    ".github/workflows/ci.yml": "github-workflows",
    ".github/workflows/package.yml": "github-workflows",
    ".github/workflows/release.yml": "github-workflows",
    ".github/dependabot.yml": "dependabot",
    ".github/ISSUE_TEMPLATE/bug.yml": "github-issue-forms",
    ".github/ISSUE_TEMPLATE/wish.yml": "github-issue-forms",
    ".github/ISSUE_TEMPLATE/config.yml": "github-issue-config",
    "CITATION.cff": "citation-file-format",
}


def read(name: str) -> Any:
    # BaseLoader: YAML 1.1 takes the key `on` for true.
    return yaml.load((ROOT / name).read_text(), yaml.BaseLoader if "workflows" in name else yaml.SafeLoader)


def jobs(name: str) -> dict[str, Any]:
    found: dict[str, Any] = read(f".github/workflows/{name}")["jobs"]
    return found


@pytest.mark.skipif(not importlib.util.find_spec("check_jsonschema"), reason="needs the schemas in check-jsonschema")
@pytest.mark.parametrize("name", SCHEMAS)
def test_it_fits_its_schema(name: str) -> None:
    folder = importlib.resources.files("check_jsonschema.builtin_schemas") / "vendor"
    schema = json.loads((folder / f"{SCHEMAS[name]}.json").read_text())
    document = yaml.safe_load((ROOT / name).read_text())
    if True in document:
        document["on"] = document.pop(True)
    jsonschema.validators.validator_for(schema)(schema).validate(document)


def test_every_file_that_github_reads_is_checked() -> None:
    files = {str(path.relative_to(ROOT)) for path in GITHUB.rglob("*.yml")}
    assert files == {name for name in SCHEMAS if name.startswith(".github")}


def test_every_supported_python_is_tested_released_and_named() -> None:
    named = [line.split(" :: ")[-1] for line in PROJECT["classifiers"] if "Python :: 3." in line]
    lowest, end = (int(version) for version in PROJECT["requires-python"].replace(">=3.", "").split(",<3."))
    assert named == [f"3.{minor}" for minor in range(lowest, end)]
    assert jobs("ci.yml")["newest"]["strategy"]["matrix"]["python"] == named
    for job in ("base", "one-framework"):
        assert jobs("package.yml")[job]["strategy"]["matrix"]["python"] == named


def test_workflows_run_tasks_that_exist() -> None:
    for name in ("ci.yml", "package.yml", "release.yml"):
        for job in jobs(name).values():
            steps = job.get("steps", [])  # a job that calls another workflow has none
            for command in (step["run"] for step in steps if step.get("run", "").startswith("./pixiw run")):
                words = command.removeprefix("./pixiw run").split()
                assert (words[2] if words[0] == "-e" else words[0]) in PIXI["tasks"]


def test_the_citation_names_this_version_and_licence() -> None:
    citation = read("CITATION.cff")
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in PROJECT["authors"]]


def test_the_changelog_has_this_version_with_the_date_of_the_citation() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[:2] == ["[Unreleased]", f"[{PROJECT['version']}] - {read('CITATION.cff')['date-released']}"]


@pytest.mark.parametrize("page", ["README.md", "docs/install.md"])
def test_wheels_in_the_documentation_are_of_this_version(page: str) -> None:
    versions = re.findall(r"calostream-([0-9.]+)-py3", (ROOT / page).read_text())
    assert versions
    assert set(versions) == {PROJECT["version"]}


def test_every_task_is_listed_in_one_group() -> None:
    grouped = [name for names in PIXI["tool"]["pixiw"]["groups"].values() for name in names]
    assert sorted(grouped) == sorted(PIXI["tasks"])


def test_every_environment_is_described() -> None:
    assert list(PIXI["tool"]["pixiw"]["environments"]) == list(PIXI["environments"])
