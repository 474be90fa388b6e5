"""What the program prints on the terminal."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import UnsetType
from rich.console import Console
from rich.measure import measure_renderables
from rich.style import Style
from rich.table import Table
from rich.text import Text

from evaluate.document import ComparisonDocument, MetricsDocument, RunScores, ScoresDocument
from evaluate.formatting import decimals, p_equals, plus_minus, with_error
from evaluate.parts import Measurement, Metrics
from evaluate.seeds import describe_seeds
from evaluate.table_rows import known, metric_places
from evaluate.tables import common_decimals
from evaluate.verdict import describe
from store.console import printable

COLUMNS = {"auc": "AUC", "accuracy": "accuracy"}
MOST_PAIRS = 15  # comparisons that are printed
CLASSES_COLUMNS = {"auc": "mean AUC", "accuracy": "accuracy", "top_2_accuracy": "top-2 accuracy"}


def print_summary(document: MetricsDocument, output: Path) -> None:
    """Print AUC and accuracy of every run, ensemble and split, the spread over seeds, comparisons, and the page.

    With more than two classes, the AUC is the mean over the classes, and there is a second accuracy.
    """
    classes = bool(document.runs[0].classes)
    columns = CLASSES_COLUMNS if classes else COLUMNS
    screen = _screen()
    for names in (("name", "framework", "model"), ("name", "model"), ("name",)):
        table = _tabulate_runs(document, columns, names)
        if measure_renderables(screen, screen.options.update(max_width=1000), [table]).maximum <= screen.width:
            break
    screen.print(table)
    for group in document.seeds:
        if auc := group.splits["test"].auc:
            screen.print(
                printable(
                    f"{'mean test AUC' if classes else 'test AUC'}, {describe_seeds(group)}: "
                    f"{with_error(auc.mean, auc.standard_deviation)} (mean and standard deviation over seeds); "
                    f"standard error from the test samples {auc.standard_error:.{decimals([auc.standard_error])}f}"
                )
            )
    _print_comparisons(screen, document)
    for sentence, others in describe(document):
        screen.print(printable(f"{sentence} {others}".strip()), style="bold")
    for note in document.notes:
        screen.print(printable(note))
    _print_warnings(screen, document.warnings)
    _print_origin(screen, sorted({run.store.simulated for run in document.runs} - {""}))
    screen.print(_link("report: ", output / "index.html"))


def _tabulate_runs(document: MetricsDocument, columns: dict[str, str], names: Sequence[str]) -> Table:
    """Return the metrics of every run and split; `names` are the attributes of a run that come before them."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in (*names, "split"):
        heading = "run" if name == "name" else name
        table.add_column(heading, overflow="fold", no_wrap=name in ("framework", "split"))
    for heading in columns.values():
        table.add_column(heading, justify="right", no_wrap=True)
    places = {name: metric_places(document, name) for name in columns}
    for run in document.classifiers:
        first = [str(getattr(run, name)) for name in names]
        for split, metrics in run.splits.items():
            cells = [*first, split, *(_show(_get(metrics, name), places[name]) for name in columns)]
            table.add_row(*(Text(printable(cell)) for cell in cells))
            first = [""] * len(names)
    return table


def _print_comparisons(screen: Console, document: MetricsDocument) -> None:
    """Print the paired differences, unless there are too many to read."""
    comparisons = document.comparisons
    if len(comparisons) > MOST_PAIRS:
        screen.print(f"{len(comparisons)} paired comparisons are in the report")
        return
    auc_places = common_decimals(comparison.difference for comparison in comparisons)
    accuracy_places = common_decimals(known(comparison.accuracy) for comparison in comparisons)
    name = "mean test AUC" if document.runs[0].classes else "test AUC"
    for comparison in comparisons:
        pair = " - ".join(comparison.runs)
        if comparison.difference and comparison.p_value is not None:
            difference = plus_minus(comparison.difference, auc_places)
            screen.print(printable(f"{name}, {pair}: {difference} ({p_equals(comparison.p_value)})"))
        if comparison.accuracy:
            screen.print(printable(f"test accuracy, {pair}: {plus_minus(comparison.accuracy, accuracy_places)}"))


def _get(metrics: Metrics, name: str) -> Measurement | None:
    value: Measurement | None = known(getattr(metrics, name))
    return value


def _link(words: str, path: Path) -> Text:
    """Return words and a path, which is a link where the terminal shows links."""
    text = Text(printable(f"{words}{path}"))
    text.stylize(Style(link=path.resolve().as_uri()), len(words))
    return text


def print_comparison(document: ComparisonDocument) -> None:
    """Print the comparison of two classifiers."""
    screen = _screen()
    screen.print(printable(f"{document.samples:,} samples in common; differences are first - second:"))
    auc, accuracy = document.auc, document.accuracy
    unlabelled = "none, because there are no labels"
    if auc:
        auc_difference = f"{plus_minus(auc.difference)} ({p_equals(auc.p_value)})"
    else:
        auc_difference = "none, because a class is missing" if accuracy else unlabelled
    if document.classes:
        facts = {"same most probable class": plus_minus(document.agreement)}
    else:
        facts = {
            "same side of 0.5": plus_minus(document.agreement),
            "Spearman correlation": _format_correlation(document.spearman),
            "Pearson correlation": _format_correlation(document.pearson),
            "mean difference of scores": _show(document.mean_difference),
        }
    facts |= {
        "mean absolute difference": plus_minus(document.mean_absolute_difference),
        "difference of accuracies": plus_minus(accuracy.difference) if accuracy else unlabelled,
        "difference of mean AUCs" if document.classes else "difference of AUCs": auc_difference,
    }
    for name, value in facts.items():
        screen.print(printable(f"  {name:28}{value}"))
    if document.classes:
        screen.print(_tabulate_agreement(document))
    screen.print(_tabulate_differences(document))
    _print_warnings(screen, document.warnings)
    _print_origin(screen, document.simulated)


