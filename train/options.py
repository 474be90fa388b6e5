"""The command line of a trainer, defined once for both."""

import inspect
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from store.run_folder import RunFolder
from train.backend import BackendFactory
from train.config import PRESETS, TrainConfig, preset, read_settings
from train.loop import fit
from train.run import resumed_config

StoreOption = Annotated[Path, typer.Option(help="The store to train on.")]
RunOption = Annotated[Path, typer.Option(help="Run directory to write.")]
VariablesOption = Annotated[
    str, typer.Option(help="Of the store, to train on instead of shower shapes: none, or names such as pt,m0.")
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace the run if it exists.")]


def application(framework: str, make_backend: BackendFactory) -> typer.Typer:
    """Return the program that trains in one framework, ``"torch"`` or ``"keras"``; it has a flag for each setting."""
    app = typer.Typer(add_completion=False)
    settings = [field for field in fields(TrainConfig) if "help" in field.metadata]

    def train(
        context: typer.Context,
        run: Annotated[
            Path | None, typer.Option(help=f"Run directory to write.  [default: runs/MODEL-{framework}]")
        ] = None,
        resume: Annotated[
            bool, typer.Option("--resume", help="Go on with the run from its last checkpoint, with its own settings.")
        ] = False,
        overwrite: OverwriteOption = False,
        preset_: Annotated[
            str | None, typer.Option("--preset", help=f"Published settings; one of: {', '.join(PRESETS)}.")
        ] = None,
        config: Annotated[
            Path | None, typer.Option(help="TOML file of settings, over those of the preset; flags are over both.")
        ] = None,
        **values: Any,
    ) -> None:
        if resume and overwrite:
            raise typer.BadParameter("give --resume or --overwrite, not both")
        given = {
            **(preset(preset_) if preset_ else {}),
            **(read_settings(config) if config else {}),
            **{name: value for name, value in values.items() if is_given(context, name)},
        }
        if run is not None:
            given["run"] = run
        default = {"run": Path("runs") / f"{Path(given.get('model', TrainConfig.model)).stem}-{framework}"}
        if resume:
            chosen = resumed_config(RunFolder(path=Path(given.get("run", default["run"]))), framework, given)
        else:
            chosen = TrainConfig.from_dict(default | given)
        fit(chosen, framework, make_backend, resume=resume, overwrite=overwrite)

    signature = inspect.signature(train)
    kept = [parameter for parameter in signature.parameters.values() if parameter.name != "values"]
    flags = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=Annotated[flag_type(field.default), typer.Option(help=field.metadata["help"])],
        )
        for field in settings
    ]
    train.__signature__ = signature.replace(parameters=[*kept, *flags])  # type: ignore[attr-defined]
    train.__annotations__ = {parameter.name: parameter.annotation for parameter in [*kept, *flags]}
    app.command(help=f"Train a classifier with {framework} and leave a run directory.")(train)
    return app


def flag_type(default: object) -> type:
    """Return the type of a flag with some default."""
    return Path if isinstance(default, Path) else type(default)


def is_given(context: typer.Context, name: str) -> bool:
    """Tell whether a flag is on the command line."""
    return str(context.get_parameter_source(name)).endswith("COMMANDLINE")
