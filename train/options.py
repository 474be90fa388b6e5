"""The command line of a trainer, defined once for both."""

from dataclasses import fields
from pathlib import Path
from typing import Annotated

import typer

from train.architecture import ARCHITECTURES
from train.config import DEVICES, TrainConfig
from train.fit import fit
from train.learner import MakeLearner
from train.normalisation import RECIPES
from train.run import RunDirectory
from train.schedule import SCHEDULES

DEFAULT = TrainConfig(run=Path())


def application(framework: str, make_learner: MakeLearner) -> typer.Typer:
    """Return the program that trains in one framework, ``"torch"`` or ``"keras"``."""
    app = typer.Typer(add_completion=False)

    @app.command(help=f"Train a classifier with {framework} and leave a run directory.")
    def train(
        context: typer.Context,
        store: Annotated[Path, typer.Option(help="The store to train on.")] = DEFAULT.store,
        model: Annotated[str, typer.Option(help=f"One of: {', '.join(ARCHITECTURES)}.")] = DEFAULT.model,
        epochs: Annotated[int, typer.Option(help="Most epochs to train.")] = DEFAULT.epochs,
        batch_size: Annotated[int, typer.Option(help="Samples a step.")] = DEFAULT.batch_size,
        learning_rate: Annotated[float, typer.Option(help="Of Adam, at the start.")] = DEFAULT.learning_rate,
        schedule: Annotated[
            str, typer.Option(help=f"Of the learning rate; one of: {', '.join(SCHEDULES)}.")
        ] = DEFAULT.schedule,
        patience: Annotated[
            int, typer.Option(help="Stop after so many epochs without a lower validation loss.")
        ] = DEFAULT.patience,
        normalisation: Annotated[
            str, typer.Option(help=f"First layer of the model; one of: {', '.join(RECIPES)}.")
        ] = DEFAULT.normalisation,
        shuffle: Annotated[
            str,
            typer.Option(
                help="Order of the samples: full, window, chunks or none; auto is full if memory holds the store's "
                "compressed images, else window."
            ),
        ] = DEFAULT.shuffle,
        seed: Annotated[int, typer.Option(help="Chooses weights, dropout and order.")] = DEFAULT.seed,
        device: Annotated[str, typer.Option(help=f"One of: {', '.join(DEVICES)}.")] = DEFAULT.device,
        run: Annotated[
            Path | None, typer.Option(help=f"Run directory to write.  [default: runs/MODEL-{framework}]")
        ] = None,
        resume: Annotated[
            bool, typer.Option("--resume", help="Go on with the run from its last epoch, with its own settings.")
        ] = False,
        overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run if it exists.")] = False,
        memory: Annotated[str, typer.Option(help="Bound on the batches read ahead.")] = DEFAULT.memory,
        threads: Annotated[int, typer.Option(help="Threads that decode batches.")] = DEFAULT.threads,
    ) -> None:
        if resume and overwrite:
            raise typer.BadParameter("give --resume or --overwrite, not both")
        directory = run or Path("runs") / f"{model}-{framework}"
        values = {field.name: context.params[field.name] for field in fields(TrainConfig)} | {"run": directory}
        if resume:
            given = {name for name in values if str(context.get_parameter_source(name)).endswith("COMMANDLINE")}
            changes = {name: value for name, value in values.items() if name in given}
            config = RunDirectory(path=directory).resumed(framework, changes)
        else:
            config = TrainConfig(**values)
        fit(config, framework, make_learner, resume=resume, overwrite=overwrite)

    return app
