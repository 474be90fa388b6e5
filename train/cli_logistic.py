"""The program ``train-logistic``."""

from pathlib import Path
from typing import Annotated

import typer

from store import console
from train.baseline import fit
from train.config import NONE, parse_names
from train.logistic import LogisticConfig, regress

DEFAULT = LogisticConfig(run=Path("runs/logistic"))
app = typer.Typer(add_completion=False)


@app.command(
    help="Train a logistic regression on shower shapes, or on variables of the store, and leave a run directory."
)
def train(
    store: Annotated[Path, typer.Option(help="The store to train on.")] = DEFAULT.store,
    run: Annotated[Path, typer.Option(help="Run directory to write.")] = DEFAULT.run,
    variables: Annotated[
        str, typer.Option(help="Of the store, to train on instead of shower shapes: none, or names such as pt,m0.")
    ] = NONE,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run if it exists.")] = False,
) -> None:
    """Train a logistic regression."""
    config = LogisticConfig(store=store, run=run, variables=parse_names(variables))
    fit(config, regress, overwrite=overwrite)


def main() -> None:
    """Run the program."""
    console.run(app)


if __name__ == "__main__":
    main()
