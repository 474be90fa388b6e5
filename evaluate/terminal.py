"""What the program prints on the terminal."""

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evaluate.document import ComparisonDocument, MetricsDocument, ScoresDocument
from evaluate.formatting import plus_minus
from store.console import printable


def print_summary(document: MetricsDocument, output: Path) -> None:
    """Print AUC and accuracy of every run and split, the comparisons of runs, and the path of the page."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("run", "framework", "model", "split"):
        table.add_column(name, overflow="fold", no_wrap=name in ("framework", "split"))
    for heading in ("AUC", "accuracy"):
        table.add_column(heading, justify="right", no_wrap=True)
    for run in document.runs:
        names = [run.name, run.framework, run.model]
        for split, metrics in run.splits.items():
            cells = [*names, split, plus_minus(metrics.auc), plus_minus(metrics.accuracy)]
            table.add_row(*(Text(printable(cell)) for cell in cells))
            names = [""] * 3
    screen = _screen()
    screen.print(table)
    for comparison in document.comparisons:
        difference, pair = plus_minus(comparison.difference), " - ".join(comparison.runs)
        screen.print(printable(f"test AUC, {pair}: {difference} (p = {comparison.p_value:.2g})"))
    _print_warnings(screen, document.warnings)
    _print_origin(screen, sorted({run.store.simulated for run in document.runs} - {""}))
    screen.print(printable(f"report: {output / 'index.html'}"))


def print_comparison(document: ComparisonDocument) -> None:
    """Print the comparison of two classifiers."""
    screen = _screen()
    screen.print(printable(f"{document.samples:,} samples in common; differences are first - second:"))
    auc, accuracy = document.auc, document.accuracy
    unlabelled = "none, because there are no labels"
    if auc:
        auc_difference = f"{plus_minus(auc.difference)} (p = {auc.p_value:.2g})"
    else:
        auc_difference = "none, because a class is missing" if accuracy else unlabelled
    facts = {
        "same side of 0.5": plus_minus(document.agreement),
        "Spearman correlation": _format_correlation(document.spearman),
        "Pearson correlation": _format_correlation(document.pearson),
        "mean difference of scores": plus_minus(document.mean_difference),
        "mean absolute difference": plus_minus(document.mean_absolute_difference),
        "difference of accuracies": plus_minus(accuracy.difference) if accuracy else unlabelled,
        "difference of AUCs": auc_difference,
    }
    for name, value in facts.items():
        screen.print(printable(f"  {name:28}{value}"))
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("sample", "label", "first", "second"):
        table.add_column(name, justify="right")
    for pair in document.largest_differences:
        label = "" if pair.label is None else str(pair.label)
        table.add_row(str(pair.sample), label, *(f"{score:.4f}" for score in pair.scores))
    screen.print(table)
    _print_warnings(screen, document.warnings)
    _print_origin(screen, document.simulated)


def print_scores(document: ScoresDocument, output: Path) -> None:
    """Print the metrics of the scores of a file, or why there are none, and where the scores are."""
    screen = _screen()
    metrics = document.metrics
    if metrics is None:
        reason = "fewer than two labelled images of positive weight" if document.labelled else "no labels"
        screen.print(printable(f"no metrics: {reason} in the file"))
    else:
        for name in ("auc", "accuracy", "log_loss", "brier_score"):
            measurement = getattr(metrics, name)
            text = plus_minus(measurement) if measurement else "none, because a class is missing"
            screen.print(printable(f"  {name.replace('_', ' '):14}{text}"))
        if document.weighted:
            screen.print("  with the weights from the file")
    if document.simulated:
        screen.print(printable(f"trained on: {document.simulated}"), style="yellow")
    screen.print(printable(f"{document.rows:,} scores: {output}; metrics: {output.with_suffix('.json')}"))


def _screen() -> Console:
    screen = Console(highlight=False, soft_wrap=True, markup=False)
    if not screen.is_terminal:
        screen.width = 240  # lines in a file are not wrapped
    return screen


def _print_warnings(screen: Console, warnings: Iterable[str]) -> None:
    for warning in warnings:
        screen.print(printable(f"warning: {warning}"), style="yellow")


def _print_origin(screen: Console, simulations: Iterable[str]) -> None:
    for simulated in simulations:
        screen.print(printable(f"data: {simulated}"), style="yellow")


def _format_correlation(value: float | None) -> str:
    return "none, because scores are constant" if value is None else f"{value:.4f}"
