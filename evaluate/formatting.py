"""Numbers as text."""

import math
from collections.abc import Mapping


def plus_minus(estimate: Mapping[str, float]) -> str:
    """Return value and standard error, to two digits of the error."""
    error = estimate["standard_error"]
    digits = min(max(1 - math.floor(math.log10(error)), 0), 6) if error > 0 else 4
    return f"{estimate['value']:.{digits}f} ± {error:.{digits}f}"
