"""Measure contenders in turn, round after round.

On a busy machine, ratios within a round are reliable even if times are not.
"""

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

import psutil
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
        Remark for the table, such as the granularity of the shuffle.
    """

    note: str

    def measure(self, round_: int) -> float:
        """Do the work once and return its rate in units (samples, bytes) per second.

        Round 0 is a warm-up that does not count; it may check that the result is right.
        """


@dataclass(frozen=True, kw_only=True)
class Timed:
    """A contender in this process: `run` does the work once and returns the number of units done."""

    run: Callable[[], float]
    note: str = ""

    def measure(self, round_: int) -> float:
        """See `Contender.measure`."""
        gc.collect()
        began = time.perf_counter()
        units = self.run()
        return units / (time.perf_counter() - began)


def interleave(contenders: Mapping[str, Contender], reference: str, rounds: int) -> Figures:
    """Measure every contender once per round.

    Returns
    -------
    dict
        For each contender its ``note``, the ``rates`` of all rounds in units/s, their median ``rate``, and the median,
        smallest and largest ratio to the reference in the same round (``ratio``, ``ratio_min``, ``ratio_max``).
    """
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for round_ in track(range(rounds + 1), "measuring"):
        for name, contender in contenders.items():
            rate = contender.measure(round_)
            if round_:
                rates[name].append(rate)
    figures = {}
    for name, own_rates in rates.items():
        ratios = [rate / base for rate, base in zip(own_rates, rates[reference], strict=True)]
        figures[name] = {
            "note": contenders[name].note,
            "rate": statistics.median(own_rates),
            "ratio": statistics.median(ratios),
            "ratio_min": min(ratios),
            "ratio_max": max(ratios),
            "rates": own_rates,
        }
    return figures


def median_ratio(figures: Figures, name: str, base: str) -> float:
    """Return the median over all rounds of the ratio of one contender's rate to another's."""
    return statistics.median(ratios(figures, name, base))


def ratios(figures: Figures, name: str, base: str) -> list[float]:
    """Return the ratio of one contender's rate to another's in each round."""
    pairs = zip(figures[name]["rates"], figures[base]["rates"], strict=True)
    return [rate / other for rate, other in pairs]


def show(figures: Figures, reference: str, unit: str, extra: Mapping[str, str] | None = None) -> None:
    """Print a table of the figures; `extra` maps further keys of the figures to column headings."""
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
    """Print a table whose rows are a name, one number per heading, and a note."""
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
    """Write the results and a description of the machine to a JSON file."""
    machine = {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": psutil.virtual_memory().total / 1e9,
        "load": os.getloadavg(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": machine, **sections}, indent=2) + "\n")


def processor() -> str:
    """Return the name of the processor with its family and model, or the architecture where these are unknown."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return platform.processor() or platform.machine()
    pairs = (line.partition(":") for line in path.read_text().splitlines())
    facts = {name.strip(): value.strip() for name, _, value in pairs}
    if "model name" not in facts:
        return platform.machine()
    return f"{facts['model name']} (family {facts.get('cpu family', '?')}, model {facts.get('model', '?')})"
