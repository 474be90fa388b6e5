"""What the program says on the terminal."""

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evaluate.formatting import plus_minus
from evaluate.measure import Document


def print_comparison(document: Document) -> None:
    """Print what `evaluate.agreement.compare` found."""
    screen = _screen()
    screen.print(f"{document['samples']:,} samples in common; first - second:")
    auc, accuracy = document["auc"], document["accuracy"]
    missing = "none, a class is missing" if accuracy else "none, there are no labels"
    test = f"{plus_minus(auc['difference'])} (p = {auc['p_value']:.2g})" if auc else missing
    facts = {
        "same side of 0.5": plus_minus(document["agreement"]),
        "Spearman correlation": _correlation(document["spearman"]),
        "Pearson correlation": _correlation(document["pearson"]),
        "mean difference of scores": plus_minus(document["mean_difference"]),
        "mean absolute difference": plus_minus(document["mean_absolute_difference"]),
        "difference of accuracies": plus_minus(accuracy["difference"]) if accuracy else "none, there are no labels",
        "difference of AUCs": test,
    }
    for name, value in facts.items():
        screen.print(f"  {name:28}{value}")
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("sample", "label", "first", "second"):
        table.add_column(name, justify="right")
    for row in document["largest_differences"]:
        label = "" if row["label"] is None else str(row["label"])
        table.add_row(str(row["sample"]), label, *(f"{score:.4f}" for score in row["scores"]))
    screen.print(table)
    for warning in document["warnings"]:
        screen.print(f"warning: {warning}", style="yellow")
    _print_origin(screen, document["simulated"])


def _print_origin(screen: Console, simulations: Iterable[str]) -> None:
    for simulated in simulations:
        screen.print(f"data: {simulated}", style="yellow")


def _correlation(value: float | None) -> str:
    return "none, constant scores" if value is None else f"{value:.4f}"


def _screen() -> Console:
    screen = Console(highlight=False, soft_wrap=True, markup=False)
    if not screen.is_terminal:
        screen.width = 240  # nothing is folded in a file
    return screen


def print_summary(document: Document, output: Path) -> None:
    """Print AUC and accuracy of every run and split, what compares the runs, and where the page is."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("run", "framework", "model", "split"):
        table.add_column(name, overflow="fold", no_wrap=name in ("framework", "split"))
    for heading in ("AUC", "accuracy"):
        table.add_column(heading, justify="right", no_wrap=True)
    for run in document["runs"]:
        for place, (split, metrics) in enumerate(run["splits"].items()):
            names = [run["name"], run["framework"], run["model"]] if place == 0 else [""] * 3
            cells = [*names, split, plus_minus(metrics["auc"]), plus_minus(metrics["accuracy"])]
            table.add_row(*(Text(cell) for cell in cells))
    screen = _screen()
    screen.print(table)
    for comparison in document["comparisons"]:
        difference, pair = plus_minus(comparison["difference"]), " - ".join(comparison["runs"])
        screen.print(f"test AUC, {pair}: {difference} (p = {comparison['p_value']:.2g})")
    for warning in document["warnings"]:
        screen.print(f"warning: {warning}", style="yellow")
    _print_origin(screen, sorted({run["store"]["simulated"] for run in document["runs"]} - {""}))
    screen.print(f"report: {output / 'index.html'}")


def print_scores(document: Document, output: Path) -> None:
    """Print what `evaluate.score.score` did."""
    screen = _screen()
    metrics = document["metrics"]
    if metrics is None:
        lacks = "fewer than two labelled images that count" if document["labelled"] else "no labels"
        screen.print(f"{lacks} in the file, so nothing is known of how good the scores are")
    else:
        for name in ("auc", "accuracy", "log_loss", "brier_score"):
            text = plus_minus(metrics[name]) if metrics[name] else "none, a class is missing"
            screen.print(f"  {name.replace('_', ' '):14}{text}")
        if document["weighted"]:
            screen.print("  with the weights in the file")
    if document["simulated"]:
        screen.print(f"trained on: {document['simulated']}", style="yellow")
    screen.print(f"{document['rows']:,} scores: {output}; metrics: {output.with_suffix('.json')}")
