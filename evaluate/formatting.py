"""Numbers as text, with as many digits as their errors justify."""

import math
from collections.abc import Iterable

from evaluate.parts import Measurement

LARGEST_WHOLE = 2**63  # of the whole numbers that are shown with all digits
SMALLEST_P = 1e-300  # smaller ones are near or below the smallest number of double precision
EXACT, MOST = 4, 6
"""Decimals of a number without an error, and the largest number of decimals."""


def decimals(errors: Iterable[float]) -> int:
    """Return with how many decimals to show numbers side by side: as many as the smallest of their errors needs.

    The Particle Data Group's rule (Phys. Rev. D 110 (2024) 030001, section 5.3): two digits of an error whose first
    three digits are 100 to 354, one if they are 355 to 949, and 1000 with two digits if they are above. Errors of 0 do
    not count.
    """
    return max((_decimals(error) for error in errors if error > 0), default=EXACT)


def _decimals(error: float) -> int:
    exponent = math.floor(math.log10(error))
    leading = error / 10.0**exponent
    digits = 1 - exponent if leading < 3.55 else -exponent
    return min(max(digits, 0), MOST)


def plus_minus(measurement: Measurement, places: int | None = None) -> str:
    """Return value ± standard error, rounded as `with_error`."""
    return with_error(measurement.value, measurement.standard_error, places)


def with_error(value: float, error: float, places: int | None = None) -> str:
    """Return value ± error, rounded to some decimals; by default to those that the error needs."""
    digits = decimals([error]) if places is None else places
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def interval(measurement: Measurement, places: int) -> str:
    """Return the confidence interval of a measurement."""
    low, high = measurement.interval
    return f"{low:.{places}f} to {high:.{places}f}"


def p_value(value: float) -> str:
    """Return a p value with two digits; one that is too small for a number is below `SMALLEST_P`."""
    return f"{value:.2g}" if value >= SMALLEST_P else f"< {SMALLEST_P:g}"


def p_equals(value: float) -> str:
    """Return a p value as an equation or, if it is too small for a number, as a bound."""
    text = p_value(value)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def percent(value: float) -> str:
    """Return a fraction in percent."""
    return f"{100 * value:.1f} %"


def edge(value: float) -> str:
    """Return the edge of a bin: a whole number with all its digits, such as a run number, or four digits."""
    return f"{value:.0f}" if value.is_integer() and abs(value) < LARGEST_WHOLE else f"{value:.4g}"
