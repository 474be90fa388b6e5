"""Markdown tables of reports, one column per machine: ``python -m tests.benchmarks.tables [PAGE.md]``.

The page names the tables that it wants, and their reports, in comments: ``<!-- stream A.json B.json -->`` before a
table, and ``<!-- end -->`` after it. The program puts the tables there, and prints them.
"""

import functools
import json
import re
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.gpu.table import gpu_tables, markdown
from tests.benchmarks.interleave import ratios

Report = Mapping[str, Any]

PLAIN = "plain download"
OURS = "ours, full, 2 threads"


def main(path: str = "docs/benchmarks.md") -> None:
    page = Path(path)
    text = filled(page)
    page.write_text(text)
    print(text)


def filled(page: Path) -> str:
    """Return the text of a page with its tables made anew from their reports, which lie in ``benchmarks`` beside it."""

    def table(match: re.Match[str]) -> str:
        kind, *names = match[1].split()
        reports = [json.loads((page.parent / "benchmarks" / name).read_text()) for name in names]
        return f"<!-- {match[1]} -->\n{TABLES[kind](reports)}\n<!-- end -->"

    return re.sub(r"<!-- (\w+(?: \S+\.json)+) -->.*?<!-- end -->", table, page.read_text(), flags=re.DOTALL)


def machines_list(reports: Sequence[Report]) -> str:
    """Return what is known of the machine of each report."""
    return "\n".join(f"- {letter(number)}: {machine(report)}" for number, report in enumerate(reports))


def letter(number: int) -> str:
    """Return how a table calls a machine."""
    return chr(ord("A") + number)


def machine(report: Report) -> str:
    """Return what is known of the machine of a report."""
    facts = report["machine"]
    memory = f"{facts['memory_gb']:.0f} GB, " if "memory_gb" in facts else ""
    return f"{facts['processor']}, {facts['cores']} cores, {memory}{facts['system']}, Python {facts['python']}"


def stream_table(reports: Sequence[Report], *, peers: bool = False) -> str:
    """Return what was measured of our readers, or of those of others: on each machine rate, and ratio to references."""

    def wanted(report: Report, name: str) -> bool:
        return bool(report["figures"][name]["peer"]) is peers

    names = list(dict.fromkeys(name for report in reports for name in report["figures"] if wanted(report, name)))
    if peers:
        names.sort(key=lambda name: -max(report["figures"].get(name, {"ratio": 0})["ratio"] for report in reports))
    columns = ("images/s", "x numpy", "ours / it" if peers else "x numpy, 2 threads")
    headings = ["reader"]
    for number in range(len(reports)):
        headings += [f"{column} ({letter(number)})" for column in columns]
    rows = []
    for name in names:
        row = [name]
        for report in reports:
            figures = report["figures"]
            if name not in figures:
                row += [""] * len(columns)
                continue
            last = ratios(figures, OURS, name) if peers else ratios(figures, name, "numpy X[perm], 2 threads")
            row += [f"{figures[name]['rate']:,.0f}", spread(ratios(figures, name, "numpy X[perm]")), spread(last)]
        notes = [report["figures"][name]["note"] for report in reports if name in report["figures"]]
        rows.append([*row, notes[-1]])
    return markdown([*headings, "shuffled"], rows)


def targets_table(reports: Sequence[Report]) -> str:
    """Return each target beside what was measured on each machine."""
    names = dict.fromkeys(name for report in reports for name in report["targets"])
    goals = {name: goal for report in reports for name, (_, goal) in report["targets"].items()}
    headings = ["", *(letter(number) for number in range(len(reports))), "target"]
    rows = [
        [name, *(f"{report['targets'][name][0]:.3g}" if name in report["targets"] else "" for report in reports)]
        for name in names
    ]
    return markdown(headings, [[*row, goals[row[0]]] for row in rows])


def link_table(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table of a report of `bench_link`."""
    carried = f"{spread([rate / 1e6 for rate in figures[PLAIN]['bytes_per_second']])} MB/s"
    rows = [[PLAIN, carried, "1", "", "", "", "", ""]]
    for name, figure in figures.items():
        if name == PLAIN:
            continue
        is_remote = figure["mb"] > 0
        later = "later_rate" in figure
        rows.append(
            [
                name,
                f"{figure['rate']:,.0f}",
                spread(figure["shares"]) if is_remote else "",
                f"{figure['first_ms']:,.0f}",
                f"{figure['later_rate']:,.0f}" if later else "",
                spread(figure["ratios"]) if figure.get("ratios") else "",
                f"{figure['mb']:,.0f}" + (f", then {figure['later_mb']:,.0f}" if later else ""),
                f"{figure['note']}; {figure['images']:,} images",
            ]
        )
    headings = ["reader", "images/s, first epoch", "share of the link", "first batch, ms"]
    return markdown([*headings, "images/s, later", "x local store", "MB over the link", "shuffled"], rows)


def step_table(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table of a report of `bench_step`."""
    rows = []
    for name, figure in figures.items():
        network, *framework, precision = name.split(", ")
        is_network = "operations" in figure
        rows.append(
            [
                network,
                "".join(framework) or "torch",
                precision,
                f"{figure['rate']:,.0f}" if is_network else "",
                f"{figure['operations'] / 1e6:.1f}" if is_network else "",
                f"{figure['gflops']:,.0f}",
                f"{figure['of_bound']:.2f}",
            ]
        )
    headings = ["", "framework", "precision", "images/s", "MFLOP per image", "GFLOP/s", "x matrix product"]
    return markdown(headings, rows)


def spread(values: Sequence[float]) -> str:
    """Return the median, and in parentheses the smallest and the largest value."""
    middle, low, high = (
        f"{value:.3g}" if value < 999 else f"{value:,.0f}"
        for value in (statistics.median(values), min(values), max(values))
    )
    return f"{middle} ({low} - {high})"


TABLES: dict[str, Callable[[Sequence[Report]], str]] = {
    "machines": machines_list,
    "stream": stream_table,
    "peers": functools.partial(stream_table, peers=True),
    "targets": targets_table,
    "gpu": lambda reports: "\n\n".join(map(gpu_tables, reports)),
    "step": lambda reports: "\n\n".join(step_table(report["figures"]) for report in reports),
    "link": lambda reports: "\n\n".join(link_table(report["figures"]) for report in reports),
}

if __name__ == "__main__":
    main(*sys.argv[1:])
