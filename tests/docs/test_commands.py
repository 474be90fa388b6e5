"""The commands that the pages show exist, as tasks or programs, and have the options that the pages show."""

import functools
import importlib
import io
import re
import subprocess
import sys
import tomllib
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from tests.pages import PAGES, ROOT

TASKS = tomllib.loads((ROOT / "pixi.toml").read_text(encoding="utf-8"))["tasks"]
SUBCOMMANDS = {
    "ingest": ("convert", "statistics", "select", "verify", "info", "page", "fetch"),
    "evaluate": ("report", "compare", "score", "occlude", "schema"),
}
PROGRAMS = (*SUBCOMMANDS, "train-torch", "train-keras", "train-trees", "train-logistic", "export-onnx")
BENCHMARKS = {name: TASKS[name]["cmd"].removeprefix("python -m ") for name in ("bench-stream", "bench-ingest")}
HELP = """
import sys
from calostream import programs

def show(name, calls):
    for sys.argv in calls:
        try:
            getattr(programs, name)()
        except SystemExit as end:
            assert end.code == 0, sys.argv
"""
CODE = re.compile(r"```([^\n`]*)\n(.*?)```|`([^`]+)`", re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    """Return the words of each command in the code of a page, from the name of the task or program on."""
    shown = []
    for language, block, span in CODE.findall(page.read_text(encoding="utf-8")):
        if language:  # a program or output, not commands
            continue
        for line in block.splitlines() or [span.replace("\n", " ")]:
            words = line.split("  #")[0].split()
            starts = [k for k, word in enumerate(words) if word in (*PROGRAMS, *TASKS)]
            if starts:
                name, *rest = words[starts[0] :]
                shown.append(["ingest", "fetch", *rest] if name == "fetch" else [name, *rest])
    return shown


@functools.cache
def options(program: str) -> set[str]:
    """Return the long options in the help of a program and of its subcommands."""
    if program in PROGRAMS:
        calls = [[program, "--help"], *([program, name, "--help"] for name in SUBCOMMANDS.get(program, ()))]
        words = ["-c", f"{HELP}\nshow({program.replace('-', '_')!r}, {calls})"]
        shown = subprocess.check_output([sys.executable, *words], cwd=ROOT, text=True)
    else:
        with redirect_stdout(io.StringIO()) as output, pytest.raises(SystemExit):
            importlib.import_module(BENCHMARKS[program]).main(["--help"])
        shown = output.getvalue()
    return set(re.findall(r"--[a-z][a-z0-9-]*", shown))


def test_there_are_commands() -> None:
    names = {words[0] for page in PAGES for words in commands(page)}
    assert {"demo", "bench-stream", *PROGRAMS} <= names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tasks_of_pixiw_exist(page: Path) -> None:
    shown = re.findall(r"(?:\./pixiw|pixi) run (?:-e \S+ )?([a-z][\w-]*)", page.read_text(encoding="utf-8"))
    assert not set(shown) - set(TASKS) - {"python", "torchrun"}  # programs of the environment


@pytest.mark.parametrize("program", [*PROGRAMS, *BENCHMARKS])
def test_options_exist(program: str) -> None:
    shown = [words for page in PAGES for words in commands(page) if words[0] == program]
    used = {word for words in shown for word in words if word.startswith("--")}
    assert not used - options(program)
