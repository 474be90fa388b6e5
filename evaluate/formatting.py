"""Numbers as text."""

import math

from evaluate.parts import Measurement

LARGEST_WHOLE = 2**63  # of the whole numbers that are shown with all digits


def plus_minus(measurement: Measurement) -> str:
    """Return value ± standard error, rounded to two significant digits of the error."""
    return with_error(measurement.value, measurement.standard_error)


def with_error(value: float, error: float) -> str:
    """Return value ± error, rounded to two significant digits of the error."""
    digits = min(max(1 - math.floor(math.log10(error)), 0), 6) if error > 0 else 4
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def edge(value: float) -> str:
    """Return the edge of a bin: a whole number with all its digits, such as a run number, or four digits."""
    return f"{value:.0f}" if value.is_integer() and abs(value) < LARGEST_WHOLE else f"{value:.4g}"
