"""The programs ``train-trees`` and ``train-logistic``."""

import os
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from store import console
from store.remote.cache_option import CacheFolder, CacheSize, use_cache
from train.baselines.logistic import LogisticConfig, fit_logistic
from train.baselines.training import train_baseline
from train.baselines.trees import TreesConfig, grow_trees
from train.options import (
    OverwriteOption,
    RunOption,
    StoreOption,
    TrainSamplesOption,
    VariablesOption,
    WeightOption,
)
from train.setting_values import NONE, parse_names

TREES = TreesConfig(run=Path("runs/trees"))
LOGISTIC = LogisticConfig(run=Path("runs/logistic"))
trees_app = typer.Typer()
logistic_app = typer.Typer()


@trees_app.command()
def train_trees(
    store: StoreOption = TREES.store,
    run: RunOption = TREES.run,
    variables: VariablesOption = NONE,
    weight: WeightOption = TREES.weight,
    train_samples: TrainSamplesOption = 0,
    seed: Annotated[int, typer.Option(help="Seed of the random choice of features at each split.")] = TREES.seed,
    overwrite: OverwriteOption = False,
    cache: CacheFolder = None,
    cache_size: CacheSize = None,
) -> None:
    """Train boosted trees on features of the images or variables of the store, and write a run directory."""
    use_cache(cache, cache_size)
    # Threads that spin while they wait would take processor time from other processes.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    config = TreesConfig(
        store=store, run=run, variables=parse_names(variables), weight=weight, train_samples=train_samples, seed=seed
    )
    train_baseline(config, partial(grow_trees, config), overwrite=overwrite)


@logistic_app.command()
def train_logistic(
    store: StoreOption = LOGISTIC.store,
    run: RunOption = LOGISTIC.run,
    variables: VariablesOption = NONE,
    weight: WeightOption = TREES.weight,
    train_samples: TrainSamplesOption = 0,
    overwrite: OverwriteOption = False,
    cache: CacheFolder = None,
    cache_size: CacheSize = None,
) -> None:
    """Train a logistic regression on features of the images or variables of the store, and write a run directory."""
    use_cache(cache, cache_size)
    config = LogisticConfig(
        store=store, run=run, variables=parse_names(variables), weight=weight, train_samples=train_samples
    )
    train_baseline(config, fit_logistic, overwrite=overwrite)


def main_trees() -> None:
    """Run ``train-trees``."""
    console.run(trees_app)


def main_logistic() -> None:
    """Run ``train-logistic``."""
    console.run(logistic_app)
