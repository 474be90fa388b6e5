"""The program ``train-logistic``."""

from pathlib import Path

import typer

from store import console
from train.baseline import fit
from train.config import NONE, parse_names
from train.logistic import LogisticConfig, regress
from train.options import OverwriteOption, RunOption, StoreOption, VariablesOption

DEFAULT = LogisticConfig(run=Path("runs/logistic"))
app = typer.Typer(add_completion=False)


@app.command(
    help="Train a logistic regression on shower shapes, or on variables of the store, and leave a run directory."
)
def train(
    store: StoreOption = DEFAULT.store,
    run: RunOption = DEFAULT.run,
    variables: VariablesOption = NONE,
    overwrite: OverwriteOption = False,
) -> None:
    """Train a logistic regression."""
    config = LogisticConfig(store=store, run=run, variables=parse_names(variables))
    fit(config, regress, overwrite=overwrite)


def main() -> None:
    """Run the program."""
    console.run(app)


if __name__ == "__main__":
    main()
