"""The Markdown tables of a report of `tests.benchmarks.bench_gpu`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

Result = Mapping[str, Any]
Column = tuple[str, Callable[[Result], str]]


def number(key: str, text: str = ",.0f", scale: float = 1) -> Callable[[Result], str]:
    """Return what shows one value of a result; empty if it was not measured."""
    return lambda result: "" if result.get(key) is None else format(scale * result[key], text)


def with_error(key: str) -> Callable[[Result], str]:
    """Return what shows a value and its standard error."""
    return lambda result: "{:.4f} ± {:.4f}".format(*result[key]) if key in result else ""


SECTIONS: dict[str, tuple[str, list[Column]]] = {
    "rates": ("device alone", [("rate", number("rate", ",.4g")), ("unit", lambda result: str(result["unit"]))]),
    "feeds": (
        "feed alone",
        [("images/s", number("images_per_second")), ("ready after, s", number("ready_after", ".2f"))],
    ),
    "training": (
        "training",
        [
            ("images/s", number("images_per_second")),
            ("ms per step", number("ms_per_step", ".2f")),
            ("waiting for data, %", number("waiting_share", ".1f", 100)),
            ("synchronisations per step", number("synchronisations_per_step", ".2f")),
            ("peak memory, GB", number("peak_gb", ".2f")),
            ("ready after, s", number("ready_after", ".1f")),
        ],
    ),
    "epochs": (
        "whole epochs",
        [
            ("images/s", number("images_per_second")),
            ("s per epoch", number("seconds_per_epoch", ".3f")),
            ("first epoch, s", number("first_epoch", ".2f")),
        ],
    ),
    "peers": (
        "other ways to read, alone",
        [("images/s", number("images_per_second")), ("how", lambda result: result.get("note", ""))],
    ),
    "auc": (
        "short training",
        [
            ("AUC, GPU", with_error("auc_cuda")),
            ("AUC, CPU", with_error("auc_cpu")),
            ("difference", with_error("difference")),
        ],
    ),
}


def gpu_tables(report: Mapping[str, Any]) -> str:
    """Return all tables of a report, and what was not measured."""
    parts = [bullets(describe(name, facts) for name, facts in report["frameworks"].items())]
    for section, (title, columns) in SECTIONS.items():
        results = [result for result in report["gpu_figures"] if result["section"] == section]
        if results:
            headings = [title, "framework", *(heading for heading, _ in columns)]
            parts.append(markdown(headings, [row(result, columns) for result in results]))
    absent = [*report["missing"], *reasons(report["not_measured"])]
    if absent:
        parts.append("Not measured:\n\n" + bullets(absent))
    return "\n\n".join(parts)


def describe(framework: str, facts: Mapping[str, Any]) -> str:
    """Return what a framework said about itself and the device, in one line."""
    known = ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in facts.items()
    )
    return f"{framework}: {known}"


def row(result: Result, columns: Sequence[Column]) -> list[str]:
    """Return the cells of a result."""
    return [result["name"], result["framework"], *(show(result) for _, show in columns)]


def reasons(failed: Sequence[Mapping[str, str]]) -> list[str]:
    """Return one line for each reason, with what was not measured for it."""
    by_reason: dict[tuple[str, str, str], list[str]] = {}
    for result in failed:
        key = (result["framework"], result["section"], result["reason"])
        by_reason.setdefault(key, []).append(result["name"])
    return [
        f"{framework}, {section}: {'; '.join(names)} ({reason})"
        for (framework, section, reason), names in by_reason.items()
    ]


def bullets(lines: Iterable[str]) -> str:
    """Return a list in Markdown."""
    return "\n".join(f"- {line}" for line in lines)


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (headings, ["---"] * len(headings), *rows))
