"""The program ``evaluate``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from store import console
from store.files import write_whole

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
    from evaluate.terminal import print_summary

    with console.console.status("drawing the report"):
        document = write_report(run, output)
    print_summary(document, output)


@app.command("compare")
def compare(
    first: Annotated[Path, typer.Argument(help="A run directory, a file of predictions (.npz), or a table of scores.")],
    second: Annotated[Path, typer.Argument(help="Another one.")],
    split: Annotated[str, typer.Option(help="Which predictions of a run to take.")] = "test",
    most: Annotated[int, typer.Option(min=0, help="How many of the samples that differ most to list.")] = 10,
    output: Annotated[Path | None, typer.Option(help="Also write the comparison there, as JSON.")] = None,
) -> None:
    """Say how far two classifiers agree on the same samples, where they differ most, and which ranks better."""
    from evaluate import agreement
    from evaluate.report_folder import check_output
    from evaluate.terminal import print_comparison

    if output is not None:
        check_output(output, (first, second), agreement.SCHEMA)
    document = agreement.compare(first, second, split, most)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        write_whole(output, json.dumps(document, indent=2, allow_nan=False).encode() + b"\n")
    print_comparison(document)


@app.command("score")
def score(
    run: Annotated[Path, typer.Argument(help="A run directory; its model is used.")],
    file: Annotated[Path, typer.Argument(help="Images: HDF5, Parquet or a store, with labels or without.")],
    output: Annotated[Path, typer.Option(help="Where the scores go, .csv or .parquet.")] = Path("scores.csv"),
) -> None:
    """Score images that nobody has seen; if they have labels, say how well."""
    from evaluate.score import score
    from evaluate.terminal import print_scores

    with console.console.status("scoring"):
        document = score(run, file, output)
    print_scores(document, output)


@app.command("occlude")
def occlude(
    run: Annotated[Path, typer.Argument(help="A run directory, with its store where it was.")],
    samples: Annotated[int, typer.Option(help="How many test images to hide parts of.")] = 128,
) -> None:
    """Find where a model looks, for the next report: hide parts of test images and see how its score changes."""
    from evaluate.occlude import occlude
    from store.run_folder import RunFolder

    with console.console.status("hiding parts of images"):
        occlude(run, samples)
    console.console.print(
        f"{RunFolder(path=run).occlusion} is written; `evaluate {run}` shows it", markup=False, soft_wrap=True
    )


def main() -> None:
    """Run the program."""
    console.run(app, default="report")


if __name__ == "__main__":
    main()
