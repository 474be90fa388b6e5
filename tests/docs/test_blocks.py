"""Every block of code in the pages is of a kind that some test runs or checks."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.example_files import EXAMPLES
from tests.pages import PAGES, ROOT

KINDS = {
    "": "commands: here, and tests/docs/test_commands.py compares them with what the programs take",
    "text": "not run: what a program prints, formulas, lists of files",
    "python": "tests/docs/test_examples.py",
    "toml": "here",
    "latex": "not run: needs LaTeX",
    "{literalinclude}": "here, and tests/docs/test_example_files.py",
    "{eval-rst}": "tests/docs/test_site.py",
    "{include}": "tests/docs/test_site.py",
    "{toctree}": "tests/docs/test_site.py",
}
"""What is done with the blocks of each kind."""
COMMANDS = {"./pixiw", "git", "jupytext", "pip", "pre-commit", "python", "torchrun", "uv"}
"""With what a line of a block of commands begins."""
BLOCK = re.compile(r"^( *)```(\S*)([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[str, str, str]]:
    """Return the kind, the argument and the text of each block."""
    return [(kind, rest.strip(), text) for _, kind, rest, text in BLOCK.findall(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_is_of_a_known_kind(page: Path) -> None:
    assert {kind for kind, _, _ in blocks(page)} <= set(KINDS)
    for kind, argument, text in blocks(page):
        if kind == "toml":
            tomllib.loads(text)
        if kind == "{literalinclude}" and not argument.startswith("generated/"):
            assert (page.parent / argument).resolve().parent == EXAMPLES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_block_without_a_kind_has_commands_alone(page: Path) -> None:
    for kind, _, text in blocks(page):
        lines = text.replace("\\\n", "").splitlines() if kind == "" else []
        assert {line.split()[0] for line in lines} <= COMMANDS, "mark what a program prints with ```text"
