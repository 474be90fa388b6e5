"""All metrics, tables and curves of the probabilities of more than two classes, as parts of a document."""

import math
from collections.abc import Mapping, Sequence

from numpy.typing import ArrayLike

from evaluate import class_metrics, class_ranking, ranking
from evaluate.class_metrics import Classified
from evaluate.intervals import FRACTION, NOT_NEGATIVE, Bounds, if_defined, with_interval
from evaluate.measure import SIGNAL_EFFICIENCIES, measure_curves
from evaluate.metrics import Estimate
from evaluate.parts import ClassDetails, ClassMetrics, ClassTable, ConfidenceCurve, Confusion, Curves, Metrics

BRIER_SCORE: Bounds = (0.0, 2.0)
EstimateTable = Sequence[Sequence[Estimate | None]]


def measure_classes(label: ArrayLike, probability: ArrayLike, weight: ArrayLike | None = None) -> Metrics:
    """Return every metric of some probabilities.

    Parameters
    ----------
    label
        (n,), numbers of the true classes.
    probability
        (n, class), for three or more classes.
    weight
        (n,), weight of each sample; by default 1. Samples of weight 0 are left out.

    Returns
    -------
    Metrics
        None stands for what cannot be computed: the AUC if a class has fewer than two samples, recall if it has none,
        precision if no sample is assigned to it.

    Raises
    ------
    RunError
        Like `evaluate.class_metrics.checked`.
    """
    classified = class_metrics.checked(label, probability, weight)
    confusion, macro = class_metrics.confusion(classified), class_ranking.macro_auc(classified)
    return Metrics(
        samples=classified.label.size,
        auc=if_defined(macro.mean, FRACTION),
        accuracy=with_interval(class_metrics.accuracy(classified), FRACTION),
        log_loss=with_interval(class_metrics.log_loss(classified), NOT_NEGATIVE),
        brier_score=with_interval(class_metrics.brier_score(classified), BRIER_SCORE),
        expected_calibration_error=class_metrics.calibration(classified).expected_error,
        top_2_accuracy=with_interval(class_metrics.top_2_accuracy(classified), FRACTION),
        by_class=[
            ClassMetrics(
                samples=int(confusion.count[number].sum()),
                auc=if_defined(auc, FRACTION),
                precision=if_defined(confusion.precision(number), FRACTION),
                recall=if_defined(confusion.recall(number), FRACTION),
            )
            for number, auc in enumerate(macro.by_class)
        ],
    )


def measure_details(label: ArrayLike, probability: ArrayLike, weight: ArrayLike | None = None) -> ClassDetails:
    """Return tables and curves; parameters and errors as `measure_classes`."""
    classified = class_metrics.checked(label, probability, weight)
    calibration = class_metrics.calibration(classified)
    curves, rejection = _measure_one_against_rest(classified)
    pairwise = class_ranking.pairwise_auc(classified)
    return ClassDetails(
        confusion=_measure_confusion(classified),
        pairwise_auc=_as_square(pairwise.by_pair, classified.classes),
        mean_pairwise_auc=if_defined(pairwise.mean, FRACTION),
        rejection=rejection,
        confidence=ConfidenceCurve(
            samples=calibration.count.tolist(),
            mean_probability=calibration.score.tolist(),
            accuracy=calibration.frequency.tolist(),
            standard_error=calibration.error.tolist(),
        ),
        curves=curves,
    )


def _measure_confusion(classified: Classified) -> Confusion:
    confusion = class_metrics.confusion(classified)
    return Confusion(
        samples=confusion.count.tolist(), weight=confusion.weight.tolist(), share=_as_table(confusion.shares())
    )


def _as_square(by_pair: Mapping[tuple[int, int], Estimate], classes: int) -> ClassTable:
    """Return estimates of pairs of classes as a symmetric table."""
    table: list[list[Estimate | None]] = [[None] * classes for _ in range(classes)]
    for (first, second), estimate in by_pair.items():
        table[first][second] = table[second][first] = estimate
    return _as_table(table)


def _measure_one_against_rest(classified: Classified) -> tuple[list[Curves | None], dict[str, ClassTable]]:
    """Return the curves of each class against the rest, and the rejections by efficiency."""
    curves: list[Curves | None] = []
    tables: list[list[list[Estimate | None]]] = [[] for _ in SIGNAL_EFFICIENCIES]
    for number in range(classified.classes):
        columns = classified.rest(number)
        if not class_ranking.enough(columns[0]):
            curves.append(None)
            rows: list[list[Estimate | None]] = [[None] * classified.classes for _ in SIGNAL_EFFICIENCIES]
        else:
            curves.append(measure_curves(*columns))
            rows = class_ranking.rejections(classified, number, ranking.roc(*columns), SIGNAL_EFFICIENCIES)
        for table, row in zip(tables, rows, strict=True):
            table.append(row)
    names = map(str, SIGNAL_EFFICIENCIES)
    return curves, {name: _as_table(table) for name, table in zip(names, tables, strict=True)}


def _as_table(rows: EstimateTable) -> ClassTable:
    """Return estimates as a table; None and infinite ones become null."""
    finite = [[estimate if estimate and math.isfinite(estimate.value) else None for estimate in row] for row in rows]
    return ClassTable(
        value=[[estimate.value if estimate else None for estimate in row] for row in finite],
        standard_error=[[estimate.standard_error if estimate else None for estimate in row] for row in finite],
    )
