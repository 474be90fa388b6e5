"""The program ``evaluate``."""

from pathlib import Path
from typing import Annotated

import typer

from store import console
from store.errors import ConfigError
from store.files import write_whole
from store.location_option import Place, parse_place
from store.remote.cache_option import CacheFolder, CacheSize, use_cache

app = typer.Typer(
    help="Measure how well trained classifiers do. `evaluate RUN ...` is short for `evaluate report RUN ...`.",
    no_args_is_help=False,
)


@app.command("report")
def report(
    run: Annotated[list[Path], typer.Argument(help="Run directories written by the trainers.")],
    output: Annotated[Path, typer.Option(help="Folder of the report; an older report in it is replaced.")] = Path(
        "report"
    ),
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    cache: CacheFolder = None,
    cache_size: CacheSize = None,
) -> None:
    """Write an HTML page about runs, with curves and tables, and also the figures and numbers as files."""
    import webbrowser

    from evaluate.report import write_report
    from evaluate.steps import show_steps
    from evaluate.terminal import print_summary

    use_cache(cache, cache_size)
    with show_steps() as show:
        document = write_report(run, output, show)
    print_summary(document, output)
    if open_page and not webbrowser.open((output / "index.html").resolve().as_uri()):
        console.say("warning: no browser could be started", style="yellow")


@app.command("compare")
def compare(
    first: Annotated[Path, typer.Argument(help="A run directory, a file of predictions (.npz), or a table of scores.")],
    second: Annotated[Path, typer.Argument(help="The run directory, file or table to compare it with.")],
    split: Annotated[str, typer.Option(help="Split to compare, for run directories.")] = "test",
    top: Annotated[int, typer.Option(min=0, help="Number of samples with the largest differences to list.")] = 10,
    output: Annotated[Path | None, typer.Option(help="Also write the comparison to this file, as JSON.")] = None,
) -> None:
    """Compare two classifiers on the same samples: agreement, largest differences, and which one ranks better."""
    from evaluate import agreement
    from evaluate.document import COMPARISON_SCHEMA, to_json
    from evaluate.report_folder import check_output_file
    from evaluate.terminal import print_comparison

    if output is not None:
        check_output_file(output, (first, second), COMPARISON_SCHEMA)
    document = agreement.compare(first, second, split, top)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        write_whole(output, to_json(document))
    print_comparison(document)


@app.command("score")
def score(
    run: Annotated[
        list[Path], typer.Argument(help="Run directories of the trained models; the scores of several are averaged.")
    ],
    file: Annotated[
        Place,
        typer.Argument(
            parser=parse_place,
            metavar="FILE",
            help="Images as HDF5, Parquet or a store, with or without labels, on this machine or at a URL.",
        ),
    ],
    output: Annotated[Path, typer.Option(help="File for the scores, .csv or .parquet.")] = Path("scores.csv"),
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the scores and their metrics if they exist.")
    ] = False,
    cache: CacheFolder = None,
    cache_size: CacheSize = None,
) -> None:
    """Score new images with the model of a run; if they have labels, also measure how good the scores are.

    With several runs, of any frameworks, the scores are the mean of their logits, as probabilities.
    """
    from evaluate.score import score
    from evaluate.terminal import print_scores

    use_cache(cache, cache_size)
    with console.console.status("scoring"):
        document = score(run, file, output, overwrite=overwrite)
    print_scores(document, output)


@app.command("occlude")
def occlude(
    run: Annotated[Path, typer.Argument(help="Run directory; its store must not have been moved.")],
    samples: Annotated[int, typer.Option(help="Number of test images.")] = 128,
    cache: CacheFolder = None,
    cache_size: CacheSize = None,
) -> None:
    """Find out which parts of the images a model relies on; the next report shows it.

    Hides parts of test images, and records how much the score changes.
    """
    from evaluate.occlude import occlude
    from store.run_folder import RunFolder

    use_cache(cache, cache_size)
    with console.console.status("hiding parts of images"):
        occlude(run, samples)
    console.say(f"wrote {RunFolder(path=run).occlusion}; `evaluate {run}` shows it")


@app.command("schema")
def schema(
    document: Annotated[str, typer.Argument(help="Document: metrics, comparison or scores.")] = "metrics",
) -> None:
    """Print the JSON schema of metrics.json, of a comparison, or of the metrics that `evaluate score` writes."""
    import json

    from evaluate.document import DOCUMENTS, json_schema

    if document not in DOCUMENTS:
        raise ConfigError(f"unknown document {document!r}; known: {', '.join(DOCUMENTS)}")
    typer.echo(json.dumps(json_schema(DOCUMENTS[document]), indent=2))


def main() -> None:
    """Run the program."""
    console.run(app, default="report")


if __name__ == "__main__":
    main()
