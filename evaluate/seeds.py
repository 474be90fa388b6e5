"""Runs that differ in the seed alone, and the spread of their metrics."""

import json
import math
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from evaluate.parts import Measurement
from evaluate.results import RunResults, SeedGroup, SeedMetrics, SeedSpread
from evaluate.runs import Run
from store.datasets import SPLITS

WITHOUT_EFFECT = frozenset(
    {"seed", "run", "store", "device", "feed", "memory", "threads", "save_every", "compile", "cuda_graph"}
)
"""Settings that runs of one group may have different: the seed, and what changes a result by rounding at most.

The store may have another path. Its content is the same, because the runs have the same digest.
"""
SWITCHED_OFF: tuple[Any, ...] = (None, "none", "", [], 0, False)


def find_seeds(groups: Iterable[Sequence[Run]]) -> tuple[list[list[Run]], list[str]]:
    """Return the runs that differ in the seed alone, two or more each, and warnings about repeated seeds.

    Runs belong together if they have the same architecture and the same settings, apart from those of
    `WITHOUT_EFFECT`. A setting that a run lacks, because it was made by an older version, counts as switched off. Of
    runs with the same seed only the first one counts, because the others repeat it.

    Parameters
    ----------
    groups
        What `evaluate.comparisons.comparable` returns: runs on the same test samples.
    """
    found: list[list[Run]] = []
    warnings: list[str] = []
    for group in groups:
        alike: dict[str, list[Run]] = {}
        for run in group:
            if type(run.config.get("seed")) is int:
                alike.setdefault(describe_settings(run), []).append(run)
        for runs in alike.values():
            seeds: dict[int, Run] = {}
            for run in runs:
                seeds.setdefault(run.config["seed"], run)
            if len(seeds) < 2:
                continue
            found.append(list(seeds.values()))
            warnings += [
                f"{run.name}: repeats {first.name} with the same seed, {run.config['seed']}; the spread over seeds "
                "counts it once"
                for run in runs
                if (first := seeds[run.config["seed"]]) is not run
            ]
    return found, warnings


def describe_settings(run: Run, others: Collection[str] = ()) -> str:
    """Return what a run must have in common with others, as text; `others` are settings that may differ as well."""
    without = WITHOUT_EFFECT.union(others)
    if run.architecture is not None:
        without |= {"model"}  # may be the path of a file
    settings = {name: value for name, value in run.config.items() if name not in without and value not in SWITCHED_OFF}
    return json.dumps([settings, run.architecture], sort_keys=True)


def summarise_seeds(groups: Iterable[Sequence[Run]], results: Mapping[str, RunResults]) -> list[SeedGroup]:
    """Return the spread of the metrics over the seeds of each group of `find_seeds`; results are by name of the run."""
    return [
        SeedGroup(
            runs=[run.name for run in runs],
            framework=runs[0].framework,
            model=runs[0].model,
            seeds=[run.config["seed"] for run in runs],
            splits={split: _summarise_split(split, [results[run.name] for run in runs]) for split in SPLITS},
        )
        for runs in groups
    ]


def _summarise_split(split: str, results: Sequence[RunResults]) -> SeedMetrics:
    metrics = [getattr(of_run.splits, split) for of_run in results]
    aucs = [part.auc for part in metrics]
    return SeedMetrics(
        auc=None if None in aucs else _measure(aucs),
        accuracy=_measure([part.accuracy for part in metrics]),
        log_loss=_measure([part.log_loss for part in metrics]),
    )


def _measure(values: Sequence[Measurement]) -> SeedSpread:
    return SeedSpread(
        mean=statistics.fmean(part.value for part in values),
        standard_deviation=statistics.stdev(part.value for part in values),
        standard_error=math.sqrt(statistics.fmean(part.standard_error**2 for part in values)),
    )


def describe_seeds(group: SeedGroup) -> str:
    """Return how many seeds a group has, and the names of its runs."""
    return f"{len(group.seeds)} seeds ({', '.join(group.runs)})"
