"""A training on a real terminal: a pseudo-terminal with 80 columns."""

import fcntl
import importlib.util
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

WIDTH = 80


def run_on_terminal(words: list[str]) -> tuple[int, list[str]]:
    """Return the status of a program, and what it writes on a terminal, line by line, without what moves the cursor."""
    terminal, other_end = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, WIDTH, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | {"TERM": "xterm"}
    process = subprocess.Popen(words, stdin=other_end, stdout=other_end, stderr=other_end, env=environment)
    os.close(other_end)
    parts = []
    try:
        while part := os.read(terminal, 1 << 16):
            parts.append(part)
    except OSError:  # how Linux ends the output of a terminal whose programs have ended
        os.close(terminal)
    text = re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", b"".join(parts).decode())
    return process.wait(), re.split(r"[\r\n]+", text)


@pytest.mark.slow
@pytest.mark.parametrize("module", ["torch", "keras"])
def test_no_line_of_a_training_is_wider_than_the_terminal(module: str, showers: Path, tmp_path: Path) -> None:
    if not importlib.util.find_spec(module):
        pytest.skip(f"{module} is not installed")
    program = Path(sys.executable).with_name(f"train-{module}")
    settings = ["--model", "cnn-small", "--epochs", "2", "--batch-size", "32"]
    status, lines = run_on_terminal([*map(str, (program, "--store", showers, "--run", tmp_path / "run")), *settings])
    assert status == 0, lines
    assert max(len(line.rstrip()) for line in lines) <= WIDTH
    rows = [line for line in lines if re.match(r"[* ] +[12]/2 ", line)]
    assert [row.split("/")[0].split()[-1] for row in rows] == ["1", "2"]
    assert rows[0].startswith("* ")
    assert any(line.startswith("* best") for line in lines)
    assert any("left:" in line for line in lines), "the bar of a pass"
