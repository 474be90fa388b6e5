"""Which classifiers were evaluated on the same test samples, and the paired differences of those that were."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np
from msgspec import UNSET, UnsetType

from evaluate import class_metrics, class_ranking, ranking
from evaluate.document import RunComparison
from evaluate.intervals import DIFFERENCE, with_interval
from evaluate.parts import Measurement
from evaluate.ranking import PairedTest
from evaluate.runs import Classifier, Run
from evaluate.scored import same_weights
from store.arrays import Float64Array, UInt8Array

T = TypeVar("T")


def comparable(runs: Sequence[Run]) -> list[list[Run]]:
    """Return the runs in groups that were evaluated on the same test samples of the same store."""
    return in_groups(runs, lambda first, run: not _obstacle(first, run))


def in_groups(items: Iterable[T], belong_together: Callable[[T, T], object]) -> list[list[T]]:
    """Return items in groups, each of those that belong together with its first one."""
    groups: list[list[T]] = []
    for item in items:
        group = next((members for members in groups if belong_together(members[0], item)), None)
        if group is None:
            groups.append([item])
        else:
            group.append(item)
    return groups


def _obstacle(first: Run, second: Run) -> str:
    """Return why the test predictions of two runs cannot be paired, or an empty string."""
    digests = [run.store.digest for run in (first, second)]
    if digests[0] != digests[1]:
        return f"their stores differ (digests {digests[0][:12]} and {digests[1][:12]})"
    tests = [run.predictions["test"] for run in (first, second)]
    if not np.array_equal(tests[0].sample, tests[1].sample):
        return f"their test samples differ ({tests[0].sample.size} and {tests[1].sample.size} samples)"
    if not np.array_equal(tests[0].label, tests[1].label):
        return "their labels of the same test samples differ"
    if not same_weights(tests[0].weight, tests[1].weight):
        return "their weights of the same test samples differ"
    return ""


def warn_about_groups(groups: Sequence[Sequence[Run]]) -> list[str]:
    """Return why runs of different groups of `comparable` are not compared."""
    return [
        f"{join_runs(second)} cannot be compared with {join_runs(first)}: {_obstacle(second[0], first[0])}"
        for first, second in itertools.combinations(groups, 2)
    ]


def join_runs(runs: Iterable[Classifier]) -> str:
    """Return the names of runs, for messages."""
    return ", ".join(run.name for run in runs)


def compare(first: Classifier, second: Classifier) -> RunComparison:
    """Return the paired comparison of two classifiers on the same test samples."""
    test, other = first.predictions["test"], second.predictions["test"]
    comparison = compare_auc(test.label, test.score, other.score, test.weight)
    accuracy: Measurement | UnsetType = UNSET
    if test.class_count > 2:
        pair = class_metrics.checked(*test.scored), class_metrics.checked(*other.scored)
        accuracy = with_interval(class_metrics.compare_accuracy(*pair), DIFFERENCE)
    return RunComparison(
        split="test",
        runs=(first.name, second.name),
        difference=with_interval(comparison.difference, DIFFERENCE) if comparison else None,
        p_value=comparison.p_value if comparison else None,
        accuracy=accuracy,
    )


def compare_auc(
    label: UInt8Array, first: Float64Array, second: Float64Array, weight: Float64Array | None = None
) -> PairedTest | None:
    """Return the paired test of the AUCs of two classifiers on the same samples.

    Parameters
    ----------
    label
        (n,), true classes.
    first, second
        Scores (n,), or for more than two classes probabilities (n, class), whose mean AUCs are compared.
    weight
        (n,), weight of each sample; by default 1.

    Returns
    -------
    PairedTest or None
        None if there are more than two classes, and fewer than two samples of one.
    """
    if first.ndim == 1:
        return ranking.compare_auc(label, first, second, weight)
    pair = (class_metrics.checked(label, score, weight) for score in (first, second))
    return class_ranking.compare_macro_auc(*map(class_ranking.macro_auc, pair))
