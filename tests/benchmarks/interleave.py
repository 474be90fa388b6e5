"""Contenders measured in turn, round after round: on a busy machine ratios within a round hold where times do not."""

import gc
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import rich.box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from store.console import track

Figures = dict[str, dict[str, Any]]


class Contender(Protocol):
    """Something to measure.

    Attributes
    ----------
    note
        What a reader of the table should know, such as the granularity of the shuffle.
    """

    note: str

    def measure(self, round_: int) -> float:
        """Do the work once and return how many units of it (samples, bytes) were done a second.

        Round 0 does not count: it warms up, and may check that the work is right.
        """


@dataclass(frozen=True, kw_only=True)
class Timed:
    """A contender in this process: `run` does the work once and returns how many units of it."""

    run: Callable[[], float]
    note: str = ""

    def measure(self, round_: int) -> float:
        """See `Contender.measure`."""
        gc.collect()
        began = time.perf_counter()
        done = self.run()
        return done / (time.perf_counter() - began)


def interleave(contenders: Mapping[str, Contender], reference: str, rounds: int) -> Figures:
    """Measure every contender once a round.

    Returns
    -------
    dict
        For each contender its ``note``, the ``rates`` of all rounds in units/s, their median ``rate``, and median,
        smallest and largest ``ratio`` to the reference in the same round.
    """
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for round_ in track(range(rounds + 1), "measuring"):
        for name, contender in contenders.items():
            rate = contender.measure(round_)
            if round_:
                rates[name].append(rate)
    figures = {}
    for name, found in rates.items():
        ratios = [rate / base for rate, base in zip(found, rates[reference], strict=True)]
        figures[name] = {
            "note": contenders[name].note,
            "rate": statistics.median(found),
            "ratio": statistics.median(ratios),
            "ratio_min": min(ratios),
            "ratio_max": max(ratios),
            "rates": found,
        }
    return figures


def median_ratio(figures: Figures, name: str, base: str) -> float:
    """Return the median over the rounds of one contender's rate to another's."""
    pairs = zip(figures[name]["rates"], figures[base]["rates"], strict=True)
    return statistics.median(rate / other for rate, other in pairs)


def show(figures: Figures, reference: str, unit: str, extra: Mapping[str, str] | None = None) -> None:
    """Print a table of the figures; `extra` names further keys of theirs and the headings to put above them."""
    extra = extra or {}
    rounds = len(figures[reference]["rates"])
    headings = [f"{unit}/s", f"x {reference}", "min - max", *extra.values()]
    rows = []
    for name, figure in figures.items():
        spread = f"{figure['ratio_min']:.3g} - {figure['ratio_max']:.3g}"
        more = [f"{figure[key]:,.1f}" for key in extra]
        rows.append([name, f"{figure['rate']:,.0f}", f"{figure['ratio']:.3g}", spread, *more, figure["note"]])
    show_table(f"medians of {rounds} interleaved rounds", headings, rows)


def show_table(title: str, headings: list[str], rows: list[list[str]]) -> None:
    """Print a table: a name, columns of numbers under their headings, a note."""
    table = Table(title=title, box=rich.box.SIMPLE_HEAD, title_justify="left")
    table.add_column("", no_wrap=True)
    for heading in headings:
        table.add_column(Text(heading), justify="right", no_wrap=True)
    table.add_column("note", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console()
    console.width = max(console.width, 150)
    console.print(table)


def write_report(path: Path, **sections: Any) -> None:
    """Write what was found, and on what machine, as JSON."""
    machine = {
        "processor": processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": machine, **sections}, indent=2) + "\n")


def processor() -> str:
    """Return what the processor is called, where that can be known."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