def _tabulate_agreement(document: ComparisonDocument) -> Table:
    """Return how far two classifiers agree about the probability of each of more than two classes."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("class", "Spearman", "Pearson", "mean difference"):
        table.add_column(name, justify="left" if name == "class" else "right")
    for name, part in zip(document.classes or [], document.by_class or [], strict=True):
        correlations = map(_format_correlation, (part.spearman, part.pearson))
        cells = (name, *correlations, plus_minus(part.mean_difference))
        table.add_row(*(Text(printable(cell)) for cell in cells))
    return table


def _tabulate_differences(document: ComparisonDocument) -> Table:
    """Return the samples with the largest differences, with both scores or both most probable classes."""
    classes = document.classes or ([str(document.background), str(document.signal)] if document.signal else [])
    table = Table(box=None, padding=(0, 2, 0, 0))
    score = f", score for {document.signal}" if document.signal else ""
    for name in ("sample", "true class", f"first{score}", f"second{score}"):
        table.add_column(Text(printable(name)), justify="right")
    for pair in document.largest_differences:
        label = "" if pair.label is None else classes[pair.label] if classes else str(pair.label)
        if pair.probabilities:
            best = [max(zip(part, classes, strict=True)) for part in pair.probabilities]
            said = [f"{name} {probability:.4f}" for probability, name in best]
        else:
            said = [f"{score:.4f}" for score in pair.scores or ()]
        table.add_row(*(Text(printable(cell)) for cell in (str(pair.sample), label, *said)))
    return table


def print_scores(document: ScoresDocument, output: Path) -> None:
    """Print the metrics of the scores of a file, or why there are none, and where the scores are."""
    screen = _screen()
    metrics = document.metrics
    if metrics is None:
        reason = "fewer than two labelled images of positive weight" if document.labelled else "no labels"
        screen.print(printable(f"no metrics: {reason} in the file"))
    elif document.runs:
        _print_runs(screen, document, document.runs, metrics)
    else:
        width = 16 if document.classes else 14
        columns = CLASSES_COLUMNS if document.classes else COLUMNS
        for name, heading in {**columns, "log_loss": "log loss", "brier_score": "Brier score"}.items():
            measurement = getattr(metrics, name)
            text = plus_minus(measurement) if measurement else "none, because a class is missing"
            screen.print(printable(f"  {heading:{width}}{text}"))
    if document.weighted:
        screen.print("  with the weights from the file")
    if document.simulated:
        screen.print(printable(f"trained on: {document.simulated}"), style="yellow")
    screen.print(printable(f"{document.rows:,} scores: {output}; summary: {output.with_suffix('.json')}"))


def _print_runs(screen: Console, document: ScoresDocument, runs: Sequence[RunScores], mean: Metrics) -> None:
    """Print the metrics of several runs and of their mean, and how much better the mean is than each of them."""
    columns = {**(CLASSES_COLUMNS if document.classes else COLUMNS), "log_loss": "log loss"}
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("run", overflow="fold")
    for heading in columns.values():
        table.add_column(heading, justify="right", no_wrap=True)
    name = f"mean of {len(runs)} runs"
    rows = [*((run.run, run.metrics) for run in runs), (name, mean)]
    places = {column: common_decimals(_get(metrics, column) for _, metrics in rows if metrics) for column in columns}
    for row, metrics in rows:
        cells = [row, *(_show(getattr(metrics, column), places[column]) for column in columns)]
        table.add_row(*(Text(printable(cell)) for cell in cells))
    screen.print(table)
    differences = common_decimals(run.difference for run in runs)
    for run in runs:
        if run.difference and run.p_value is not None:
            difference = f"{plus_minus(run.difference, differences)} ({p_equals(run.p_value)})"
            screen.print(printable(f"{columns['auc']}, {name} - {run.run}: {difference}"))


def _screen() -> Console:
    screen = Console(highlight=False, markup=False)
    if not screen.is_terminal:  # lines in a file are not wrapped
        screen.width, screen.soft_wrap = 240, True
    return screen


def _print_warnings(screen: Console, warnings: Iterable[str]) -> None:
    for warning in warnings:
        screen.print(printable(f"warning: {warning}"), style="yellow")


def _print_origin(screen: Console, simulations: Iterable[str]) -> None:
    for simulated in simulations:
        screen.print(printable(f"data: {simulated}"), style="yellow")


def _show(measurement: Measurement | UnsetType | None, places: int | None = None) -> str:
    return plus_minus(measurement, places) if measurement else "none"


def _format_correlation(value: float | UnsetType | None) -> str:
    return f"{value:.4f}" if isinstance(value, float) else "none, because scores are constant"
