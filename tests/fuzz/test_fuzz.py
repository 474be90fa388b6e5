"""Damaged inputs of every kind: none may crash a program, hang it, take much memory, or pass in silence."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz import run
from tests.fuzz.run import Worker, choose_cases, describe, run_cases
from tests.fuzz.targets import TARGETS
from tests.fuzz.verdict import GOOD

LIGHT = 10
KNOWN: dict[str, str] = {}
"""Targets with open findings, and what these are. A target is taken out when its findings are mended."""
light_targets = [
    pytest.param(name, marks=pytest.mark.xfail(reason=KNOWN[name], strict=False) if name in KNOWN else ())
    for name in TARGETS
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def workers(folder: Path) -> Iterator[list[Worker]]:
    """Holds the process that tries cases, for all tests."""
    workers: list[Worker] = []
    yield workers
    for worker in workers:
        worker.end()


def check(name: str, cases: int | None, folder: Path, workers: list[Worker]) -> None:
    results = run_cases(choose_cases(cases, [name]), folder, workers)
    findings = [result for result in results if result["kind"] not in GOOD]
    shown = "\n".join(map(describe, findings[:10]))
    assert not findings, f"{len(findings)} findings; `python -m tests.fuzz.run TARGET NUMBER` repeats one:\n{shown}"


@pytest.mark.parametrize("name", light_targets)
def test_a_few_damaged_inputs_are_refused_or_make_no_difference(name, folder, workers):
    check(name, LIGHT, folder, workers)


@pytest.mark.fuzz
@pytest.mark.timeout(6 * 3600)
@pytest.mark.parametrize("name", TARGETS)
def test_thousands_of_damaged_inputs_are_refused_or_make_no_difference(name, folder, workers):
    check(name, None, folder, workers)


def test_the_full_form_is_large():
    assert sum(target.cases for target in TARGETS.values()) >= 20_000


def test_a_crash_and_a_hang_are_noticed_and_the_next_case_is_tried(folder, workers, monkeypatch):
    case = ("settings", 0)
    (before,) = run_cases([case], folder, workers)
    os.kill(workers[-1].process.pid, signal.SIGSEGV)
    crashed = workers[-1].run(case)
    assert crashed["kind"] == "crash"
    assert "SIGSEGV" in crashed["words"]
    assert [result["kind"] for result in run_cases([case], folder, workers)] == [before["kind"]]
    os.kill(workers[-1].process.pid, signal.SIGSTOP)
    monkeypatch.setattr(run, "PATIENCE", 0.1)
    assert workers[-1].run(case)["kind"] == "hang"


@pytest.mark.parametrize("name", TARGETS)
def test_a_case_is_always_the_same_damage(name, folder, workers, tmp_path):
    next(run_cases([("settings", 0)], folder, workers))
    damaged = []
    for attempt in ("one", "two"):
        place = tmp_path / attempt
        place.mkdir()
        victim = TARGETS[name].prepare(folder / "material", place, 0)
        before = content(victim)
        note = TARGETS[name].damage(name, 0, victim).note
        assert content(victim) != before
        damaged.append((note, content(victim)))
    assert damaged[0] == damaged[1]


def content(path: Path) -> dict[str, bytes | None]:
    paths = [path, *path.rglob("*")]
    return {one.relative_to(path).as_posix(): one.read_bytes() if one.is_file() else None for one in paths}
