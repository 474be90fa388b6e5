"""Measured values with their confidence intervals, as parts of a document."""

import math

from evaluate.metrics import Estimate
from evaluate.parts import Measurement

Bounds = tuple[float, float]
FRACTION: Bounds = (0.0, 1.0)
DIFFERENCE: Bounds = (-1.0, 1.0)
NOT_NEGATIVE: Bounds = (0.0, math.inf)
UNBOUNDED: Bounds = (-math.inf, math.inf)


def with_interval(estimate: Estimate, bounds: Bounds) -> Measurement:
    """Return an estimate with its confidence interval, clipped to the bounds of the quantity."""
    return Measurement(value=estimate.value, standard_error=estimate.standard_error, interval=estimate.interval(bounds))


def if_defined(estimate: Estimate | None, bounds: Bounds) -> Measurement | None:
    """Return an estimate like `with_interval`, or None if there is none or it is infinite."""
    return with_interval(estimate, bounds) if estimate and math.isfinite(estimate.value) else None
