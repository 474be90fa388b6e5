"""What a report shows, in a few sentences for its first screen."""

from collections.abc import Iterator, Sequence

from evaluate.document import MetricsDocument, RunComparison
from evaluate.formatting import decimals, p_equals, plus_minus, with_error
from evaluate.results import RunResults
from evaluate.runs import BASELINES
from evaluate.standing import Standing, comparable_groups, find_comparison, rank, reverse

NETWORKS = {"torch": "PyTorch", "keras": "Keras"}
KINDS = {"trees": "boosted trees reach", "logistic": "logistic regression reaches"}
AGREE = 0.05
"""The p value from which two runs are said to agree."""
FEW_IMAGES = 30_000
"""Training images that are called few where no network is seen to be better than boosted trees."""


def describe(document: MetricsDocument) -> list[tuple[str, str]]:
    """Return a sentence, and further ones, for each group of runs that were compared with each other."""
    groups = [list(_describe_group(document, group)) for group in comparable_groups(document)]
    return [(first, " ".join(others)) for first, *others in groups]


def _describe_group(document: MetricsDocument, group: Sequence[RunResults]) -> Iterator[str]:
    measured = [run for run in group if run.splits.test.auc]
    if not measured:
        yield f"{', '.join(run.name for run in group)}: no test AUC, because a class has too few test samples."
        return
    networks = [run for run in measured if run.framework not in BASELINES]
    baselines = [run for run in measured if run.framework in BASELINES]
    aucs, leading = _Aucs(measured), networks or baselines
    if len(leading) == 1:
        yield f"{leading[0].name} reaches a {aucs.name} of {aucs.with_error(leading[0])}."
    elif len(leading) == 2:
        yield _describe_pair(document, leading, aucs)
    else:
        yield _describe_ranking(rank(document, leading), len(leading), "networks" if networks else "runs", aucs)
    for mean in document.ensembles:
        if {run.name for run in networks}.issuperset(mean.runs) and mean.splits.test.auc:
            yield f"The {mean.name} ({', '.join(mean.runs)}) reaches {mean.splits.test.auc.value:.{aucs.places}f}."
    if networks:
        yield from _describe_baselines(document, max(networks, key=aucs.value), baselines, aucs)
    trained = sorted({run.splits.train.samples for run in measured})
    images = f"{trained[0]:,}" if len(trained) == 1 else f"{trained[0]:,} to {trained[-1]:,}"
    yield f"Trained on {images} images, tested on {measured[0].splits.test.samples:,}."


class _Aucs:
    """The test AUCs of a group as text, all with the same decimals."""

    def __init__(self, runs: Sequence[RunResults]) -> None:
        self.name = "mean test AUC" if runs[0].classes else "test AUC"
        self._aucs = {run.name: auc for run in runs if (auc := run.splits.test.auc)}
        self.places = decimals(auc.standard_error for auc in self._aucs.values())

    def value(self, run: RunResults) -> float:
        return self._aucs[run.name].value

    def show(self, run: RunResults) -> str:
        return f"{self.value(run):.{self.places}f}"

    def with_error(self, run: RunResults) -> str:
        return plus_minus(self._aucs[run.name], self.places)


def _describe_pair(document: MetricsDocument, pair: Sequence[RunResults], aucs: _Aucs) -> str:
    frameworks = [run.framework for run in pair]
    twins = len(set(frameworks)) == 2 and pair[0].model == pair[1].model
    names = {run.framework: f"{NETWORKS.get(run.framework, run.framework)} ({run.name})" for run in pair}
    first, second = names.values() if twins else [run.name for run in pair]
    comparison = find_comparison(document, pair[0].name, pair[1].name)
    assert comparison is not None
    assert comparison.difference is not None
    assert comparison.p_value is not None
    values = [aucs.show(run) for run in pair]
    if any(set(seeds.runs) == {run.name for run in pair} for seeds in document.seeds):
        second += ", which differ in the seed alone,"
    if comparison.p_value >= AGREE:
        return f"{first} and {second} agree: {aucs.name} {values[0]} and {values[1]}, {_evidence(comparison)}."
    if comparison.difference.value < 0:
        first, second, values, comparison = second.strip(","), first, values[::-1], reverse(comparison)
    return (
        f"{first} separates the classes better than {second}: {aucs.name} {values[0]} against {values[1]}, "
        f"{_evidence(comparison)}."
    )


def _describe_ranking(ranked: Sequence[Standing], runs: int, kind: str, aucs: _Aucs) -> str:
    first = _describe_standing(ranked[0], aucs)
    if len(ranked) == 1:
        return f"{first}."
    then = f"Best of {runs} {kind}: {first}; then {_describe_standing(ranked[1], aucs)}"
    comparison = ranked[1].comparison
    return f"{then}, {_evidence(comparison)}." if comparison else f"{then}."


def _describe_standing(standing: Standing, aucs: _Aucs) -> str:
    first = standing.runs[0]
    if standing.spread is None:
        return f"{first.name} with a {aucs.name} of {aucs.show(first)}"
    value = with_error(standing.auc.value, standing.spread)
    return (
        f"{first.model} in {NETWORKS.get(first.framework, first.framework)} with a {aucs.name} of {value} "
        f"(mean and standard deviation over {len(standing.runs)} seeds)"
    )


def _describe_baselines(
    document: MetricsDocument, best: RunResults, baselines: Sequence[RunResults], aucs: _Aucs
) -> Iterator[str]:
    as_good = False
    for baseline in baselines:
        comparison = find_comparison(document, best.name, baseline.name)
        assert comparison is not None
        said = KINDS[baseline.framework]
        yield (
            f"{said[0].upper()}{said[1:]} {aucs.show(baseline)} on the same samples "
            f"({best.name} - {baseline.name}: {_evidence(comparison)})."
        )
        as_good |= baseline.framework == "trees" and not _is_better(comparison)
    images = best.splits.train.samples
    if as_good and images < FEW_IMAGES:
        yield (
            f"Trained on so few images ({images:,}), no network is better than boosted trees beyond the error of "
            f"{best.splits.test.samples:,} test samples: the trees begin with features that were chosen by hand, and a "
            "network needs more images to learn better ones."
        )


def _is_better(comparison: RunComparison) -> bool:
    """Return whether the first classifier of a comparison is better than the second, beyond the errors."""
    difference, p_value = comparison.difference, comparison.p_value
    return difference is not None and p_value is not None and difference.value > 0 and p_value < AGREE


def _evidence(comparison: RunComparison) -> str:
    assert comparison.difference is not None
    assert comparison.p_value is not None
    return f"difference {plus_minus(comparison.difference)}, {p_equals(comparison.p_value)}"
