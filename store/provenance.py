"""Where and from what code a run was made."""

import datetime as dt
import os
import socket
import subprocess
from pathlib import Path

TIMEOUT = 10  # seconds for a command of git
THREADS = "OMP_NUM_THREADS"


def describe_process() -> dict[str, str | int]:
    """Return date, commit, host and processors of this process, by their keys in ``environment.json``.

    ``commit`` is missing if the code is not a checkout, and ``OMP_NUM_THREADS`` if it is not set.
    """
    commit, threads = source_commit(), os.environ.get(THREADS)
    return {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        **({"commit": commit} if commit else {}),
        "host": socket.gethostname(),
        "processors": count_processors(),
        **({THREADS: threads} if threads else {}),
    }


def count_processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def source_commit(file: Path = Path(__file__)) -> str:
    """Return the commit of the checkout that tracks a file, with ``-dirty`` after it if tracked files were changed.

    Empty if no checkout tracks the file, as in an installed package, or without git.
    """
    tracked = _git(file.parent, "ls-files", "--error-unmatch", "--", file.name)
    return _git(file.parent, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*") if tracked else ""


def _git(folder: Path, *words: str) -> str:
    try:
        done = subprocess.run(
            ["git", *words], cwd=folder, capture_output=True, text=True, timeout=TIMEOUT, check=True, shell=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
