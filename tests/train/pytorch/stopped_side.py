"""train-torch, killed after the first checkpoint that it writes within an epoch.

Usage: python -m tests.train.pytorch.stopped_side OPTIONS
"""

import os
from typing import Any

import train.loop
from train.pytorch import cli


def main() -> None:
    save = train.loop.TrainingLoop._save

    def save_and_stop(*arguments: Any) -> None:
        save(*arguments)
        loop = arguments[0]
        loop._backend.barrier()
        os._exit(0)

    train.loop.TrainingLoop._save = save_and_stop  # type: ignore[method-assign]
    cli.main()


if __name__ == "__main__":
    main()
