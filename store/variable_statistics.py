"""Statistics of the variables that samples have besides their images."""

import numpy as np
import numpy.typing as npt
import xarray as xr

from store.datasets import DatasetSpec
from store.image_statistics import PROBABILITIES


def describe_variables(
    columns: dict[str, npt.NDArray[np.float32]], label: npt.NDArray[np.uint8], spec: DatasetSpec
) -> xr.Dataset:
    """Return what the group ``statistics`` has of a data set's variables.

    Parameters
    ----------
    columns
        float32 (n,) by name, the description's variables.
    label
        uint8 (n,), classes, none of them missing.
    description
        Names, classes and units.

    Returns
    -------
    xarray.Dataset
        By (class, variable): ``variable_mean``, ``variable_std`` (population), ``variable_minimum``,
        ``variable_maximum``, and ``variable_quantile`` (also by ``probability``), all in the variable's
        ``variable_units``. Empty if there are no variables.
    """
    if not spec.variables:
        return xr.Dataset()
    values = np.stack([columns[variable.name] for variable in spec.variables], axis=1).astype(np.float64)
    parts = [values[label == code] for code in range(len(spec.classes))]
    by = ("class", "variable")
    units = np.array([variable.units for variable in spec.variables], dtype=np.dtypes.StringDType())
    quantiles = np.stack([np.quantile(part, PROBABILITIES, axis=0).T for part in parts])
    return xr.Dataset(
        {
            "variable_mean": (by, np.stack([part.mean(0) for part in parts]), {"long_name": "mean"}),
            "variable_std": (by, np.stack([part.std(0) for part in parts]), {"long_name": "standard deviation"}),
            "variable_minimum": (by, np.stack([part.min(0) for part in parts]), {"long_name": "minimum"}),
            "variable_maximum": (by, np.stack([part.max(0) for part in parts]), {"long_name": "maximum"}),
            "variable_quantile": ((*by, "probability"), quantiles, {"long_name": "quantile"}),
        },
        {
            "variable": np.array([variable.name for variable in spec.variables], dtype=np.dtypes.StringDType()),
            "variable_units": ("variable", units, {"long_name": "units of the variable"}),
        },
    )
