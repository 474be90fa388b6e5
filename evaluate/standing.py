"""Which runs were compared with each other, and how they stand by their test AUC."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from evaluate import ranking
from evaluate.comparisons import in_groups
from evaluate.document import MetricsDocument, RunComparison
from evaluate.intervals import DIFFERENCE, with_interval
from evaluate.metrics import Estimate
from evaluate.parts import Measurement
from evaluate.results import RunResults


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A run among others, or several runs that differ in the seed alone, which count by their mean.

    Attributes
    ----------
    runs
        One, or those that differ in the seed alone.
    auc
        Test AUC, or its mean over the seeds, with the error from the test samples.
    spread
        Standard deviation over the seeds; None for a single run.
    comparison
        The best run minus this one, or the mean over pairs of runs with different seeds; None for the best one.
    """

    runs: Sequence[RunResults]
    auc: Measurement
    spread: float | None = None
    comparison: RunComparison | None = None

    @property
    def name(self) -> str:
        """The names of the runs."""
        return ", ".join(run.name for run in self.runs)


def comparable_groups(document: MetricsDocument) -> list[list[RunResults]]:
    """Return the runs in groups of those that were compared with each other, which is on the same test samples."""
    return in_groups(document.runs, lambda first, run: find_comparison(document, first.name, run.name))


def find_comparison(document: MetricsDocument, first: str, second: str) -> RunComparison | None:
    """Return the comparison of two classifiers, first minus second; None if they were not compared."""
    for comparison in document.comparisons:
        if comparison.runs == (first, second):
            return comparison
        if comparison.runs == (second, first):
            return reverse(comparison)
    return None


def reverse(comparison: RunComparison) -> RunComparison:
    """Return a comparison of two classifiers as second minus first."""
    first, second = comparison.runs
    accuracy = comparison.accuracy
    return msgspec.structs.replace(
        comparison,
        runs=(second, first),
        difference=comparison.difference and _negate(comparison.difference),
        accuracy=_negate(accuracy) if isinstance(accuracy, Measurement) else accuracy,
    )


def _negate(difference: Measurement) -> Measurement:
    low, high = difference.interval
    return Measurement(value=-difference.value, standard_error=difference.standard_error, interval=(-high, -low))


def rank(document: MetricsDocument, group: Sequence[RunResults]) -> list[Standing]:
    """Return the standings of comparable runs, the highest test AUC first; runs without one are left out."""
    seeds = {name: of_seeds for of_seeds in document.seeds for name in of_seeds.runs}
    named = {run.name: run for run in group}
    standings: dict[str, Standing] = {}
    for run in group:
        auc, of_seeds = run.splits.test.auc, seeds.get(run.name)
        if auc is None:
            continue
        spread = of_seeds and of_seeds.splits["test"].auc
        if of_seeds and spread and named.keys() >= set(of_seeds.runs):
            error = spread.standard_error
            mean = Measurement(value=spread.mean, standard_error=error, interval=(spread.mean, spread.mean))
            members = [named[name] for name in of_seeds.runs]
            standing = Standing(runs=members, auc=mean, spread=spread.standard_deviation)
        else:
            standing = Standing(runs=[run], auc=auc)
        standings.setdefault(standing.name, standing)
    ranked = sorted(standings.values(), key=lambda standing: -standing.auc.value)
    return [*ranked[:1], *(replace(other, comparison=_compare(document, ranked[0], other)) for other in ranked[1:])]


def _compare(document: MetricsDocument, best: Standing, other: Standing) -> RunComparison | None:
    """Return the mean of the comparisons of each run of the best one with each run of the other one.

    Its error is the mean of their errors, which is too large rather than too small: that of a mean of correlated
    differences is at most as large.
    """
    pairs = [find_comparison(document, first.name, second.name) for first in best.runs for second in other.runs]
    differences = [pair.difference for pair in pairs if pair and pair.difference]
    if len(differences) < len(pairs):
        return None
    mean = Estimate(
        value=statistics.fmean(part.value for part in differences),
        standard_error=statistics.fmean(part.standard_error for part in differences),
    )
    tested = ranking.paired_test(mean)
    return RunComparison(
        split="test",
        runs=(best.name, other.name),
        difference=with_interval(tested.difference, DIFFERENCE),
        p_value=tested.p_value,
    )
