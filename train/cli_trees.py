"""The program ``train-trees``."""

import os
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from store import console
from train.baseline import fit
from train.boosted_trees import TreesConfig, grow
from train.config import NONE, parse_names
from train.options import OverwriteOption, RunOption, StoreOption, VariablesOption

DEFAULT = TreesConfig(run=Path("runs/trees"))
app = typer.Typer(add_completion=False)


@app.command(help="Train boosted trees on shower shapes, or on variables of the store, and leave a run directory.")
def train(
    store: StoreOption = DEFAULT.store,
    run: RunOption = DEFAULT.run,
    variables: VariablesOption = NONE,
    seed: Annotated[int, typer.Option(help="Chooses the features that each split of a node may use.")] = DEFAULT.seed,
    overwrite: OverwriteOption = False,
) -> None:
    """Train boosted trees."""
    # Threads that spin while they wait take the processor from everybody else.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    config = TreesConfig(store=store, run=run, variables=parse_names(variables), seed=seed)
    fit(config, partial(grow, config), overwrite=overwrite)


def main() -> None:
    """Run the program."""
    console.run(app)


if __name__ == "__main__":
    main()
