"""The command line of the trainers, the same for both frameworks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from store.datasets import ELECTRON_PHOTON
from store.errors import ConfigError
from store.location_option import Place, parse_place
from store.remote.cache_option import CacheFolder, CacheSize, use_cache
from train.config import AUTO, SETTINGS, TrainConfig, check_setting
from train.model.choice import choose_model, default_model
from train.presets import PRESETS, preset
from train.settings_file import read_settings

if TYPE_CHECKING:
    from train.backend import BackendFactory

StoreOption = Annotated[Place, typer.Option(help="Store to train on.", parser=parse_place, metavar="PATH")]
RunOption = Annotated[Path, typer.Option(help="Run directory to write.")]
VariablesOption = Annotated[
    str,
    typer.Option(
        help="Per-sample variables of the store to train on: none (use features of the images), or names such as pt,m0."
    ),
]
WeightOption = Annotated[str, typer.Option(help=SETTINGS["weight"].metadata["help"])]
TrainSamplesOption = Annotated[int, typer.Option(help=SETTINGS["train_samples"].metadata["help"])]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace an existing run directory.")]


def flag(name: str, **options: Any) -> Any:
    """Return the command-line flag of a setting, with its help text, its other names and further options of typer."""
    metadata = SETTINGS[name].metadata
    names = [f"--{name.replace('_', '-')}", *metadata["aliases"]] if metadata["aliases"] else []
    return typer.Option(*names, help=metadata["help"], **options)


def application(framework: str, make_backend: "BackendFactory") -> typer.Typer:
    """Return the program that trains in one framework, ``"torch"`` or ``"keras"``."""
    app = typer.Typer()

    @app.command(help=f"Train a classifier with {framework} and write a run directory.")
    def train(
        context: typer.Context,
        run: Annotated[
            Path | None, typer.Option(help="Run directory to write.", show_default=f"runs/MODEL-{framework}")
        ] = None,
        resume: Annotated[
            bool, typer.Option("--resume", help="Continue the run from its last checkpoint, with its own settings.")
        ] = False,
        overwrite: OverwriteOption = False,
        preset_name: Annotated[
            str | None, typer.Option("--preset", help=f"Settings of a published training: {', '.join(PRESETS)}.")
        ] = None,
        config_file: Annotated[
            Path | None,
            typer.Option(
                "--config", help="TOML file of settings. Flags override the file, which overrides the preset."
            ),
        ] = None,
        cache: CacheFolder = None,
        cache_size: CacheSize = None,
        # One flag per setting; the code below asks the context which flags are on the command line.
        store: Annotated[Place, flag("store", parser=parse_place, metavar="PATH")] = TrainConfig.store,
        model: Annotated[str, flag("model")] = TrainConfig.model,
        normalisation: Annotated[str, flag("normalisation")] = TrainConfig.normalisation,
        variables: Annotated[str, flag("variables")] = str(TrainConfig.variables),
        train_samples: Annotated[int, flag("train_samples")] = TrainConfig.train_samples,
        where: Annotated[str, flag("where")] = TrainConfig.where,
        balance: Annotated[str, flag("balance")] = TrainConfig.balance,
        weight: Annotated[str, flag("weight")] = TrainConfig.weight,
        epochs: Annotated[int, flag("epochs")] = TrainConfig.epochs,
        patience: Annotated[int, flag("patience")] = TrainConfig.patience,
        batch_size: Annotated[int, flag("batch_size")] = TrainConfig.batch_size,
        optimiser: Annotated[str, flag("optimiser")] = TrainConfig.optimiser,
        learning_rate: Annotated[float, flag("learning_rate")] = TrainConfig.learning_rate,
        schedule: Annotated[str, flag("schedule")] = TrainConfig.schedule,
        warm_up: Annotated[float, flag("warm_up")] = TrainConfig.warm_up,
        weight_decay: Annotated[float, flag("weight_decay")] = TrainConfig.weight_decay,
        clip_norm: Annotated[float, flag("clip_norm")] = TrainConfig.clip_norm,
        ema_decay: Annotated[float, flag("ema_decay")] = TrainConfig.ema_decay,
        augmentation: Annotated[str, flag("augmentation")] = TrainConfig.augmentation,
        class_weights: Annotated[str, flag("class_weights")] = str(TrainConfig.class_weights),
        teach: Annotated[str, flag("teach", metavar="RUN,RUN")] = str(TrainConfig.teach),
        teach_share: Annotated[float, flag("teach_share")] = TrainConfig.teach_share,
        shuffle: Annotated[str, flag("shuffle")] = TrainConfig.shuffle,
        seed: Annotated[int, flag("seed")] = TrainConfig.seed,
        device: Annotated[str, flag("device")] = TrainConfig.device,
        feed: Annotated[str, flag("feed")] = TrainConfig.feed,
        precision: Annotated[str, flag("precision")] = TrainConfig.precision,
        compile: Annotated[bool, flag("compile")] = TrainConfig.compile,
        cuda_graph: Annotated[bool, flag("cuda_graph")] = TrainConfig.cuda_graph,
        memory: Annotated[str, flag("memory")] = TrainConfig.memory,
        threads: Annotated[int, flag("threads")] = TrainConfig.threads,
        save_every: Annotated[float, flag("save_every")] = TrainConfig.save_every,
    ) -> None:
        if resume and overwrite:
            raise typer.BadParameter("give --resume or --overwrite, not both")
        use_cache(cache, cache_size)
        settings = {
            **(preset(preset_name) if preset_name else {}),
            **(read_settings(config_file) if config_file else {}),
            **given_settings(context),
        }
        start_training(settings, framework, make_backend, resume=resume, overwrite=overwrite)

    return app


def given_settings(context: typer.Context) -> dict[str, Any]:
    """Return the settings whose flags are on the command line, by name.

    Raises
    ------
    ConfigError
        If a value is not allowed; the message names the flag.
    """
    given = {name: value for name, value in context.params.items() if name in SETTINGS and is_given(context, name)}
    for name, value in given.items():
        try:
            check_setting(name, value)
        except ConfigError as error:
            raise ConfigError(f"--{name.replace('_', '-')}: {error}") from None
    return given


def is_given(context: typer.Context, name: str) -> bool:
    """Return whether a flag is on the command line."""
    return str(context.get_parameter_source(name)).endswith("COMMANDLINE")


def start_training(
    settings: dict[str, Any], framework: str, make_backend: "BackendFactory", *, resume: bool, overwrite: bool
) -> None:
    """Train with the given settings, and defaults for all others; see `train.run.run_training`."""
    from store.run_folder import RunFolder
    from train.resolve import resumed_config
    from train.run import run_training  # slow to import, and not needed for --help

    if "run" not in settings:
        settings = {**settings, "run": default_run(settings, framework)}
    if resume:
        config = resumed_config(RunFolder(path=Path(settings["run"])), framework, settings)
    else:
        config = TrainConfig.from_dict(settings)
    run_training(config, framework, make_backend, resume=resume, overwrite=overwrite)


def default_run(settings: dict[str, Any], framework: str) -> Path:
    """Return the run directory that is written if the settings name none: ``runs/MODEL-FRAMEWORK``.

    Raises
    ------
    StoreError
        If the model follows from the store, and there is no such store.
    ConfigError
        If no model follows from the store.
    """
    from store.opening import open_store

    model = settings.get("model", AUTO)
    if model == AUTO:
        model = choose_model(open_store(settings["store"])) if "store" in settings else default_model(ELECTRON_PHOTON)
    return Path("runs") / f"{Path(model).stem}-{framework}"
