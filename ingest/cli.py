"""The program ``ingest``."""

from pathlib import Path
from typing import Annotated

import typer

from store import console

app = typer.Typer(
    help="Make a store of images from HDF5 or Parquet files. `ingest FILE ...` is short for `ingest convert FILE ...`.",
    no_args_is_help=False,
    add_completion=False,
)
WORKERS = Annotated[
    int | None, typer.Option(help="Processes of a local dask cluster.  [default: threads of this process]")
]
SCHEDULER = Annotated[str | None, typer.Option(help="Address of a running dask scheduler, tcp://...")]
RAW = Path("data/raw")
RAW_SUFFIXES = {".hdf5", ".parquet"}
SAMPLES = Path(__file__).parent / "sample"  # a folder for each data set


@app.command("convert")
def convert(
    source: Annotated[
        list[Path] | None,
        typer.Argument(
            help="HDF5 or Parquet files; by default those of the data set in data/raw, else the bundled sample.",
            show_default=False,
        ),
    ] = None,
    dataset: Annotated[str, typer.Option(help="What the files hold.")] = "electron-photon",
    output: Annotated[Path | None, typer.Option(help="The store to make.  [default: data/DATASET.zarr]")] = None,
    split: Annotated[str, typer.Option(help="Fractions of each split, challenge or challenge-scaled.")] = "0.7,0.1,0.2",
    seed: Annotated[int, typer.Option(help="Chooses the shuffle.")] = 0,
    memory: Annotated[str, typer.Option(help="Bound on the samples held in memory.")] = "1GiB",
    workers: WORKERS = None,
    scheduler: SCHEDULER = None,
    simulation: Annotated[
        str, typer.Option(help="What simulated the images, such as 'Pythia simulation', if the files do not say.")
    ] = "",
    sample: Annotated[bool, typer.Option("--sample", help="Use the bundled sample.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the store if it exists.")] = False,
) -> None:
    """Make a store: one shuffled, compressed, labelled Zarr group with its statistics."""
    from ingest.convert import Ingest, ingest
    from ingest.executors import open_executor
    from ingest.split import Split
    from store.datasets import find_dataset
    from store.files import parse_size

    spec = find_dataset(dataset)
    job = Ingest(
        sources=choose_sources(source or [], dataset, sample),
        spec=spec,
        output=output or Path("data") / f"{dataset}.zarr",
        split=Split.parse(split),
        seed=seed,
        memory=parse_size("memory", memory),
        simulation=simulation,
        overwrite=overwrite,
    )
    with open_executor(workers, scheduler) as pool:
        ingest(job, pool)
    print_info(job.output)


def choose_sources(given: list[Path], dataset: str, sample: bool) -> tuple[Path, ...]:
    """Return the files to ingest and say loudly which they are if none were given."""
    from store.sources.values import as_simulation

    if given and sample:
        raise typer.BadParameter("give source files or --sample, not both")
    if given:
        return tuple(given)
    raw = [] if sample else raw_files(dataset)
    if raw:
        console.console.print(f"[bold]using {len(raw)} files in {RAW}[/bold]")
        return tuple(raw)
    bundled = sorted((SAMPLES / dataset).glob("*.hdf5"))
    if not bundled:
        raise typer.BadParameter(f"give source files: {RAW} has none of {dataset}, and no sample of it is bundled")
    simulated = as_simulation(bundled[0], "")
    console.console.print(f"[bold yellow]using the bundled sample: a {simulated}, not CMS data[/bold yellow]")
    return tuple(bundled)


def raw_files(dataset: str) -> list[Path]:
    """Return the files in data/raw, but for those that hold another data set."""
    from store.datasets import DATASETS
    from store.errors import SourceError
    from store.sources.source import open_source

    def holds(path: Path, name: str) -> bool:
        try:
            open_source(path, DATASETS[name])
        except SourceError:
            return False
        return True

    files = sorted(path for path in RAW.glob("*") if path.suffix in RAW_SUFFIXES)
    return [path for path in files if not any(holds(path, name) for name in DATASETS if name != dataset)]


@app.command("statistics")
def statistics(
    store: Annotated[Path, typer.Argument(help="The store.")] = Path("data/electron-photon.zarr"),
    workers: WORKERS = None,
    scheduler: SCHEDULER = None,
) -> None:
    """Compute the statistics of a store's training split again."""
    from ingest.executors import open_executor
    from ingest.statistics import write_statistics
    from store.digests import write_digests

    with open_executor(workers, scheduler) as pool:
        write_statistics(store, pool)
    write_digests(store)
    print_info(store)


@app.command("verify")
def verify(
    store: Annotated[Path, typer.Argument(help="The store.")] = Path("data/electron-photon.zarr"),
    source: Annotated[
        list[Path] | None, typer.Argument(help="Files it was made from; without any, only digests are checked.")
    ] = None,
    workers: WORKERS = None,
    scheduler: SCHEDULER = None,
) -> None:
    """Compare a store with its sources bit for bit, and its files with their digests."""
    import time

    from ingest.executors import open_executor
    from ingest.verify import verify as check

    began = time.perf_counter()
    with open_executor(workers, scheduler) as pool:
        found = check(store, source or [], pool)
    seconds = time.perf_counter() - began
    for problem in found.problems:
        console.console.print(f"error: {problem}", style="red", markup=False, soft_wrap=True)
    compared = f"{found.images:,} images equal to their sources" if source else "no sources given, images not compared"
    if found.problems:
        raise typer.Exit(1)
    typer.echo(f"{store}: {found.files:,} files equal to their digests, {compared}; {seconds:.1f} s")


@app.command("info")
def info(
    store: Annotated[Path, typer.Argument(help="The store.")] = Path("data/electron-photon.zarr"),
    reference: Annotated[bool, typer.Option("--reference", help="Add those published of the real files.")] = False,
) -> None:
    """Show what is in a store."""
    print_info(store, reference)


def print_info(path: Path, reference: bool = False) -> None:
    """Print a store's identity, splits and statistics."""
    from rich.console import Console

    from ingest.info import describe_store

    output = Console()
    output.width = max(output.width, 100)
    output.print(describe_store(path, reference))


@app.command("fetch")
def fetch(
    dataset: Annotated[str, typer.Option(help="Whose files: electron-photon or quark-gluon.")] = "electron-photon",
    output: Annotated[Path, typer.Option(help="Folder to put them in.")] = RAW,
) -> None:
    """Download the real files; a broken download goes on where it stopped."""
    from ingest.fetch import fetch_dataset

    for path in fetch_dataset(dataset, output):
        typer.echo(path)


def main() -> None:
    """Run the program."""
    console.run(app, default="convert")


if __name__ == "__main__":
    main()
