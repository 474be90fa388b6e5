"""Figures of a metric in bins of an observable."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from evaluate import series, style
from evaluate.results import Slice, SliceBin
from evaluate.runs import Classifier

SLICED = {"auc": "AUC", "accuracy": "accuracy"}
TAIL = 3.0
"""Distance of the axis's end from the mean of the outermost bin, relative to that of the bin's inner edge, at most."""
MOST_COMMON = 1e-4
"""Range of an observable, relative to its size, below which an axis counts from the lowest value."""


@style.styled
def draw_sliced(runs: Mapping[int, Classifier], slices: Sequence[Slice], quantity: str = "auc") -> Figure:
    """Draw a test metric in bins of an observable, with standard errors; bins without it are left out.

    Parameters
    ----------
    runs
        The runs and ensembles by their index in the report, which determines their colour.
    slices
        One per run, all of the same observable.
    quantity
        One of `SLICED`.
    """
    name, long_name, units = slices[0].variable, slices[0].long_name, slices[0].units
    origin = _origin(slices)
    axis = f"{long_name} − {origin:.0f}" if origin else long_name  # noqa: RUF001
    axis = axis if units == "1" else f"{axis} ({units})"
    metric = SLICED[quantity]
    title = f"{metric[0].upper()}{metric[1:]} by {name.replace('_', ' ')}"
    figure, axes = style.new_figure(title, axis, f"test {metric}", len(runs))
    entries = {}
    for (index, run), of_run in zip(runs.items(), slices, strict=True):
        bins = [(part, value) for part in of_run.bins if (value := getattr(part, quantity))]
        mean = np.array([part.mean for part, _ in bins]) - origin
        low = np.array([part.low for part, _ in bins]) - origin
        high = np.array([part.high for part, _ in bins]) - origin
        entries[run.name] = points = axes.errorbar(
            mean,
            [value.value for _, value in bins],
            yerr=[value.standard_error for _, value in bins],
            xerr=[mean - low, high - mean],
            **style.run_line(index) | {"linestyle": ""},
            marker=style.run_marker(index),
            markersize=3.5,
        )
        series.mark(series.of_run(index), points, part="value")
    axes.set_xlim(*_reach([part for of_run in slices for part in of_run.bins], origin))
    series.legend(figure, entries, [series.of_run(index) for index in runs])
    return figure


def _reach(bins: Sequence[SliceBin], origin: float) -> tuple[float | None, float | None]:
    """Return the ends of the axis where the first or the last bin has a long tail, which would squeeze all others."""
    if not bins:
        return None, None
    first, last = min(bins, key=lambda part: part.low), max(bins, key=lambda part: part.high)
    left, right = first.mean - TAIL * (first.high - first.mean), last.mean + TAIL * (last.mean - last.low)
    return left - origin if first.low < left else None, right - origin if last.high > right else None


def _origin(slices: Sequence[Slice]) -> float:
    """Return what an axis of an observable counts from: its lowest value if all digits of ticks would be the same."""
    bins = [part for of_run in slices for part in of_run.bins]
    low, high = min((part.low for part in bins), default=0.0), max((part.high for part in bins), default=0.0)
    return low if high - low < MOST_COMMON * max(abs(low), abs(high)) and low.is_integer() else 0.0
