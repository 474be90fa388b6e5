"""The program ``train-trees``."""

import os
from pathlib import Path
from typing import Annotated

import typer

from store import console
from train.boosted_trees import TreesConfig, fit

DEFAULT = TreesConfig(run=Path("runs/trees"))
app = typer.Typer(add_completion=False)


@app.command(help="Train boosted trees on shower shapes and leave a run directory.")
def train(
    store: Annotated[Path, typer.Option(help="The store to train on.")] = DEFAULT.store,
    run: Annotated[Path, typer.Option(help="Run directory to write.")] = DEFAULT.run,
    seed: Annotated[int, typer.Option(help="Chooses the shapes that each split of a node may use.")] = DEFAULT.seed,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run if it exists.")] = False,
) -> None:
    """Train boosted trees."""
    # Threads that spin while they wait take the processor from everybody else.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    fit(TreesConfig(store=store, run=run, seed=seed), overwrite=overwrite)


def main() -> None:
    """Run the program."""
    console.run(app)


if __name__ == "__main__":
    main()
