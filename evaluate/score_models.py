"""The models of one or more runs that score the same images, each in a process of its own."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluate.runs import check_distinct, list_classes
from store.arrays import Float32Array, Float64Array
from store.datasets import DatasetSpec, stored_dataset
from store.errors import ConfigError, RunError
from store.model_process import open_model
from store.run_folder import RunFolder

ScoreAll = Callable[[Float32Array, Float32Array], list[Float64Array]]
"""Takes images and variables like `store.model_process.ScoreBlock`, and returns the scores of each model."""


@dataclass(frozen=True, kw_only=True)
class ScoreModel:
    """The model of a run.

    Attributes
    ----------
    run
        Its run directory.
    framework
        A key of `store.run_folder.SCORERS`.
    spec
        The data set that it was trained on.
    simulated
        What simulated its training data; empty if nothing says so.
    variables
        Names of the variables that it takes besides the image.
    """

    run: Path
    framework: str
    spec: DatasetSpec
    simulated: str
    variables: tuple[str, ...]


def read_models(runs: Sequence[Path]) -> list[ScoreModel]:
    """Return the models of runs, which take the same images and have the same classes.

    Raises
    ------
    RunError
        If a run directory cannot be used.
    ConfigError
        If a run is given twice, or two runs have different images or classes.
    """
    check_distinct(runs)
    models = [_read_model(run) for run in runs]
    first = models[0]
    for model in models[1:]:
        specs = first.spec, model.spec
        if specs[0].classes != specs[1].classes:
            differences = [list_classes(spec.classes) for spec in specs]
        elif _images(specs[0]) != _images(specs[1]):
            differences = ["images of {} with the channels {}".format(*_images(spec)) for spec in specs]
        else:
            continue
        raise ConfigError(
            f"{first.run} has {differences[0]}, and {model.run} has {differences[1]}: only runs of the same data set "
            "have a mean; score the file with each alone"
        )
    return models


def _images(spec: DatasetSpec) -> tuple[tuple[int, ...], str]:
    return spec.image_shape, ", ".join(channel.name for channel in spec.channels)


def _read_model(run: Path) -> ScoreModel:
    folder = RunFolder(path=run)
    config, store = folder.read_config(), folder.read_environment()["store"]
    spec = stored_dataset(store)
    return ScoreModel(
        run=run,
        framework=config["framework"],
        spec=spec,
        simulated=store["simulated"],
        variables=variables_of(folder, config, spec),
    )


def variables_of(folder: RunFolder, config: Mapping[str, Any], spec: DatasetSpec) -> tuple[str, ...]:
    """Return the names of the variables that the model of a run takes besides the image.

    Raises
    ------
    RunError
        If the data set has no variable of that name.
    """
    known = [variable.name for variable in spec.variables]
    names = tuple(config.get("variables", ()))
    for name in names:
        if name not in known:
            raise RunError(
                f"{folder.path / 'config.json'}: the data set {spec.name} has no variable {name!r}; "
                f"known: {', '.join(known) or 'none'}"
            )
    return names


def all_variables(models: Sequence[ScoreModel]) -> tuple[str, ...]:
    """Return the names of the variables that at least one of the models takes."""
    return tuple(dict.fromkeys(name for model in models for name in model.variables))


@contextlib.contextmanager
def open_models(models: Sequence[ScoreModel]) -> Iterator[ScoreAll]:
    """Start the processes of all models, and yield a function that asks each of them for scores.

    The function takes the columns of `all_variables`. It raises like `store.model_process.open_model`.
    """
    names = all_variables(models)
    columns = [[names.index(name) for name in model.variables] for model in models]
    with contextlib.ExitStack() as stack:
        asked = [
            stack.enter_context(open_model(model.framework, model.run, len(model.spec.classes))) for model in models
        ]
        yield lambda images, variables: [
            ask(images, variables[:, of_model]) for ask, of_model in zip(asked, columns, strict=True)
        ]
