"""Tables that put the runs of a report beside each other: ranking, spread over seeds, paired comparisons."""

from collections.abc import Iterable, Mapping, Sequence

from evaluate.document import MetricsDocument
from evaluate.metrics import Estimate
from evaluate.results import SeedMetrics
from evaluate.standing import Standing, comparable_groups, rank
from evaluate.table_rows import known, level_heading, name_auc
from evaluate.tables import Column, Table, counts, intervals, measured, numbers, p_values, texts


def tabulate_rankings(document: MetricsDocument) -> Iterable[Table]:
    """Return the ranking of more than two runs in each group of comparable runs."""
    order = {run.name: index for index, run in enumerate(document.runs)}
    groups = [rank(document, group) for group in comparable_groups(document) if len(group) > 2]
    for number, standings in enumerate(filter(None, groups), start=1):
        yield _tabulate_standings(document, standings, order, f"ranking-{number}" if len(groups) > 1 else "ranking")


def _tabulate_standings(
    document: MetricsDocument, standings: Sequence[Standing], order: Mapping[str, int], name: str
) -> Table:
    firsts = [standing.runs[0] for standing in standings]
    auc = name_auc(document)
    comparisons, spreads = [part.comparison for part in standings], [part.spread for part in standings]
    columns = [
        texts("run", [standing.name for standing in standings], [order[first.name] for first in firsts]),
        measured(f"test {auc}", [standing.auc for standing in standings]),
    ]
    if any(comparisons):
        columns += [
            measured("best − this", [part.difference if part else None for part in comparisons]),  # noqa: RUF001
            p_values([part.p_value if part else None for part in comparisons]),
        ]
    if any(spread is not None for spread in spreads):
        columns.append(numbers("standard deviation over seeds", spreads))
    columns += [
        counts("training images", [first.splits.train.samples for first in firsts]),
        texts("framework", [first.framework for first in firsts]),
        texts("model", [first.model for first in firsts]),
    ]
    return Table(name=name, label="Runs by test AUC", columns=columns)


def tabulate_seeds(document: MetricsDocument) -> Iterable[Table]:
    """Return the spread over seeds, with the error from the samples beside it."""
    rows = [(group, split, metrics) for group in document.seeds for split, metrics in group.splits.items()]
    if not rows:
        return
    groups, metrics = [group for group, _, _ in rows], [part for _, _, part in rows]
    yield Table(
        name="seeds",
        label="Spread over seeds",
        columns=[
            texts("runs", [", ".join(group.runs) for group in groups]),
            texts("framework", [group.framework for group in groups]),
            texts("model", [group.model for group in groups]),
            texts("seeds", [f"{len(group.seeds)} ({', '.join(map(str, group.seeds))})" for group in groups]),
            texts("split", [split for _, split, _ in rows]),
            *_tabulate_spread(name_auc(document), "auc", metrics),
            *_tabulate_spread("accuracy", "accuracy", metrics),
            *_tabulate_spread("log loss", "log_loss", metrics),
        ],
    )


def _tabulate_spread(heading: str, name: str, metrics: Sequence[SeedMetrics]) -> Iterable[Column]:
    spreads = [getattr(part, name) for part in metrics]
    yield measured(
        heading,
        [spread and Estimate(value=spread.mean, standard_error=spread.standard_deviation) for spread in spreads],
    )
    yield numbers(f"{heading}, error from the samples", [spread and spread.standard_error for spread in spreads])


def tabulate_comparisons(document: MetricsDocument) -> Iterable[Table]:
    """Return the paired differences."""
    comparisons = document.comparisons
    if not comparisons:
        return
    differences, accuracies = [part.difference for part in comparisons], [part.accuracy for part in comparisons]
    columns = [
        texts("first", [part.runs[0] for part in comparisons]),
        texts("second", [part.runs[1] for part in comparisons]),
        measured(f"{name_auc(document)}, first − second", differences),  # noqa: RUF001
        intervals(level_heading(document), differences),
        p_values([part.p_value for part in comparisons]),
    ]
    if document.runs[0].classes:
        defined = list(map(known, accuracies))
        columns += [
            measured("accuracy, first − second", defined),  # noqa: RUF001
            intervals(f"{level_heading(document)} of the accuracy", defined),
        ]
    yield Table(name="comparisons", label="Paired comparisons", columns=columns)
