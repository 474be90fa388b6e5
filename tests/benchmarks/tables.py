"""Markdown tables of what was measured."""

from collections.abc import Mapping, Sequence
from typing import Any

PLAIN = "plain download"


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (headings, ["---"] * len(headings), *rows))


def span(low: float, high: float) -> str:
    """Return the smallest and the largest value with three digits."""
    return f"{low:.3g} - {high:.3g}"


def link_table(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table of a report of `bench_link`."""
    headings = [
        "reader",
        "images/s, first epoch",
        "share of the link",
        "min - max",
        "MB over the link",
        "first batch, ms",
        "images/s, later epochs",
        "MB over the link, later",
        "x local store",
        "min - max",
        "shuffled",
    ]
    rows = []
    for name, figure in figures.items():
        if name == PLAIN:
            rates = sorted(rate / 1e6 for rate in figure["bytes_per_second"])
            row = [name, f"{rates[len(rates) // 2]:.1f} MB/s", "1", *[""] * 8]
        else:
            row = [
                name,
                f"{figure['rate']:,.0f}",
                f"{figure['share']:.3g}",
                span(figure["share_min"], figure["share_max"]),
                f"{figure['mb']:,.1f}",
                f"{figure['first_ms']:,.0f}",
                f"{figure['later_rate']:,.0f}" if "later_rate" in figure else "",
                f"{figure['later_mb']:,.1f}" if "later_mb" in figure else "",
                f"{figure['ratio']:.3g}" if "ratio" in figure else "",
                span(figure["ratio_min"], figure["ratio_max"]) if "ratio" in figure else "",
                f"{figure['note']}; {figure['images']:,} images",
            ]
        rows.append(row)
    return markdown(headings, rows)
