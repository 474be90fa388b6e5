"""Damaged inputs of every kind: none may crash a program, hang it, take much memory, or pass in silence."""

import os
import signal
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz import run
from tests.fuzz.run import Fuzzer, choose_cases, describe, try_cases
from tests.fuzz.targets import TARGETS
from tests.fuzz.verdict import GOOD

LIGHT = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the undamaged inputs, which all tests share."""
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def fuzzer(folder: Path) -> Iterator[Fuzzer]:
    with Fuzzer(folder) as fuzzer:
        yield fuzzer


def check(results: Iterable[dict[str, Any]]) -> None:
    findings = [result for result in results if result["kind"] not in GOOD]
    shown = "\n".join(map(describe, findings[:10]))
    assert not findings, f"{len(findings)} findings; `python -m tests.fuzz.run TARGET NUMBER` repeats one:\n{shown}"


@pytest.mark.parametrize("name", TARGETS)
def test_a_few_damaged_inputs_are_refused_or_make_no_difference(name, fuzzer):
    check(map(fuzzer.run, choose_cases(LIGHT, [name])))


@pytest.mark.fuzz
@pytest.mark.timeout(6 * 3600)
@pytest.mark.parametrize("name", TARGETS)
def test_thousands_of_damaged_inputs_are_refused_or_make_no_difference(name, folder):
    check(try_cases(choose_cases(None, [name]), folder, os.cpu_count() or 1))


@pytest.mark.slow
def test_several_processes_give_the_results_of_one(fuzzer):
    cases = choose_cases(4, ["settings", "checkpoint"])
    alone = [fuzzer.run(case) for case in cases]
    together = list(try_cases(cases, fuzzer.folder, workers=2))
    keys = ("target", "number", "kind", "damage")
    assert [[result[key] for key in keys] for result in together] == [[result[key] for key in keys] for result in alone]


def test_the_full_form_is_large():
    assert sum(target.cases for target in TARGETS.values()) >= 20_000


def test_a_crash_and_a_hang_are_noticed_and_the_next_case_is_tried(fuzzer, monkeypatch):
    case = ("settings", 0)
    before = fuzzer.run(case)["kind"]
    process = fuzzer.process.pid
    os.kill(process, signal.SIGSTOP)
    crash = threading.Timer(0.2, lambda: [os.kill(process, number) for number in (signal.SIGSEGV, signal.SIGCONT)])
    crash.start()
    crashed = fuzzer.run(case)
    assert crashed["kind"] == "crash"
    assert "SIGSEGV" in crashed["words"]
    assert fuzzer.run(case)["kind"] == before
    os.kill(fuzzer.process.pid, signal.SIGSTOP)
    monkeypatch.setattr(run, "START", 0.1)
    assert fuzzer.run(case)["kind"] == "hang"
    monkeypatch.undo()
    assert fuzzer.run(case)["kind"] == before


@pytest.mark.parametrize("name", TARGETS)
def test_a_case_is_always_the_same_damage(name, fuzzer, tmp_path):
    fuzzer.run(("settings", 0))  # makes the undamaged inputs
    damaged = []
    for attempt in ("one", "two"):
        place = tmp_path / attempt
        place.mkdir()
        victim = TARGETS[name].prepare(fuzzer.folder / "material", place, 0)
        before = content(victim)
        note = TARGETS[name].damage(name, 0, victim).note
        assert content(victim) != before
        damaged.append((note, content(victim)))
    assert damaged[0] == damaged[1]


def content(path: Path) -> dict[str, bytes | None]:
    paths = [path, *path.rglob("*")]
    return {one.relative_to(path).as_posix(): one.read_bytes() if one.is_file() else None for one in paths}
