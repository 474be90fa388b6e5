"""The program ``ingest``."""

from pathlib import Path
from typing import Annotated

import typer

from ingest import given_splits
from ingest.chosen_sources import RAW, choose_sources
from store import console
from store.location_option import Place, parse_place
from store.locations import Location
from store.remote.cache_option import CacheFolder, CacheSize, use_cache

app = typer.Typer(
    help="Make, select from and check stores of images. `ingest FILE …` is short for `ingest convert FILE …`.",
    no_args_is_help=False,
)
WORKERS = Annotated[
    int | None,
    typer.Option(help="Number of processes of a local Dask cluster to start.", show_default="threads of this process"),
]
SCHEDULER = Annotated[
    str | None, typer.Option(help="Address of the scheduler of a running Dask cluster, such as tcp://host:8786.")
]
STORE = Annotated[Place, typer.Argument(parser=parse_place, metavar="STORE", help="The store: a path, or a URL.")]
DEFAULT_SPLIT = "0.7,0.1,0.2"
DEFAULT_STORE = Path("data/electron-photon.zarr")


@app.command("convert", cls=given_splits.Command)
def convert(
    source: Annotated[
        list[Place] | None,
        typer.Argument(
            parser=parse_place,
            metavar="SOURCE",
            help="HDF5 or Parquet files; folders, for all .h5, .hdf5, .hdf and .parquet files in them; or quoted "
            "patterns such as 'jets/**/*.h5'; on this machine or at URLs such as 's3://bucket/run*/*.h5'. Files of a "
            "folder or pattern are taken in sorted order.",
            show_default="those of the data set in data/raw, or else the bundled sample",
        ),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLASS=FILES",
            help="Class of all images in some files, for files without labels, such as electron='electrons/*.h5'; "
            "FILES is a file, folder or pattern, on this machine or at a URL. Repeat this option for each class. "
            "Without SOURCE, these files are the sources; with it, each source must be among them.",
        ),
    ] = None,
    dataset: Annotated[
        str,
        typer.Option(
            help="Data set that the files hold: electron-photon, quark-gluon, or a TOML file that describes another "
            "(`ingest describe` prints one)."
        ),
    ] = "electron-photon",
    output: Annotated[
        Place | None,
        typer.Option(
            parser=parse_place,
            metavar="PATH",
            help="The store to make: a path, or a URL such as s3://bucket/NAME.zarr.",
            show_default="data/NAME.zarr",
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            show_default=DEFAULT_SPLIT,
            help="Fractions of training, validation and test; or 'challenge' for the first 160,000, 25,600 and 25,600 "
            "images of each class, 'challenge-scaled' for fewer images in the same proportions if a class has fewer.",
        ),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            metavar="VARIABLE",
            help="Keep all samples with the same value of a variable of the data set, such as the number of an event, "
            "in the same split; the variable must have integers.",
        ),
    ] = None,
    train: Annotated[
        list[Place] | None,
        typer.Option(
            parser=parse_place,
            metavar="FILES...",
            help="Sources of the training split, instead of SOURCE and --split; files, folders or patterns. "
            "--validation and --test must be given too.",
        ),
    ] = None,
    validation: Annotated[
        list[Place] | None,
        typer.Option(parser=parse_place, metavar="FILES...", help="Sources of the validation split."),
    ] = None,
    test: Annotated[
        list[Place] | None, typer.Option(parser=parse_place, metavar="FILES...", help="Sources of the test split.")
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(
            help="Take only rows that pass a cut on the data set's variables, weight, label, source_file or "
            "source_row, such as 'pt > 30 and source_row < 50000'. Rows are cut before they are divided into splits."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the split and the shuffle.")] = 0,
    memory: Annotated[
        str,
        typer.Option(help="Limit on the images held in memory, such as 512MiB; the program needs about 300 MB more."),
    ] = "1GiB",
    workers: WORKERS = None,
    scheduler: SCHEDULER = None,
    simulation: Annotated[
        str,
        typer.Option(help="Simulation that made the images, such as 'Pythia simulation', for files that state none."),
    ] = "",
    sample: Annotated[bool, typer.Option("--sample", help="Use the bundled sample of simulated images.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the store if it exists.")] = False,
    cache: CacheFolder = None,
    cache_size: CacheSize = None,
) -> None:
    """Convert source files to a store: one Zarr group of shuffled, split and compressed images with their labels.

    An interrupted ingest resumes when the same command runs again.
    """
    from ingest.convert import Ingest, ingest
    from ingest.executors import open_executor
    from ingest.file_classes import FileLabel, classes_of_files
    from ingest.split import Split
    from store.datasets import find_dataset
    from store.files import parse_size

    use_cache(cache, cache_size)
    spec = find_dataset(dataset)
    labels = [FileLabel.parse(text, spec.classes) for text in label or ()]
    excluded = {"SOURCE": source, "--sample": sample, "--split": split, "--group": group}
    by_split = given_splits.choose_given([train, validation, test], excluded)
    if by_split:
        sources = tuple(file for files in by_split for file in files)
        division = Split.of_sources(*map(len, by_split))
    else:
        sources = choose_sources(source or [file_label.location for file_label in labels], spec, sample)
        division = Split.parse(DEFAULT_SPLIT if split is None else split, group)
    if labels and not source and not by_split:
        sources = tuple(dict.fromkeys(sources))  # one class may have several labels for the same files
    job = Ingest(
        sources=sources,
        file_classes=classes_of_files(sources, labels) if labels else (),
        spec=spec,
        output=output or Path("data") / f"{spec.name}.zarr",
        split=division,
        seed=seed,
        memory=parse_size("memory", memory),
        simulation=simulation,
        where=where,
        overwrite=overwrite,
    )
    with open_executor(workers, scheduler) as executor:
        ingest(job, executor)
    if not console.console.quiet:
        print_info(job.output)


@app.command("statistics")
def statistics(store: STORE = DEFAULT_STORE, workers: WORKERS = None, scheduler: SCHEDULER = None) -> None:
    """Compute the statistics of a store's training split again."""
    from ingest.executors import open_executor
    from ingest.statistics import recompute_statistics

    with open_executor(workers, scheduler) as executor:
        recompute_statistics(store, executor)
    if not console.console.quiet:
        print_info(store)


@app.command("select")
def select(
    where: Annotated[
        str, typer.Option(help="Cut on the per-sample columns, such as 'pt > 100 and m0 < 30' or 'source_row < 50000'.")
    ],
    output: Annotated[
        Place, typer.Option(parser=parse_place, metavar="PATH", help="The store to make: a path or a URL.")
    ],
    store: STORE = DEFAULT_STORE,
    workers: WORKERS = None,
    scheduler: SCHEDULER = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the store if it exists.")] = False,
    cache: CacheFolder = None,
    cache_size: CacheSize = None,
) -> None:
    """Make a store of the samples of another one that pass a cut.

    Each sample keeps its split; statistics and digests are computed anew.

    A cut must leave samples of each class in each split.
    """
    from ingest.executors import open_executor
    from ingest.select import Selection
    from ingest.select import select as make_selection

    use_cache(cache, cache_size)
    job = Selection(store=store, where=where, output=output, overwrite=overwrite)
    with open_executor(workers, scheduler) as executor:
        make_selection(job, executor)
    if not console.console.quiet:
        print_info(output)


@app.command("verify")
def verify(
    store: STORE = DEFAULT_STORE,
    source: Annotated[
        list[Place] | None,
        typer.Argument(
            parser=parse_place,
            metavar="SOURCE",
            help="Files, folders or patterns, on this machine or at URLs, that the store was made from, or some of "
            "them; without any, images are not compared with their sources.",
        ),
    ] = None,
    workers: WORKERS = None,
    scheduler: SCHEDULER = None,
    cache: CacheFolder = None,
    cache_size: CacheSize = None,
) -> None:
    """Compare a store's files with their recorded digests, and its images with the source files, bit for bit."""
    import time

    from ingest.executors import open_executor
    from ingest.source_files import find_files
    from ingest.verify import verify as check

    use_cache(cache, cache_size)
    began = time.perf_counter()
    with open_executor(workers, scheduler) as executor:
        result = check(store, find_files(source or []), executor)
    seconds = time.perf_counter() - began
    for problem in result.problems:
        console.fail(problem)
    if result.problems:
        raise typer.Exit(1)
    of_all = f" of {result.samples:,}" if result.images < result.samples else ""
    compared = f"{result.images:,}{of_all} images equal to their sources"
    images = compared if source else "no sources given, images not compared"
    text = f"{store}: {result.files:,} files equal to their digests, {images}; {seconds:.1f} s"
    screen = console.output_screen()
    screen.print(text, markup=False, soft_wrap=not screen.is_terminal)


@app.command("info")
def info(
    store: STORE = DEFAULT_STORE,
    reference: Annotated[
        bool, typer.Option("--reference", help="Compare with the statistics published for the real files.")
    ] = False,
    quality: Annotated[
        bool, typer.Option("--quality", help="Show how well each kind of shuffling mixes the training split.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")] = False,
    cache: CacheFolder = None,
    cache_size: CacheSize = None,
) -> None:
    """Show the splits, sources and statistics of a store."""
    use_cache(cache, cache_size)
    if as_json:
        import json

        from ingest.summary import summarise_store

        typer.echo(json.dumps(summarise_store(store, reference, quality), indent=2, allow_nan=False))
    else:
        print_info(store, reference, quality)


def print_info(path: Location, reference: bool = False, quality: bool = False) -> None:
    """Print the splits, sources and statistics of a store."""
    from ingest.info import describe_store

    console.output_screen().print(describe_store(path, reference, quality))


@app.command("page")
def page(
    store: STORE = DEFAULT_STORE,
    output: Annotated[
        Place | None,
        typer.Option(
            parser=parse_place,
            metavar="PATH",
            help="The page to write.",
            show_default="NAME.html beside the store NAME.zarr",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the choice of images.")] = 0,
    cache: CacheFolder = None,
    cache_size: CacheSize = None,
) -> None:
    """Write a page about a store: one HTML file with its images, spectra, statistics and origin."""
    from ingest.page.page import write_page

    use_cache(cache, cache_size)
    typer.echo(console.printable(str(write_page(store, output, seed))))


@app.command("describe")
def describe(
    file: Annotated[
        Place, typer.Argument(parser=parse_place, metavar="FILE", help="An HDF5 or Parquet file, or its URL.")
    ],
    cache: CacheFolder = None,
    cache_size: CacheSize = None,
) -> None:
    """Print a description of the data set in a file, to check, complete and give to `ingest --dataset`.

    What only you can know is marked as a guess.
    """
    from ingest.describe import describe_file

    use_cache(cache, cache_size)
    typer.echo(describe_file(file), nl=False)


@app.command("fetch")
def fetch(
    dataset: Annotated[str, typer.Option(help="Data set, electron-photon or quark-gluon.")] = "electron-photon",
    output: Annotated[Path, typer.Option(help="Folder for the files.")] = RAW,
) -> None:
    """Download the real files of a data set from CERNBox; resumes interrupted downloads."""
    from ingest.fetch import fetch_dataset

    for path in fetch_dataset(dataset, output):
        typer.echo(console.printable(str(path)))


def main() -> None:
    """Run the program."""
    console.run(app, default="convert")


if __name__ == "__main__":
    main()
