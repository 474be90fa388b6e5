"""Speed of a training step on one thread of a CPU: ``python -m tests.benchmarks.bench_step [--report REPORT.json]``.

Each framework runs in a process of its own; all of them are measured in turn. Rates are images per second of processor
time. Those of the convolutions and matrix products of a network are compared with the rate of a square matrix product
in PyTorch, which is near what the processor can do.
"""

import argparse
import contextlib
import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.benchmarks.interleave import interleave, median_ratio, show, write_report
from tests.benchmarks.step_worker import MATRIX, SHAPES, serve
from train.model.networks import ARCHITECTURES
from train.model.operations import training_operations

NETWORKS = ("shower", "shower-transformer", "cnn", "resnet15", "jet-cnn-deep", "jet-transformer")
FRAMEWORKS = ("torch", "keras")
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class Step:
    """A contender in another process."""

    process: Connection
    request: tuple[str, str, int]
    note: str = ""

    def measure(self, round_: int) -> float:
        """See `Contender.measure`."""
        self.process.send(self.request)
        return float(self.process.recv())


def main(words: Sequence[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=ARCHITECTURES, default=NETWORKS, metavar="NAME")
    parser.add_argument("--frameworks", nargs="+", choices=FRAMEWORKS, default=FRAMEWORKS, metavar="NAME")
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS, metavar="NAME")
    parser.add_argument("--batch", type=int, default=256, help="images per batch (default %(default)s)")
    parser.add_argument("--size", type=int, default=1024, help="rows of the matrices (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=0.5, help="per measurement (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds (default %(default)s)")
    parser.add_argument("--report", type=Path, metavar="PATH", help="write the results to this JSON file")
    options = parser.parse_args(words)
    with contextlib.ExitStack() as stack:
        processes = {
            name: stack.enter_context(running(name, options.seconds)) for name in {"torch", *options.frameworks}
        }
        contenders: dict[str, Any] = {
            f"{MATRIX}, {precision}": Step(process=processes["torch"], request=(MATRIX, precision, options.size))
            for precision in options.precisions
        }
        for network in options.networks:
            for precision in options.precisions:
                for framework in options.frameworks:
                    name = f"{network}, {framework}, {precision}"
                    contenders[name] = Step(process=processes[framework], request=(network, precision, options.batch))
        reference = next(iter(contenders))
        figures = interleave(contenders, reference, options.rounds)
    for name, figure in figures.items():
        network, *_, precision = name.split(", ")
        per_unit = 1
        if network != MATRIX:
            figure["operations"] = per_unit = training_operations(
                ARCHITECTURES[network], SHAPES.get(network, (32, 32, 2))
            )
        figure["gflops"] = figure["rate"] * per_unit / 1e9
        figure["of_bound"] = per_unit * median_ratio(figures, name, f"{MATRIX}, {precision}")
    show(figures, reference, "units", {"gflops": "GFLOP/s", "of_bound": "x matrix product"})
    if options.report:
        write_report(options.report, figures=figures, batch=options.batch)
    return figures


@contextlib.contextmanager
def running(framework: str, seconds: float) -> Iterator[Connection]:
    """Run a process that takes steps in a framework."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(there, framework, seconds), daemon=True)
    process.start()
    there.close()
    try:
        yield here
        here.send(None)
        process.join(60)
    finally:
        process.terminate()
        process.join()
        here.close()


if __name__ == "__main__":
    main()
