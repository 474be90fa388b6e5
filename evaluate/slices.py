"""The metrics again in bins of a variable: where a classifier does well, and where it does not."""

import itertools

import numpy as np

from evaluate.measure import Document, measure
from evaluate.metrics import Array
from evaluate.observables import Variable

BINS = 8
SAMPLES_A_BIN = 100


def slice_by(
    variable: Variable,
    label: Array,
    score: Array,
    weight: Array | None = None,
    *,
    best_threshold: float | None = None,
) -> Document:
    """Return the metrics in bins of a variable.

    Parameters
    ----------
    variable
        Of the same n samples.
    label
        (n,), 0 or 1.
    score
        (n,), probabilities of class 1.
    weight
        (n,), how much a sample counts; by default 1.
    best_threshold
        As for `measure`.

    Returns
    -------
    dict
        ``variable``, ``long_name``, ``units`` and ``bins``: up to 8 of about equal numbers of samples, fewer if that
        would be less than 100. A bin includes its lower edge ``low``, the last one its upper edge ``high`` too. Samples
        of weight 0 and values that are not finite are in no bin, and a bin of less than two samples is left out.

    Raises
    ------
    RunError
        As `measure`.
    """
    weights = np.ones(variable.value.size) if weight is None else np.asarray(weight)
    known = np.isfinite(variable.value) & (weights != 0)
    columns = [np.asarray(column)[known] for column in (label, score, weights)]
    value = variable.value[known]
    bins = []
    if value.size:
        count = min(BINS, max(1, value.size // SAMPLES_A_BIN))
        lows = np.unique(np.quantile(value, np.linspace(0, 1, count, endpoint=False), method="lower"))
        place = np.searchsorted(lows, value, side="right") - 1
        for index, (low, high) in enumerate(itertools.pairwise([*lows, value.max()])):
            inside = place == index
            if np.count_nonzero(inside) >= 2:
                limits = {"low": float(low), "high": float(high), "mean": float(value[inside].mean())}
                bins.append(
                    {**limits, **measure(*(column[inside] for column in columns), best_threshold=best_threshold)}
                )
    return {
        "variable": variable.name,
        "long_name": variable.long_name,
        "units": variable.units,
        "bins": bins,
    }
