"""train-torch, which copies its run directory after the first checkpoint within an epoch, as a kill would leave it.

Usage: python -m tests.train.pytorch.copied_side COPY OPTIONS
"""

import shutil
import sys
from pathlib import Path
from typing import Any

import train.loop
from train.pytorch import cli


def main(copy: Path) -> None:
    save = train.loop.TrainingLoop._save

    def save_and_copy(*arguments: Any) -> None:
        save(*arguments)
        loop = arguments[0]
        if loop._backend.rank == 0 and not copy.exists():
            shutil.copytree(loop._folder.path, copy)

    train.loop.TrainingLoop._save = save_and_copy  # type: ignore[method-assign]
    cli.main()


if __name__ == "__main__":
    main(Path(sys.argv.pop(1)))
