"""Several ranks on one machine, without torchrun, which would be one more process that imports PyTorch."""

import os
import socket
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]


def run_ranks(count: int, *words: object) -> list[str]:
    """Run a program once per rank, in the environment that torchrun sets; return the standard errors."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            list(map(str, words)),
            cwd=ROOT,
            env=os.environ | common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * count, "\n".join(errors)
    return errors
