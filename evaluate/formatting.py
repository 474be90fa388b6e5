"""Numbers as text."""

import math

from evaluate.document import Measurement


def plus_minus(measurement: Measurement) -> str:
    """Return value ± standard error, rounded to two significant digits of the error."""
    value, error = measurement.value, measurement.standard_error
    digits = min(max(1 - math.floor(math.log10(error)), 0), 6) if error > 0 else 4
    return f"{value:.{digits}f} ± {error:.{digits}f}"
