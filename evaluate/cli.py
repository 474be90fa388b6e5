"""The program ``evaluate``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from store import console

if TYPE_CHECKING:
    from evaluate.measure import Document

app = typer.Typer(add_completion=False, no_args_is_help=False)


@app.callback()
def explain() -> None:
    """Say how well trained classifiers do. `evaluate RUN ...` is short for `evaluate report RUN ...`."""


@app.command("report")
def report(
    run: Annotated[list[Path], typer.Argument(help="Run directories, as the trainers write them.")],
    output: Annotated[Path, typer.Option(help="The report's folder; an older report there is replaced.")] = Path(
        "report"
    ),
) -> None:
    """Write a page of curves and tables about runs, with the figures and numbers as files beside it."""
    from evaluate.report import write_report

    with console.console.status("drawing the report"):
        document = write_report(run, output)
    print_summary(document, output)


def print_summary(document: "Document", output: Path) -> None:
    """Print AUC and accuracy of every run and split, what compares the runs, and where the page is."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from evaluate.report import plus_minus

    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("run", "framework", "model", "split"):
        table.add_column(name, overflow="fold")
    for heading in ("AUC", "accuracy"):
        table.add_column(heading, justify="right", no_wrap=True)
    for run in document["runs"]:
        for place, (split, metrics) in enumerate(run["splits"].items()):
            names = [run["name"], run["framework"], run["model"]] if place == 0 else [""] * 3
            cells = [*names, split, plus_minus(metrics["auc"]), plus_minus(metrics["accuracy"])]
            table.add_row(*(Text(cell) for cell in cells))
    screen = Console(highlight=False, soft_wrap=True, markup=False)
    screen.print(table)
    for comparison in document["comparisons"]:
        difference, pair = plus_minus(comparison["difference"]), " - ".join(comparison["runs"])
        screen.print(f"test AUC, {pair}: {difference} (p = {comparison['p_value']:.2g})")
    for warning in document["warnings"]:
        screen.print(f"warning: {warning}", style="yellow")
    for simulated in sorted({run["store"]["simulated"] for run in document["runs"]} - {""}):
        screen.print(f"data: {simulated}", style="yellow")
    screen.print(f"report: {output / 'index.html'}")


def main() -> None:
    """Run the program."""
    console.run(app, default="report")
