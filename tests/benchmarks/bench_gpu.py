"""Everything about the speed of a GPU, in one command and under eight minutes: ``pixi run -e gpu-torch bench-gpu``.

Bare rates of the device, the feeds alone, training of the networks in several precisions, whole epochs, and other ways
to read the same images. The images are drawn from the bundled samples; nothing is downloaded. What is important comes
first, and what does not fit into the time is listed as not measured. So is what fails, with the reason: each framework
runs in a process of its own, and in a new one after a failure. A framework that is not installed is named as missing.
The report is written after each measurement, so that an interrupted run has one as well.
"""

import argparse
import importlib.util
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest.executors import ThreadExecutor
from ingest.statistics import recompute_statistics
from store.console import say
from tests.benchmarks.gpu.process import FailedError, Processes, processes
from tests.benchmarks.gpu.rows import FRAMEWORKS, FULL, SMALL, Row, Size, rows
from tests.benchmarks.gpu.table import gpu_tables
from tests.benchmarks.images import Images
from tests.benchmarks.interleave import write_report
from tests.benchmarks.write_store import write_store

PACKAGES = {"torch": "torch", "keras": "tensorflow"}
# All but the reader that loads TensorFlow: CUDA builds of the two frameworks crash in one process.
PEERS = tuple(sorted({path.stem for path in (Path(__file__).parent / "peers").glob("*.py")} - {"tfrecord"}))
START = 120  # seconds within which a process must have loaded its framework
SPARE = 5  # seconds at the end for the report


def main(words: Sequence[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8, help="time for everything (default %(default)s)")
    parser.add_argument("--small", action="store_true", help="few and tiny measurements, also without a GPU")
    parser.add_argument(
        "--device", choices=("auto", "cuda", "cpu"), default="auto", help="default: a GPU if there is one"
    )
    parser.add_argument("--framework", choices=FRAMEWORKS, action="append", help="default: all that are installed")
    parser.add_argument("--sections", nargs="+", metavar="NAME", help="of: rates feeds training epochs peers auc")
    parser.add_argument("--peers", nargs="*", metavar="NAME", choices=PEERS, default=PEERS, help="of: %(choices)s")
    parser.add_argument(
        "--threads",
        type=int,
        default=min(8, os.cpu_count() or 1),
        help="threads that decode images (default %(default)s)",
    )
    parser.add_argument("--report", type=Path, metavar="PATH", help="write the results to this JSON file")
    parser.add_argument("--folder", type=Path, metavar="PATH", help="create the temporary files inside this folder")
    options = parser.parse_args(words)
    end = time.monotonic() + 60 * options.minutes - (0 if options.small else SPARE)
    wanted = options.framework or FRAMEWORKS
    frameworks = [name for name in wanted if importlib.util.find_spec(PACKAGES[name])]
    missing = [
        f"{PACKAGES[name]} is not installed: nothing is measured in it" for name in wanted if name not in frameworks
    ]
    with (
        tempfile.TemporaryDirectory(dir=options.folder) as folder,
        processes(options.device, Path(folder), options.threads) as measuring,
    ):
        machines = {name: measuring.ask(name, "machine", {}, START) for name in frameworks}
        with_gpu = [name for name in frameworks if machines[name]["gpus"]]
        on_gpu = bool(with_gpu) and options.device != "cpu"
        if not on_gpu and (options.device == "cuda" or not options.small):
            parser.exit(1, "bench-gpu: PyTorch and TensorFlow find no GPU; --small measures a little on the CPU\n")
        if on_gpu:
            without = [name for name in frameworks if name not in with_gpu]
            missing += [f"{PACKAGES[name]} finds no GPU: nothing is measured in it" for name in without]
            frameworks = with_gpu
        size = SMALL if options.small else FULL
        bench = Bench(
            folder=Path(folder),
            size=size,
            processes=measuring,
            end=end,
            path=options.report,
            missing=missing,
            machines={name: machines[name] for name in frameworks},
        )
        chosen = rows(size, frameworks, on_gpu=on_gpu, peers=options.peers)
        bench.run([row for row in chosen if not options.sections or row.section in options.sections])
    report = bench.report()
    print(gpu_tables(report))
    return report


@dataclass(kw_only=True)
class Bench:
    """The measurements of one run.

    Attributes
    ----------
    folder
        Folder for the stores and other temporary files.
    size
        How large and how long the measurements are.
    processes
        The processes that measure.
    end
        When to stop, on `time.monotonic`'s clock.
    path
        File of the report, or None.
    missing
        What cannot be measured here at all, in sentences.
    machines
        What each framework says about itself and the device.
    results
        Results of the rows that were measured.
    failed
        For each row that was not, the reason.
    """

    folder: Path
    size: Size
    processes: Processes
    end: float
    path: Path | None
    missing: list[str]
    machines: dict[str, dict[str, Any]] = field(default_factory=dict)
    results: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)

    def run(self, chosen: Sequence[Row]) -> None:
        """Measure row after row, and write the report after each."""
        for number, row in enumerate(chosen):
            say(f"{number + 1}/{len(chosen)}  {row.framework}  {row.section}: {row.name}")
            about = {"section": row.section, "name": row.name, "framework": row.framework}
            try:
                answer = self.measure(row)
            except FailedError as error:
                self.failed.append({**about, "reason": str(error)})
            else:
                self.results.append({**about, "arguments": dict(row.arguments), **answer})
            if self.path:
                write_report(self.path, **self.report())

    def measure(self, row: Row) -> dict[str, Any]:
        """Measure one row.

        Raises
        ------
        FailedError
            If it fails, or the time left is too short for it.
        """
        arguments = dict(row.arguments)
        left = self.end - time.monotonic()
        if left < row.seconds:
            raise FailedError("no time was left")
        if row.dataset:
            arguments["store"] = str(self.store(row.dataset))
            left = self.end - time.monotonic()
        return self.processes.ask(row.framework, row.command, arguments, max(1.0, min(row.limit + START / 4, left)))

    def store(self, dataset: str) -> Path:
        """Return the store of a data set, which is written when it is first needed."""
        path = self.folder / f"{dataset}.zarr"
        if not path.exists():
            say(f"writing {self.size.images[dataset]:,} images of {dataset}")
            write_store(path, Images(count=self.size.images[dataset], dataset=dataset))
            recompute_statistics(path, ThreadExecutor())
        return path

    def report(self) -> dict[str, Any]:
        """Return the report."""
        return {
            "frameworks": self.machines,
            "images": dict(self.size.images),
            "gpu_figures": self.results,
            "not_measured": self.failed,
            "missing": self.missing,
        }


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # so that temporary files are removed
    main()
